// @vitest-environment jsdom
import { DataUpdatesProvider, useResync } from '@entitycast/sse-client/react'
import { act, StrictMode } from 'react'
import { createRoot, type Root } from 'react-dom/client'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { settle } from '../../src/bindings/testing-clock'
import { at, closing, connected } from '../support/frames'
import { Network } from '../support/network'

let network: Network
let root: Root

beforeEach(() => {
  globalThis.IS_REACT_ACT_ENVIRONMENT = true
  network = new Network()
  root = createRoot(document.createElement('div'))
})

afterEach(async () => {
  await act(async () => root.unmount())
  vi.restoreAllMocks()
  expect(network.open).toBe(0)
})

const story: string[] = []

function Documents() {
  useResync(({ reason }) => story.push(reason))
  return null
}

/** Renders for whoever looks at the page now. */
function renderFor(identity: string | (() => string) | undefined) {
  story.length = 0
  return act(async () => {
    root.render(
      <StrictMode>
        <DataUpdatesProvider url="/events" projectId="proj_1" fetch={network.fetch} identity={identity}>
          <Documents />
        </DataUpdatesProvider>
      </StrictMode>,
    )
    await settle()
  })
}

function answer(cursor: string) {
  return act(async () => {
    network.last.stream(connected({ id: cursor }))
    await settle()
  })
}

test('[P8] somebody else signs in: another stream at once, without the cursor, and what is shown is told to be loaded again', async () => {
  await renderFor('ada')
  await answer(at(1))
  await renderFor('ada')
  expect(network.exchanges).toHaveLength(1)
  await renderFor('bob')
  await answer(at(2))
  expect([network.exchanges.length, network.last.header('last-event-id'), story]).toEqual([2, undefined, ['identity']])
})

for (const nobody of [undefined, '']) {
  test(`[P8] somebody signs in where the identity was ${JSON.stringify(nobody)}: another stream at once, and what is shown is told to be loaded again`, async () => {
    await renderFor(nobody)
    await answer(at(1))
    await renderFor('ada')
    await answer(at(2))
    expect([network.exchanges.length, network.last.header('last-event-id'), story]).toEqual([
      2,
      undefined,
      ['identity'],
    ])
    await renderFor(nobody)
    await answer(at(3))
    expect([network.exchanges.length, network.last.header('last-event-id')]).toEqual([3, undefined])
  })
}

test('[P8] a cursor is kept for nobody: a provider with a store and no identity says so', async () => {
  const store = () => ({ load: () => undefined, save: () => {}, clear: () => {} })
  const props = { url: '/events', projectId: 'proj_1', fetch: network.fetch, cursorStore: store as never }
  vi.spyOn(console, 'error').mockImplementation(() => {})
  await expect(act(async () => root.render(<DataUpdatesProvider {...props} />))).rejects.toMatchObject({
    code: 'INVALID_OPTION',
  })
})

test('[P8] the newest identity function is asked before each attempt, and another one by itself reconnects nothing', async () => {
  vi.spyOn(Math, 'random').mockReturnValue(0)
  const user = (id: string) => () => id
  await renderFor(user('ada'))
  await answer(at(1))
  await renderFor(user('bob'))
  expect(network.exchanges).toHaveLength(1)
  await act(async () => {
    network.last.send(closing('expired'))
    await vi.waitFor(() => expect(network.exchanges).toHaveLength(2), { timeout: 15_000 })
  })
  await answer(at(2))
  expect([network.last.header('last-event-id'), story]).toEqual([undefined, ['identity']])
})
