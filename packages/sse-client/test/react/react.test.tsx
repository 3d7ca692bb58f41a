// @vitest-environment jsdom
import { EventSubscriber, type HeadersContext } from '@entitycast/sse-client'
import {
  DataUpdatesProvider,
  type DataUpdatesProviderProps,
  type RegisteredEvents,
  useConnectionState,
  useDataUpdates,
  useEntityUpdates,
  useResync,
  useSSE,
} from '@entitycast/sse-client/react'
import { act, type ReactNode, StrictMode, useEffect } from 'react'
import { createRoot } from 'react-dom/client'
import { renderToString } from 'react-dom/server'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { settle } from '../../src/bindings/testing-clock'
import { at, closing, connected, named, resync, updated } from '../support/frames'
import { type Exchange, Network } from '../support/network'

declare global {
  var IS_REACT_ACT_ENVIRONMENT: boolean
}

let network: Network
const roots: (() => Promise<void>)[] = []

beforeEach(() => {
  globalThis.IS_REACT_ACT_ENVIRONMENT = true
  network = new Network()
})

afterEach(async () => {
  for (const unmount of roots.splice(0)) await unmount()
  expect(network.open).toBe(0)
})

/** Renders, and renders again with what it is given. */
async function mount(first: ReactNode) {
  const container = document.createElement('div')
  const root = createRoot(container)
  const render = (next: ReactNode) =>
    act(async () => {
      root.render(next)
      await settle()
    })
  const unmount = () => act(async () => root.unmount())
  roots.push(unmount)
  await render(first)
  return { render, unmount, text: () => container.textContent }
}

/** Lets the server do something, and React see it. */
async function serverDoes(run: () => unknown): Promise<void> {
  await act(async () => {
    run()
    await settle()
  })
}

function State() {
  return <p>{useConnectionState()}</p>
}

function Provider(props: Partial<DataUpdatesProviderProps> & { children?: ReactNode }) {
  const all = {
    url: '/api/events/stream',
    projectId: 'proj_1',
    fetch: network.fetch,
    ...props,
  } as DataUpdatesProviderProps
  return <DataUpdatesProvider {...all} />
}

async function open(exchange: Exchange = network.last): Promise<Exchange> {
  await serverDoes(() => exchange.stream(connected({ id: at(0) })))
  return exchange
}

test('[K9] under StrictMode there is one request, and its state is shown', async () => {
  const { text } = await mount(
    <StrictMode>
      <Provider>
        <State />
      </Provider>
    </StrictMode>,
  )
  expect([network.exchanges.length, text()]).toEqual([1, 'connecting'])
  await open()
  expect(text()).toBe('connected')
  await serverDoes(() => network.last.send(closing('slow')))
  expect(text()).toBe('reconnecting')
})

test('[K9] on the server it renders as disconnected, and asks for nothing', () => {
  const html = renderToString(
    <Provider>
      <State />
    </Provider>,
  )
  expect(html).toBe('<p>disconnected</p>')
  expect(network.exchanges).toEqual([])
})

test('[K9] what is unmounted leaves nothing behind', async () => {
  const { unmount } = await mount(
    <Provider>
      <State />
    </Provider>,
  )
  const stream = await open()
  await unmount()
  expect(stream.released).toBe(true)
})

test('handlers get what their pattern names, the newest function each, without subscribing anew', async () => {
  const got: string[] = []
  function Documents({ name }: { name: string }) {
    useEntityUpdates('document:*', (event) => got.push(`${name} ${event.id}`))
    return null
  }
  const { render } = await mount(
    <Provider>
      <Documents name="first" />
    </Provider>,
  )
  const stream = await open()
  await serverDoes(() => stream.send(updated('a', at(1)), named('lock:acquired', 1, at(2))))
  await render(
    <Provider>
      <Documents name="second" />
    </Provider>,
  )
  await serverDoes(() => stream.send(updated('b', at(3))))
  expect(got).toEqual(['first a', 'second b'])
  expect(network.exchanges).toHaveLength(1)
})

test('another pattern is another subscription', async () => {
  const got: unknown[] = []
  function One({ id }: { id: string }) {
    useEntityUpdates(`document:${id}`, (event) => got.push(event.id))
    return null
  }
  const page = (id: string) => (
    <Provider>
      <One id={id} />
    </Provider>
  )
  const { render } = await mount(page('a'))
  const stream = await open()
  await render(page('b'))
  await serverDoes(() => stream.send(updated('a', at(1)), updated('b', at(2))))
  expect(got).toEqual(['b'])
})

test('useSSE gets the events of its channels, of whatever type', async () => {
  const got: unknown[] = []
  function Notes() {
    useSSE(['validation', 'default'], (event) => got.push(event.id ?? event.type))
    return null
  }
  await mount(
    <Provider>
      <Notes />
    </Provider>,
  )
  const stream = await open()
  await serverDoes(() =>
    stream.send(
      updated('a', at(1), { channel: 'validation' }),
      updated('b', at(2), { channel: 'locks' }),
      named('lock:acquired', 1, at(3)),
    ),
  )
  expect(got).toEqual(['a', 'lock:acquired'])
})

test('[W17] useResync is told before any later event', async () => {
  const story: unknown[] = []
  function Documents() {
    useResync(({ reason }) => story.push(reason))
    useEntityUpdates('*', (event) => story.push(event.id))
    return null
  }
  await mount(
    <Provider since={at(1)}>
      <Documents />
    </Provider>,
  )
  expect(network.last.header('last-event-id')).toBe(at(1))
  await serverDoes(() =>
    network.last.stream(connected({ resume: 'resync' }) + resync('expired', at(9)) + updated('a', at(10))),
  )
  expect(story).toEqual(['expired', 'a'])
})

test('useDataUpdates gives functions that stay the same while the state changes', async () => {
  const seen = new Set<unknown>()
  const got: unknown[] = []
  function Page() {
    const { subscribe, on, onResync, connectionState } = useDataUpdates()
    seen.add(subscribe).add(on).add(onResync)
    useEffect(() => subscribe('document:*', (event) => got.push(event.id)), [subscribe])
    return <p>{connectionState}</p>
  }
  const { text } = await mount(
    <Provider>
      <Page />
    </Provider>,
  )
  const stream = await open()
  await serverDoes(() => stream.send(updated('a', at(1))))
  expect([text(), seen.size, got]).toEqual(['connected', 3, ['a']])
})

test('enabled={false} closes the stream and shows disconnected; true opens it at the cursor', async () => {
  const page = (enabled: boolean) => (
    <Provider enabled={enabled}>
      <State />
    </Provider>
  )
  const { render, text } = await mount(page(false))
  expect([network.exchanges.length, text()]).toEqual([0, 'disconnected'])
  await render(page(true))
  const stream = await open()
  await render(page(false))
  expect([stream.released, text()]).toEqual([true, 'disconnected'])
  await render(page(true))
  expect(network.last.header('last-event-id')).toBe(at(0))
})

test('another headers function does not reconnect, and is the one that is asked next', async () => {
  const asked: string[] = []
  const page = (name: string) => (
    <Provider headers={({ attempt }: HeadersContext) => ({ name: `${name} ${asked.push(name)} ${attempt}` })}>
      <State />
    </Provider>
  )
  const { render } = await mount(page('first'))
  const stream = await open()
  await render(page('second'))
  await render(page('third'))
  expect([network.exchanges.length, asked]).toEqual([1, ['first']])
  await serverDoes(() => stream.send(closing('slow')))
  await vi.waitFor(() => expect(network.exchanges).toHaveLength(2), { timeout: 10_000 })
  expect(asked).toEqual(['first', 'third'])
})

test('[D8] another project is another subscriber: the old stream is closed, and its cursor stays behind', async () => {
  const page = (projectId: string) => (
    <Provider projectId={projectId}>
      <State />
    </Provider>
  )
  const { render } = await mount(page('proj_1'))
  const stream = await open()
  await render(page('proj_2'))
  expect([stream.released, network.exchanges.length, network.open]).toEqual([true, 2, 1])
  expect(network.last.header('x-project-id')).toBe('proj_2')
  expect(network.last.header('last-event-id')).toBeUndefined()
})

test('a list of channels that is made anew in each render is the same list', async () => {
  const page = () => (
    <Provider channels={['a', 'b']}>
      <State />
    </Provider>
  )
  const { render } = await mount(page())
  await open()
  await render(page())
  expect(network.exchanges).toHaveLength(1)
})

test("a subscriber of one's own is used as it is: it is not connected and not closed", async () => {
  const subscriber = new EventSubscriber<RegisteredEvents>('/api/events/stream', { fetch: network.fetch })
  const { unmount, text } = await mount(
    <DataUpdatesProvider subscriber={subscriber}>
      <State />
    </DataUpdatesProvider>,
  )
  expect([network.exchanges.length, text()]).toEqual([0, 'disconnected'])
  await serverDoes(() => subscriber.connect())
  await open()
  expect(text()).toBe('connected')
  await unmount()
  expect(subscriber.state).toBe('connected')
  subscriber.close()
})

test('[N11] a hook without a provider says what is missing', () => {
  expect(() => renderToString(<State />)).toThrow(/DataUpdatesProvider/)
})

test('[K9] a component that is replaced, as by hot reload, leaves no handler behind', async () => {
  const got: string[] = []
  const make = (name: string) =>
    function Documents() {
      useEntityUpdates('*', () => got.push(name))
      return null
    }
  const [Old, New] = [make('old'), make('new')]
  const { render } = await mount(<Provider>{<Old />}</Provider>)
  const stream = await open()
  await render(<Provider>{<New />}</Provider>)
  await serverDoes(() => stream.send(updated('a', at(1))))
  expect(got).toEqual(['new'])
})
