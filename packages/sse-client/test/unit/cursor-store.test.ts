import { afterEach, expect, test, vi } from 'vitest'
import { type CursorStorage, type CursorStore, sessionCursor, storedCursor } from '../../src/index'
import { at, connected, heartbeat, resync, updated } from '../support/frames'
import { openPage } from '../support/page'

afterEach(() => {
  vi.unstubAllGlobals()
})

/** A store that can be asked to fail. */
class MemoryStore implements CursorStorage {
  /** For the option. */
  readonly option = storedCursor(this)
  readonly kept = new Map<string, string>()
  readonly writes: (string | undefined)[] = []
  broken = false

  get(key: string): string | undefined | Promise<string> {
    return this.kept.get(key)
  }

  async set(key: string, cursor: string): Promise<void> {
    if (this.broken) throw new Error('full')
    this.writes.push(cursor)
    this.kept.set(key, cursor)
  }

  remove(key: string): void {
    this.writes.push(undefined)
    this.kept.delete(key)
  }
}

/** What the first request of a page with this store asks for. */
async function firstCursor(cursorStore: CursorStore, options: object = {}): Promise<string | undefined> {
  const page = openPage({ cursorStore, identity: 'ada', ...options })
  page.subscriber.connect()
  await page.clock.advance(1_000)
  const cursor = page.network.last.header('last-event-id')
  page.subscriber.close()
  expect(page.clock.pending).toBe(0)
  return cursor
}

test('[D3] a kept cursor is where the next page goes on; it is written once a second, and when the stream ends', async () => {
  const cursorStore = new MemoryStore()
  const page = openPage({ cursorStore: cursorStore.option, identity: 'ada' })
  const stream = await page.open(connected({ id: at(0) }))
  for (let offset = 1; offset <= 50; offset++) {
    await page.send(stream, updated('a', at(offset)))
    await page.clock.advance(100)
  }
  expect(cursorStore.writes.length).toBeLessThan(8)
  page.subscriber.close()
  expect([cursorStore.writes.at(-1), page.clock.pending]).toEqual([at(50), 0])
  expect(await firstCursor(cursorStore.option)).toBe(at(50))
})

test('[D3] a page that is quiet keeps its cursor too, and one that is left writes before it is', async () => {
  const cursorStore = new MemoryStore()
  const page = openPage({ cursorStore: cursorStore.option, identity: 'ada' })
  const stream = await page.open(connected({ id: at(0) }), heartbeat(at(7)))
  await page.clock.advance(1_000)
  expect(cursorStore.writes).toEqual([at(7)])
  await page.send(stream, heartbeat(at(8)))
  await page.leave(true)
  expect(cursorStore.writes).toEqual([at(7), at(8)])
})

test('another user, project or stream has another cursor; since goes before it', async () => {
  const store = new MemoryStore()
  const page = openPage({ cursorStore: store.option, identity: 'ada', projectId: 'proj_1' })
  await page.open(connected({ id: at(5) }))
  page.subscriber.close()
  expect(await firstCursor(store.option, { projectId: 'proj_1' })).toBe(at(5))
  expect(await firstCursor(store.option, { projectId: 'proj_1', since: at(9) })).toBe(at(9))
  expect(await firstCursor(store.option, { projectId: 'proj_1', identity: () => 'bob' })).toBeUndefined()
  expect(await firstCursor(store.option, { projectId: 'proj_2' })).toBeUndefined()
  expect(await firstCursor(store.option, { projectId: 'proj_1', channels: ['locks'] })).toBeUndefined()
})

test('[D4] while a resync is due the cursor before it is kept; another user begins without one, and keeps the own', async () => {
  const cursorStore = new MemoryStore()
  let user = 'ada'
  const page = openPage({ cursorStore: cursorStore.option, identity: () => user })
  const stream = await page.open(connected({ id: at(0) }), resync('overflow', at(5)))
  await page.send(stream, resync('expired', at(10)), updated('a', at(11)))
  await page.clock.advance(1_000)
  expect(cursorStore.writes.at(-1)).not.toBe(at(10))
  await page.clock.advance(3_000)
  expect(cursorStore.writes.at(-1)).toBe(at(11))
  user = 'bob'
  page.subscriber.reconnect()
  await page.settle()
  page.network.last.stream(connected({ id: at(12) }))
  await page.clock.advance(5_000)
  page.subscriber.close()
  expect([...cursorStore.kept.values()]).toEqual([at(11), at(12)])
})

test('[D4] the place after a resync is kept when the data is there: a page that is loaded again before is told of it, too', async () => {
  const cursorStore = new MemoryStore()
  const page = openPage({ cursorStore: cursorStore.option, identity: 'ada' })
  const loads: { done(): void; fail(error: Error): void }[] = []
  page.subscriber.onResync(() => new Promise<void>((done, fail) => loads.push({ done, fail })))
  const first = await page.open(connected({ id: at(1), heartbeatMs: 0 }))
  await page.clock.advance(1_000)
  await page.send(first, resync('epoch', at(5)), updated('a', at(6)))
  await page.clock.advance(2_000)
  loads[0]?.fail(new Error('503'))
  await page.clock.advance(2_000)
  first.end()
  await page.settle()
  loads[1]?.fail(new Error('no network'))
  await page.clock.advance(2_000)
  page.subscriber.close()
  expect([loads.length, cursorStore.writes.at(-1)]).toEqual([2, at(1)])
  page.subscriber.connect()
  await page.settle()
  page.network.last.stream(connected({ id: at(5), heartbeatMs: 0 }), updated('a', at(6)))
  await page.clock.advance(2_000)
  loads[2]?.done()
  await page.clock.advance(1_000)
  expect([page.subscriber.state, cursorStore.writes.at(-1)]).toEqual(['connected', at(6)])
  page.subscriber.close()
})

test('[D3] where an id is no cursor the one before is kept: from there on all of it comes again', async () => {
  const cursorStore = new MemoryStore()
  const page = openPage({ cursorStore: cursorStore.option, identity: 'ada' })
  await page.open(connected({ id: at(1) }), updated('a', at(2)), updated('b', 'no cursor'))
  page.subscriber.close()
  expect([page.ids, page.codes]).toEqual([['a', 'b'], ['INVALID_CURSOR']])
  expect(await firstCursor(cursorStore.option)).toBe(at(2))
})

test('[A6] a kept cursor that the server does not take is removed', async () => {
  const cursorStore = new MemoryStore()
  const before = openPage({ cursorStore: cursorStore.option, identity: 'ada' })
  await before.open(connected({ id: at(5) }))
  before.subscriber.close()
  const page = openPage({ cursorStore: cursorStore.option, identity: 'ada' })
  page.subscriber.connect()
  await page.settle()
  page.network.last.answer(409)
  const next = await page.next()
  expect([next.header('last-event-id'), cursorStore.kept.size]).toEqual([undefined, 0])
})

test('a store that throws, rejects, says nonsense or never answers is no error, and the stream opens within a second', async () => {
  const store = new MemoryStore()
  for (const get of [
    () => {
      throw new Error('SecurityError')
    },
    () => Promise.reject(new Error('locked')),
    () => 'not a cursor',
    () => 7 as never,
    () => new Promise<string>(() => {}),
  ]) {
    store.get = get
    expect(await firstCursor(store.option)).toBeUndefined()
  }
})

test('a store that fails is written to again; one that never answers is not asked twice', async () => {
  const cursorStore = new MemoryStore()
  const page = openPage({ cursorStore: cursorStore.option, identity: 'ada' })
  cursorStore.broken = true
  const stream = await page.open(connected({ id: at(1) }))
  await page.clock.advance(1_000)
  cursorStore.broken = false
  await page.send(stream, updated('a', at(2)))
  await page.clock.advance(1_000)
  expect([cursorStore.writes, page.errors]).toEqual([[at(2)], []])
  const set = vi.spyOn(cursorStore, 'set').mockReturnValue(new Promise(() => {}))
  for (const offset of [3, 4, 5]) {
    await page.send(stream, updated('a', at(offset)))
    await page.clock.advance(1_000)
  }
  expect(set).toHaveBeenCalledTimes(1)
})

test('[K7] closed while the store is read, and connected again: one request, with the cursor', async () => {
  const store = new MemoryStore()
  let answer: ((cursor: string) => void) | undefined
  store.get = () =>
    new Promise((resolve) => {
      answer = resolve
    })
  const page = openPage({ cursorStore: store.option, identity: 'ada' })
  page.subscriber.connect()
  await page.settle()
  page.subscriber.close()
  expect(page.clock.pending).toBe(0)
  answer?.(at(3))
  await page.settle()
  expect([page.network.exchanges.length, page.subscriber.cursor]).toEqual([0, undefined])
  page.subscriber.connect()
  await page.settle()
  answer?.(at(4))
  await page.settle()
  expect(page.network.exchanges.map((one) => one.header('last-event-id'))).toEqual([at(4)])
})

test('[K9] sessionCursor() keeps it in the tab, under the prefix; without a storage it keeps nothing', async () => {
  expect(await firstCursor(sessionCursor())).toBeUndefined()
  const kept = new Map<string, string>()
  vi.stubGlobal('sessionStorage', {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => kept.set(key, value),
    removeItem: (key: string) => kept.delete(key),
  })
  const cursorStore = sessionCursor('app:')
  const page = openPage({ cursorStore, identity: 'ada' })
  await page.open(connected({ id: at(1) }))
  page.subscriber.close()
  expect([...kept]).toEqual([['app:["https://app.test/api/events/stream",null,"ada"]', at(1)]])
  expect(await firstCursor(cursorStore)).toBe(at(1))
})

test('[K7] a store that closes the subscriber, or asks for another stream, while it is written to', async () => {
  for (const action of ['close', 'reconnect'] as const) {
    let armed = false
    const set = () => {
      if (!armed) return
      armed = false
      page.subscriber[action]()
    }
    const cursorStore = storedCursor({ get: () => undefined, set, remove: () => {} })
    const page: ReturnType<typeof openPage> = openPage({ cursorStore, identity: 'ada' })
    const stream = await page.open(connected({ id: at(0) }), updated('a', at(1)))
    armed = true
    stream.end()
    await page.settle()
    const [requests, open] = action === 'close' ? [1, 0] : [2, 1]
    expect([page.network.exchanges.length, page.network.open]).toEqual([requests, open])
    page.subscriber.close()
    await page.clock.advance(60_000)
    expect([page.network.exchanges.length, page.network.open, page.clock.pending]).toEqual([requests, 0, 0])
  }
})
