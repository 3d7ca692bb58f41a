// @vitest-environment jsdom
import type { ConnectionSnapshot, EventSubscriber } from '@entitycast/sse-client'
import { DataUpdatesProvider, type RegisteredEvents, useConnectionState } from '@entitycast/sse-client/react'
import { createFakeServer } from '@entitycast/sse-client/testing'
import { act, type ReactNode, StrictMode, startTransition, useState } from 'react'
import { createRoot, hydrateRoot } from 'react-dom/client'
import { renderToString } from 'react-dom/server'
import { afterEach, beforeEach, expect, expectTypeOf, test, vi } from 'vitest'
import { Network } from '../support/network'

/** A busy machine may need it. */
const WAIT = { timeout: 15_000 }

const roots: (() => Promise<void>)[] = []

beforeEach(() => {
  globalThis.IS_REACT_ACT_ENVIRONMENT = true
})

afterEach(async () => {
  for (const unmount of roots.splice(0)) await unmount()
})

declare global {
  var IS_REACT_ACT_ENVIRONMENT: boolean
}

async function mount(page: ReactNode) {
  const container = document.createElement('div')
  const root = createRoot(container)
  roots.push(() => act(async () => root.unmount()))
  await act(async () => root.render(page))
  return { text: () => container.textContent, render: (next: ReactNode) => act(async () => root.render(next)) }
}

/** A provider over a fake server, around what a test shows. */
function scene() {
  const server = createFakeServer()
  const subscriber = server.subscriber()
  subscriber.onError(() => {})
  roots.push(() => act(async () => server.close()))
  const page = (children: ReactNode) => (
    <StrictMode>
      <DataUpdatesProvider subscriber={subscriber as unknown as EventSubscriber<RegisteredEvents>}>
        {children}
      </DataUpdatesProvider>
    </StrictMode>
  )
  return { server, subscriber, page }
}

test('a component with a selector renders only when what it selects changes', async () => {
  const { server, subscriber, page } = scene()
  let renders = 0
  function Live() {
    renders++
    return <p>{useConnectionState(({ state }) => (state === 'connected' ? 'live' : 'not live'))}</p>
  }
  const { text } = await mount(page(<Live />))
  const first = renders
  server.status(503, { times: 3 })
  await act(() => server.connect(subscriber))
  await act(() => server.advance(3_000))
  expect([text(), renders]).toEqual(['not live', first])
  await act(() => server.advance(60_000))
  expect(text()).toBe('live')
})

test('a selector that makes an object in each call does not render for ever, and gives the same object while it says the same', async () => {
  const { server, subscriber, page } = scene()
  const seen = new Set<object>()
  let again = () => {}
  function Retry() {
    const [count, setCount] = useState(0)
    again = () => setCount(count + 1)
    const shown = useConnectionState(({ state, error }) => ({ state, code: error?.code }))
    seen.add(shown)
    return <p>{`${shown.state} ${shown.code}`}</p>
  }
  const { text } = await mount(page(<Retry />))
  seen.clear()
  await act(async () => again())
  await act(async () => again())
  expect(seen.size).toBe(1)
  server.status(503, { times: 1 })
  await act(() => server.connect(subscriber))
  expect(text()).toBe('reconnecting UNAVAILABLE')
})

test('a selector that is another in each render is the one that is used', async () => {
  const { server, subscriber, page } = scene()
  let choose = (_: 'state' | 'attempt') => {}
  function Field() {
    const [name, setName] = useState<'state' | 'attempt'>('state')
    choose = setName
    return <p>{useConnectionState((connection) => connection[name])}</p>
  }
  const { text } = await mount(page(<Field />))
  await act(() => server.connect(subscriber))
  expect(text()).toBe('connected')
  await act(async () => choose('attempt'))
  expect(text()).toBe('1')
})

test('a date that a selector makes is compared as a whole', async () => {
  const { server, subscriber, page } = scene()
  function Due() {
    const due = useConnectionState(({ nextRetryAt }) => new Date(nextRetryAt ?? 0))
    return <p>{due.getTime()}</p>
  }
  // Made anew for each snapshot, and the very same for one.
  const { text } = await mount(page(<Due />))
  await act(() => server.connect(subscriber))
  await act(() => server.drop())
  expect(Number(text())).toBeGreaterThan(0)
})

test('two components never show two states, also where a slow rendering is interrupted', async () => {
  const { server, subscriber, page } = scene()
  const torn: string[][] = []
  let show = (_: boolean) => {}
  function Reader() {
    return <p>{useConnectionState()}</p>
  }
  function Page() {
    const [isShown, setIsShown] = useState(false)
    show = setIsShown
    const state = useConnectionState()
    return (
      <div
        ref={(element) => {
          if (!element) return
          const states = [...element.querySelectorAll('p')].map((p) => p.textContent ?? '')
          if (states.some((one) => one !== state)) torn.push([state, ...states])
        }}
      >
        <Reader />
        {isShown && [1, 2, 3].map((key) => <Reader key={key} />)}
      </div>
    )
  }
  const { text } = await mount(page(<Page />))
  await act(async () => {
    startTransition(() => show(true))
    await server.connect(subscriber)
  })
  expect([text(), torn]).toEqual(['connected'.repeat(4), []])
})

test('an enabled provider shows connecting from its first rendering on, and disconnected where it is off', async () => {
  const server = createFakeServer()
  const states: string[] = []
  function State() {
    const state = useConnectionState()
    states.push(state)
    return <p>{state}</p>
  }
  const page = (enabled: boolean) => (
    <DataUpdatesProvider url="/api/events/stream" fetch={server.fetch} enabled={enabled}>
      <State />
    </DataUpdatesProvider>
  )
  const { render } = await mount(page(true))
  await act(() => vi.waitFor(() => expect(server.connections).toBe(1), WAIT))
  expect([...new Set(states)]).toEqual(['connecting', 'connected'])
  await render(page(false))
  expect(states.at(-1)).toBe('disconnected')
})

test('it does not call connecting what somebody has closed', async () => {
  const { server, subscriber, page } = scene()
  function State() {
    return <p>{useConnectionState()}</p>
  }
  const { text } = await mount(page(<State />))
  expect(text()).toBe('disconnected')
  await act(() => server.connect(subscriber))
  await act(async () => subscriber.close())
  expect(text()).toBe('disconnected')
})

test('[K9] hydration takes over what the server has rendered, without a complaint', async () => {
  const server = createFakeServer()
  function State() {
    return <p>{useConnectionState(({ state }) => ({ state })).state}</p>
  }
  const page = (
    <DataUpdatesProvider url="/api/events/stream" fetch={server.fetch}>
      <State />
    </DataUpdatesProvider>
  )
  const container = document.createElement('div')
  container.innerHTML = renderToString(page)
  expect(container.innerHTML).toBe('<p>disconnected</p>')
  const complaints: unknown[] = []
  const root = await act(async () =>
    hydrateRoot(container, page, { onRecoverableError: (error) => complaints.push(error) }),
  )
  roots.push(() => act(async () => root.unmount()))
  await act(() => vi.waitFor(() => expect(server.connections).toBe(1), WAIT))
  expect(container.textContent).toBe('connected')
  expect(complaints).toEqual([])
})

test('with a selector the type is what it selects', () => {
  function Types() {
    expectTypeOf(useConnectionState()).toEqualTypeOf<ConnectionSnapshot['state']>()
    expectTypeOf(useConnectionState(({ nextRetryAt }) => nextRetryAt)).toEqualTypeOf<number | undefined>()
    return null
  }
  expectTypeOf(Types).returns.toEqualTypeOf<null>()
})

test('a selector that makes an object within an object does not render for ever before the provider has connected, or where it never does', async () => {
  const { fetch } = new Network()
  function Shown() {
    const { of } = useConnectionState(({ state }) => ({ of: { state } }))
    return <p>{of.state}</p>
  }
  const { text } = await mount(
    <StrictMode>
      <DataUpdatesProvider url="/events" projectId="proj_1" fetch={fetch} signal={AbortSignal.abort()}>
        <Shown />
      </DataUpdatesProvider>
    </StrictMode>,
  )
  expect(text()).toBe('connecting')
})
