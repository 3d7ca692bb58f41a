import { storedCursor } from '@entitycast/sse-client'
import { shareAcrossTabs, type TabPorts } from '@entitycast/sse-client/tabs'
import { createFakeServer, type FakeServer } from '@entitycast/sse-client/testing'
import { afterEach, expect, onTestFinished, test, vi } from 'vitest'
import { at, connected, updated } from '../support/frames'
import { Network } from '../support/network'
import { FakeBrowser } from './fake-browser'

afterEach(() => {
  vi.unstubAllGlobals()
})

const denied = () => new DOMException('not in this context', 'SecurityError')
const NO_CHANNEL = () => ({ post() {}, close() {} })

function open(server: FakeServer, tabs?: TabPorts) {
  const options = { projectId: server.projectId, identity: 'ada', fetch: server.fetch }
  const ports = tabs ? { ...server.ports, tabs } : server.ports
  const subscriber = shareAcrossTabs('https://fake.test/api/events/stream', options, ports)
  onTestFinished(() => subscriber.close())
  subscriber.onError(() => {})
  return subscriber
}

test('[K8] where locks are denied, as where a page may store nothing, a tab connects by itself, again and again', async () => {
  const server = createFakeServer()
  const tabs = [1, 2].map(() =>
    open(server, { locks: { request: () => Promise.reject(denied()) }, openChannel: NO_CHANNEL }),
  )
  for (const tab of tabs) tab.connect()
  await server.advance(1_000)
  expect([tabs.map(({ state }) => state), server.connections]).toEqual([['connected', 'connected'], 2])
  await server.drop()
  await server.advance(2_000)
  tabs[0]?.close()
  await server.advance(0)
  expect([tabs[1]?.state, server.connections]).toEqual(['connected', 1])
  tabs[0]?.connect()
  await server.advance(1_000)
  expect([tabs[0]?.state, server.connections]).toEqual(['connected', 2])
})

test('[K8] where a channel is denied, a tab connects by itself', async () => {
  vi.stubGlobal('navigator', { locks: { request: () => Promise.reject(denied()) } })
  vi.stubGlobal(
    'BroadcastChannel',
    class {
      constructor() {
        throw denied()
      }
    },
  )
  const server = createFakeServer()
  const tab = open(server)
  await server.connect(tab)
  expect([tab.state, tab.getSnapshot().role]).toEqual(['connected', 'single'])
})

test('[K3] a message that is none of ours does no harm', async () => {
  const server = createFakeServer()
  let hear: (message: unknown) => void = () => {}
  const openChannel: TabPorts['openChannel'] = (_, onMessage) => {
    hear = onMessage
    return NO_CHANNEL()
  }
  const held = (_name: string, _options: object, granted: () => Promise<void> | undefined) =>
    Promise.resolve().then(granted)
  const tab = open(server, { locks: { request: held }, openChannel })
  await server.connect(tab)
  for (const message of [null, undefined, 0, 'ask', [], {}, { type: 'later' }]) hear(message)
  await server.push({ type: 'entity.updated', entity: 'document', id: 'a' })
  expect([tab.state, server.requests.length]).toEqual(['connected', 1])
})

test('[K3] a message of ours without its fields does no harm, whether the tab leads or follows', async () => {
  const server = createFakeServer()
  const hear: ((message: unknown) => void)[] = []
  const browser = new FakeBrowser()
  const listen = (tabs: TabPorts): TabPorts => ({
    ...tabs,
    openChannel: (name, onMessage) => {
      hear.push(onMessage)
      return tabs.openChannel(name, onMessage)
    },
  })
  const [leader, follower] = [browser.tab(server, {}, {}, listen), browser.tab(server, {}, {}, listen)]
  await server.connect(leader.subscriber)
  await server.connect(follower.subscriber)
  // `open` is last: whoever follows leaves its stream for that.
  const types = ['answer', 'refused', 'blocks', 'end', 'ask', 'ping', 'pong', 'behind', 'more', 'open']
  const messages = [
    ...types.map((type) => ({ type })),
    ...types.map((type) => ({ type, requests: 0, entries: 0, head: 0 })),
  ]
  for (const message of [null, ...messages]) for (const one of hear) one(message)
  await server.advance(5_000)
  await server.push({ type: 'entity.updated', entity: 'document', id: 'a' })
  expect([leader, follower].map(({ ids, errors, resyncs, role }) => [ids, errors, resyncs, role()])).toEqual([
    [['a'], [], [], 'leader'],
    [['a'], [], [], 'follower'],
  ])
  for (const { subscriber } of [leader, follower]) subscriber.close()
})

test('[D3] tabs that share keep the cursor over a reload, too', async () => {
  const server = createFakeServer()
  const browser = new FakeBrowser()
  const kept = new Map<string, string>()
  const cursorStore = storedCursor({
    get: (key) => kept.get(key),
    set: (key, cursor) => kept.set(key, cursor),
    remove: (key) => kept.delete(key),
  })
  const [before, after] = [browser.tab(server, { cursorStore }), browser.tab(server, { cursorStore })]
  await server.connect(before.subscriber)
  await server.push({ type: 'entity.updated', entity: 'document', id: 'a' })
  before.subscriber.close()
  await server.push({ type: 'entity.updated', entity: 'document', id: 'b' })
  await server.connect(after.subscriber)
  expect([before.ids, after.ids, after.resyncs]).toEqual([['a'], ['b'], []])
  after.subscriber.close()
})

test('[K7] closed while it calls the roll, a tab opens no channel any more', async () => {
  const server = createFakeServer()
  const browser = new FakeBrowser()
  const tabs = [browser.tab(server), browser.tab(server)]
  for (const { subscriber } of tabs) subscriber.connect()
  await server.advance(0)
  await server.push({ type: 'entity.updated', entity: 'document', id: 'a' })
  const leader = tabs.find(({ role }) => role() === 'leader')
  const other = tabs.find((tab) => tab !== leader)
  leader?.subscriber.close()
  await server.advance(0)
  other?.subscriber.reconnect()
  await server.advance(0)
  expect([other?.role(), other?.subscriber.state]).toEqual(['leader', 'reconnecting'])
  other?.subscriber.close()
  await server.advance(0)
  expect([browser.channels, browser.claims, server.clock.pending, server.connections]).toEqual([0, 0, 0, 0])
})

test('[D3] a renewal that never ends, with a fetch that hears no signal, does not keep the stream from being read on', async () => {
  const server = createFakeServer()
  const network = new Network()
  let requests = 0
  const fetch: Network['fetch'] = (...request) => (++requests === 1 ? network.fetch(...request) : new Promise(() => {}))
  const tab = new FakeBrowser().tab(server, { fetch })
  onTestFinished(() => tab.subscriber.close())
  await server.connect(tab.subscriber)
  const stream = network.last.stream(connected({ id: at(0), heartbeatMs: 0, expiresInMs: 100_000 }))
  for (let passedMs = 0; requests < 2 && passedMs < 100_000; passedMs += 1_000) await server.advance(1_000)
  stream.send(updated('a', at(1)))
  await server.advance(3_000)
  expect([requests, tab.ids, tab.subscriber.state]).toEqual([2, ['a'], 'connected'])
})
