import { createFakeServer, type FakeServer } from '@entitycast/sse-client/testing'
import { expect, onTestFinished, test } from 'vitest'
import { FakeBrowser } from './fake-browser'

const update = (id: string) => ({ type: 'entity.updated', entity: 'document', id }) as const

type Tab = ReturnType<FakeBrowser['tab']>

/** A server, and tabs that are connected. */
async function open(count: number, options: Parameters<FakeBrowser['tab']>[1] = {}) {
  const server = createFakeServer()
  const browser = new FakeBrowser()
  const tabs: Tab[] = []
  for (let i = 0; i < count; i++) tabs.push(browser.tab(server, options))
  onTestFinished(() => {
    for (const { subscriber } of tabs) subscriber.close()
    server.close()
  })
  for (const { subscriber } of tabs) subscriber.connect()
  await server.advance(0)
  return { server, browser, tabs }
}

const states = (tabs: readonly Tab[]) => tabs.map(({ subscriber }) => subscriber.state)
const leaders = (tabs: readonly Tab[]) => tabs.filter(({ role }) => role() === 'leader')
const followers = (tabs: readonly Tab[]) => tabs.filter(({ role }) => role() === 'follower')
const all = <Value>(count: number, value: Value): Value[] => Array(count).fill(value)

/** Publishes, and checks that each of these tabs has had exactly these. */
async function expectEach(server: FakeServer, tabs: readonly Tab[], before: string[], next: string) {
  await server.push(update(next))
  await server.advance(0)
  for (const tab of tabs) expect(tab.ids).toEqual([...before, next])
}

test('[D2] twenty tabs hold one connection, and each is given each event once', async () => {
  const { server, tabs } = await open(20)
  expect(states(tabs)).toEqual(all(20, 'connected'))
  expect([server.requests.length, server.connections, leaders(tabs).length]).toEqual([1, 1, 1])
  await expectEach(server, tabs, [], 'a')
  await expectEach(server, tabs, ['a'], 'b')
  for (const { errors, resyncs } of tabs) expect([errors, resyncs]).toEqual([[], []])
})

test('[D3] the leading tab closes: another one goes on where it was, without a hole or a repeat', async () => {
  const { server, tabs } = await open(5)
  await server.push(update('a'))
  const [leader] = leaders(tabs) as [Tab]
  leader.subscriber.close()
  const rest = tabs.filter((tab) => tab !== leader)
  await server.push(update('b'))
  await server.advance(2_000)
  expect(states(rest)).toEqual(all(4, 'connected'))
  expect([server.requests.length, server.connections, leaders(rest).length]).toEqual([2, 1, 1])
  await expectEach(server, rest, ['a', 'b'], 'c')
  expect(leader.ids).toEqual(['a'])
  for (const { errors, resyncs } of rest) expect([errors, resyncs]).toEqual([[], []])
})

test('[D3] the process of the leading tab is killed: another one goes on where it was', async () => {
  const { server, browser, tabs } = await open(5)
  await server.push(update('a'))
  const [leader] = leaders(tabs) as [Tab]
  browser.kill(leader.tab)
  const rest = tabs.filter((tab) => tab !== leader)
  await server.push(update('b'))
  await server.advance(2_000)
  expect(leaders(rest)).toHaveLength(1)
  await expectEach(server, rest, ['a', 'b'], 'c')
  for (const { errors, resyncs } of rest) expect([errors, resyncs]).toEqual([[], []])
})

test('[D9] a frozen leader is replaced; when it wakes it follows, and has missed nothing', async () => {
  const { server, browser, tabs } = await open(4)
  await server.push(update('a'))
  const [leader] = leaders(tabs) as [Tab]
  const rest = followers(tabs)
  browser.freeze(leader.tab)
  await server.push(update('b'))
  await server.advance(12_000)
  expect(leaders(rest)).toHaveLength(1)
  expect(states(rest)).toEqual(all(3, 'connected'))
  await expectEach(server, rest, ['a', 'b'], 'c')

  browser.thaw(leader.tab)
  await server.advance(2_000)
  expect([leader.role(), leader.subscriber.state, server.connections]).toEqual(['follower', 'connected', 1])
  await expectEach(server, tabs, ['a', 'b', 'c'], 'd')
  for (const { errors, resyncs } of tabs) expect([errors, resyncs]).toEqual([[], []])
})

test('[D9] a leader that hears the other tabs but not the network, and whose timers stand still, gives way', async () => {
  const { server, browser, tabs } = await open(0)
  const stopped = { now: () => server.clock.now(), after: () => () => {} }
  const deaf = browser.tab(server, {}, { clock: stopped })
  tabs.push(deaf, browser.tab(server), browser.tab(server))
  deaf.subscriber.connect()
  await server.advance(0)
  for (const { subscriber } of tabs) subscriber.connect()
  await server.advance(0)
  expect(deaf.role()).toBe('leader')
  server.silence()
  await server.push(update('a'))
  await server.advance(60_000)
  const rest = tabs.slice(1)
  expect([deaf.role(), leaders(rest).length]).toEqual(['follower', 1])
  await expectEach(server, rest, ['a'], 'b')
})

test('[D9] a leader that has nothing to say is not replaced', async () => {
  const { server, tabs } = await open(3)
  const [leader] = leaders(tabs) as [Tab]
  await server.advance(120_000)
  expect([leader.role(), server.requests.length]).toEqual(['leader', 1])
  expect(states(tabs)).toEqual(all(3, 'connected'))
})

/** A server whose grants end: its `connected` says when. */
function expiring(server: FakeServer, expiresInMs: number): FakeServer['fetch'] {
  return async (url, init) => {
    const response = await server.fetch(url, init)
    const getReader = response.body?.getReader.bind(response.body)
    if (!getReader) return response
    const { status, headers } = response
    const read = (reader: ReturnType<typeof getReader>) => async () => {
      const { done, value } = await reader.read()
      const text = new TextDecoder()
        .decode(value)
        .replace('"heartbeatMs"', `"expiresInMs":${expiresInMs},"heartbeatMs"`)
      return { done, value: new TextEncoder().encode(text) }
    }
    const body = {
      cancel: async () => {},
      getReader: () => {
        const reader = getReader()
        return { read: read(reader), cancel: () => reader.cancel() }
      },
    }
    return { status, headers, body }
  }
}

test('[L6 D2] the leading tab renews the stream for all before its grant ends, and none of them notices', async () => {
  const server = createFakeServer()
  const browser = new FakeBrowser()
  const tabs = all(4, null).map(() => browser.tab(server, { fetch: expiring(server, 40_000) }))
  onTestFinished(() => {
    for (const { subscriber } of tabs) subscriber.close()
    server.close()
  })
  for (const { subscriber } of tabs) subscriber.connect()
  await server.advance(0)
  const changes: string[] = []
  for (const { tab, subscriber } of tabs) subscriber.onState((state) => changes.push(`${tab}: ${state}`))
  changes.length = 0
  const told: string[] = []
  for (let round = 0; round < 10; round++) {
    await server.push(update(`r${round}`))
    told.push(`r${round}`)
    await server.advance(20_000)
  }
  for (const { ids, errors, resyncs } of tabs) expect([ids, errors, resyncs]).toEqual([told, [], []])
  expect(changes).toEqual([])
  expect(server.connections).toBe(1)
  // Each stream once, and by one tab: 200 s in grants of 40 s.
  expect(server.requests.length).toBeGreaterThanOrEqual(5)
  expect(server.requests.length).toBeLessThanOrEqual(8)
})

test('[D3] a tab that comes late with a cursor is given what lies after it, by the leading tab', async () => {
  const { server, browser, tabs } = await open(1)
  const since = server.cursor
  await server.push(update('a'), update('b'))
  const late = browser.tab(server, { since })
  tabs.push(late)
  late.subscriber.connect()
  await server.advance(0)
  expect(late.ids).toEqual(['a', 'b'])
  expect([server.requests.length, late.resyncs]).toEqual([1, []])
})

test('[D3] a tab that has loaded more than the leading tab has seen is given what comes after it, and nothing else', async () => {
  const { server, browser, tabs } = await open(1)
  const [first] = tabs as [Tab]
  const since = server.cursor
  const ahead = since.replace(/\d+$/, (offset) => String(Number(offset) + 2))
  const late = browser.tab(server, { since: ahead })
  tabs.push(late)
  late.subscriber.connect()
  await server.advance(0)
  expect([late.subscriber.state, late.role()]).toEqual(['connected', 'follower'])
  await server.push(update('a'), update('b'), update('c'))
  expect([first.ids, late.ids, late.resyncs]).toEqual([['a', 'b', 'c'], ['c'], []])
})

test('[D3] a new leader that has seen less than the others is told, and nobody loads again', async () => {
  const { server, browser, tabs } = await open(3)
  const [leader] = leaders(tabs) as [Tab]
  const [next, other] = followers(tabs) as [Tab, Tab]
  await server.push(update('a'))
  browser.deafen(next.tab)
  await server.push(update('b'))
  browser.kill(leader.tab)
  browser.undeafen(next.tab)
  await server.advance(2_000)
  expect(next.role()).toBe('leader')
  expect(server.requests.at(-1)?.headers['last-event-id']).toBe(other.subscriber.cursor)
  await expectEach(server, [next, other], ['a', 'b'], 'c')
  for (const { errors, resyncs } of [next, other]) expect([errors, resyncs]).toEqual([[], []])
})

test('[D4] a cursor that the leading tab does not know is answered with a resync before any event', async () => {
  const { server, browser, tabs } = await open(1)
  await server.push(update('a'))
  const late = browser.tab(server, { since: 'other.1' })
  tabs.push(late)
  late.subscriber.connect()
  await server.advance(0)
  expect([late.resyncs, late.ids]).toEqual([['expired'], []])
  await server.push(update('b'))
  expect(late.ids).toEqual(['b'])
})

test('[D4] what the buffer does not hold any more is not passed off as complete', async () => {
  const { server, browser, tabs } = await open(1)
  const since = server.cursor
  for (let i = 0; i < 1_001; i++) await server.push(update(`d${i}`))
  const late = browser.tab(server, { since })
  tabs.push(late)
  late.subscriber.connect()
  await server.advance(0)
  expect([late.resyncs, late.ids]).toEqual([['expired'], []])
})

test('[D4] a resync reaches every tab once', async () => {
  const { server, tabs } = await open(3)
  await server.gap('broker-gap')
  await server.push(update('a'))
  for (const { resyncs, ids } of tabs) expect([resyncs, ids]).toEqual([['broker-gap'], ['a']])
})

test('[D4] the log was lost while the leader was reconnecting: every tab is told', async () => {
  const { server, tabs } = await open(3)
  await server.push(update('a'))
  await server.drop()
  await server.gap()
  await server.advance(5_000)
  await server.push(update('b'))
  expect(states(tabs)).toEqual(all(3, 'connected'))
  for (const { resyncs, ids } of tabs) expect([resyncs.length, ids]).toEqual([1, ['a', 'b']])
})

test('[K4] a server that is down hears from one tab, and the others see the same', async () => {
  const { server, tabs } = await open(5)
  server.status(503)
  await server.drop()
  await server.advance(60_000)
  const alone = createFakeServer()
  const single = alone.subscriber()
  await alone.connect(single)
  alone.status(503)
  await alone.drop()
  await alone.advance(60_000)
  alone.close()
  expect(server.requests.length).toBeLessThanOrEqual(alone.requests.length + 1)
  expect(states(tabs)).toEqual(all(5, 'reconnecting'))
  for (const { errors } of tabs) expect(errors).toContain('UNAVAILABLE')

  server.status(200)
  await server.advance(31_000)
  expect(states(tabs)).toEqual(all(5, 'connected'))
  expect(server.connections).toBe(1)
  await expectEach(server, tabs, [], 'a')
})

test('[K4] 403 stops every tab', async () => {
  const { server, tabs } = await open(0)
  const browser = new FakeBrowser()
  server.status(403)
  for (let i = 0; i < 3; i++) tabs.push(browser.tab(server))
  for (const { subscriber } of tabs) subscriber.connect()
  await server.advance(60_000)
  expect(states(tabs)).toEqual(all(3, 'disconnected'))
  for (const { errors } of tabs) expect(errors).toEqual(['FORBIDDEN'])
})

test('[A5] a redirect stops every tab, and each is told that it was one', async () => {
  const { server, tabs } = await open(0)
  const browser = new FakeBrowser()
  let requests = 0
  // All that a page is told of it.
  const fetch: FakeServer['fetch'] = async () => {
    requests++
    return { status: 0, type: 'opaqueredirect', headers: { get: () => null }, body: null }
  }
  for (let i = 0; i < 3; i++) tabs.push(browser.tab(server, { fetch }))
  for (const { subscriber } of tabs) subscriber.connect()
  await server.advance(60_000)
  expect(states(tabs)).toEqual(all(3, 'disconnected'))
  for (const { errors } of tabs) expect(errors).toEqual(['REDIRECTED'])
  expect(requests).toBe(1)
})

test('[K6] a dead Wi-Fi is noticed once, and all tabs go on', async () => {
  const { server, tabs } = await open(3)
  server.silence()
  await server.push(update('a'))
  await server.advance(60_000)
  expect([server.requests.length, server.connections]).toEqual([2, 1])
  await expectEach(server, tabs, ['a'], 'b')
})

test('[P8] another user, another project and another address never share', async () => {
  const server = createFakeServer()
  const browser = new FakeBrowser()
  const tabs = [{}, { identity: 'u2' }, { channels: ['locks'] }].map((options) => browser.tab(server, options))
  onTestFinished(() => {
    for (const { subscriber } of tabs) subscriber.close()
  })
  for (const { subscriber } of tabs) subscriber.connect()
  await server.advance(0)
  expect([server.connections, leaders(tabs).length]).toEqual([3, 3])
})

test('[K7] closed, a tab holds no lock, no channel and no timer', async () => {
  const { server, browser, tabs } = await open(3)
  for (const { subscriber } of [...tabs].reverse()) subscriber.close()
  await server.advance(0)
  expect([browser.claims, browser.channels, server.connections, server.clock.pending]).toEqual([0, 0, 0, 0])
})

test('[K7] a leader whose own headers do not come lets another tab try', async () => {
  const { server, browser, tabs } = await open(0)
  let isBroken = false
  const first = browser.tab(server, {
    headers: () => {
      if (isBroken) throw new Error('no token')
      return {}
    },
  })
  tabs.push(first, browser.tab(server))
  first.subscriber.connect()
  await server.advance(0)
  isBroken = true
  tabs[1]?.subscriber.connect()
  await server.advance(0)
  expect(states(tabs)).toEqual(['connected', 'connected'])
  await server.drop()
  await server.advance(60_000)
  expect([tabs[1]?.role(), tabs[1]?.subscriber.state]).toEqual(['leader', 'connected'])
  await server.push(update('a'))
  expect(tabs[1]?.ids).toEqual(['a'])
})

test('the identity must be given', () => {
  const server = createFakeServer()
  expect(() => new FakeBrowser().tab(server, { identity: '' })).toThrow(/identity is "".*id of the user/)
})

test('[D2] a tab that begins to lead says so at once, whatever the server answers', async () => {
  const { server, browser, tabs } = await open(0)
  const tab = browser.tab(server)
  tabs.push(tab)
  const told: unknown[] = []
  tab.subscriber.onChange(({ state, role }) => told.push(`${state} ${role}`))
  server.status(503)
  tab.subscriber.connect()
  await server.advance(0)
  expect(told).toContain('connecting leader')
  tab.subscriber.close()
  expect(told.at(-1)).toBe('disconnected follower')
})
