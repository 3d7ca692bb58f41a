import { afterEach, expect, test, vi } from 'vitest'
import { type CursorStore, eventsOf, keepCursor, keptCursor, ready, sessionCursor } from '../../src/index'
import { at, connected, resync, updated } from '../support/frames'
import { openPage } from '../support/page'

afterEach(() => {
  vi.unstubAllGlobals()
})

test('ready() waits for the stream, through failures and an async resync; then it is there at once', async () => {
  const page = openPage({ since: at(1) })
  let done: (() => void) | undefined
  page.subscriber.onResync(
    () =>
      new Promise<void>((resolve) => {
        done = resolve
      }),
  )
  let is = false
  const wait = ready(page.subscriber).then(() => {
    is = true
  })
  page.subscriber.connect()
  await page.settle()
  page.network.last.answer(503)
  await page.reopen(connected({ resume: 'resync' }), resync('expired', at(9)))
  expect([is, page.subscriber.state]).toEqual([false, 'resyncing'])
  done?.()
  await wait
  await ready(page.subscriber)
})

test('[K4] ready() rejects with what stopped the subscriber, with CLOSED, or with the reason of its signal', async () => {
  const page = openPage()
  const stopped = ready(page.subscriber)
  page.subscriber.connect()
  await page.settle()
  page.network.last.answer(403)
  await expect(stopped).rejects.toMatchObject({ code: 'FORBIDDEN' })
  const closed = ready(page.subscriber)
  page.subscriber.connect()
  page.subscriber.close()
  await expect(closed).rejects.toMatchObject({ code: 'CLOSED' })
  const aborter = new AbortController()
  const aborted = ready(page.subscriber, { signal: aborter.signal })
  aborter.abort(new Error('late'))
  await expect(aborted).rejects.toThrow('late')
  await expect(ready(page.subscriber, { signal: AbortSignal.abort(new Error('early')) })).rejects.toThrow('early')
})

test('ready() waits over a pause: that is not closed', async () => {
  const page = openPage()
  const wait = ready(page.subscriber)
  page.subscriber.connect()
  page.subscriber.pause('disabled')
  page.subscriber.resume('disabled')
  await page.settle()
  page.network.last.stream(connected({ id: at(0) }))
  await wait
})

test('[D1] eventsOf() gives events in order, also those that came before the loop asked, and ends with close()', async () => {
  const page = openPage()
  const events = eventsOf(page.subscriber, 'document:*')
  const stream = await page.open(connected({ id: at(0) }), updated('a', at(1)), updated('b', at(2)))
  const ids: unknown[] = []
  const loop = (async () => {
    for await (const { id } of events) ids.push(id)
  })()
  await page.settle()
  await page.send(stream, updated('c', at(3)))
  expect(ids).toEqual(['a', 'b', 'c'])
  page.subscriber.close()
  await loop
})

test('[D4] a loop that is too slow gets what could wait, and then QUEUE_OVERFLOW: nothing is missed in silence', async () => {
  const page = openPage()
  const events = eventsOf(page.subscriber, '*', { limit: 2 })
  await page.open(connected({ id: at(0) }), ...['a', 'b', 'c', 'd'].map((id, i) => updated(id, at(i + 1))))
  expect([await events.next(), await events.next()]).toMatchObject([{ value: { id: 'a' } }, { value: { id: 'b' } }])
  await expect(events.next()).rejects.toMatchObject({ code: 'QUEUE_OVERFLOW' })
  expect(await events.next()).toEqual({ done: true, value: undefined })
})

test('[K4] a loop that waits is thrown what stopped the subscriber', async () => {
  const page = openPage()
  const next = eventsOf(page.subscriber, '*').next()
  page.subscriber.connect()
  await page.settle()
  page.network.last.answer(404)
  await expect(next).rejects.toMatchObject({ code: 'NOT_FOUND' })
})

test('[K7] a loop that is left, or whose signal is aborted, listens no more', async () => {
  const page = openPage()
  const aborter = new AbortController()
  const left = eventsOf(page.subscriber, '*', { limit: 1 })
  const aborted = eventsOf(page.subscriber, '*', { signal: aborter.signal })
  const stream = await page.open(connected({ id: at(0) }), updated('a', at(1)))
  for await (const event of left) {
    expect(event.id).toBe('a')
    break
  }
  aborter.abort()
  await page.send(stream, updated('b', at(2)), updated('c', at(3)))
  expect(await left.next()).toEqual({ done: true, value: undefined })
  expect([(await aborted.next()).value?.id, (await aborted.next()).done]).toEqual(['a', true])
  expect((await eventsOf(page.subscriber, '*', { signal: aborter.signal }).next()).done).toBe(true)
})

/** A store that can be asked to fail. */
function memoryStore(): CursorStore & { writes: (string | undefined)[]; broken: boolean } {
  const writes: (string | undefined)[] = []
  return {
    writes,
    broken: false,
    get: () => writes.at(-1),
    async set(cursor) {
      if (this.broken) throw new Error('full')
      writes.push(cursor)
    },
    async remove() {
      writes.push(undefined)
    },
  }
}

test('[D3] a kept cursor is where the next page goes on', async () => {
  const store = memoryStore()
  const page = openPage()
  const stop = keepCursor(page.subscriber, store, { clock: page.clock })
  const stream = await page.open(connected({ id: at(0) }))
  for (let offset = 1; offset <= 50; offset++) {
    await page.send(stream, updated('a', at(offset)))
    await page.clock.advance(100)
  }
  // Live at once, then once a second.
  expect(store.writes.length).toBeLessThan(8)
  page.subscriber.close()
  await page.settle()
  expect(store.writes.at(-1)).toBe(at(50))
  stop()
  expect(page.clock.pending).toBe(0)
  const next = openPage({ since: await keptCursor(store) })
  next.subscriber.connect()
  await next.settle()
  expect(next.network.last.header('last-event-id')).toBe(at(50))
})

test('[D4] while a resync is due the cursor before it is kept, and a cursor that is given up is removed', async () => {
  const store = memoryStore()
  let user = 'ada'
  const page = openPage({ identity: () => user })
  keepCursor(page.subscriber, store, { clock: page.clock })
  const stream = await page.open(connected({ id: at(0) }), resync('overflow', at(5)))
  await page.send(stream, resync('expired', at(10)), updated('a', at(11)))
  expect(store.writes.at(-1)).not.toBe(at(10))
  await page.clock.advance(3_000)
  expect(store.writes.at(-1)).toBe(at(11))
  user = 'bob'
  page.subscriber.reconnect()
  await page.settle()
  page.network.last.stream(connected({}))
  await page.settle()
  expect(store.writes.at(-1)).toBeUndefined()
})

test('a store that fails is no error, and is written to again', async () => {
  const store = memoryStore()
  const page = openPage()
  keepCursor(page.subscriber, store, { clock: page.clock })
  store.broken = true
  const stream = await page.open(connected({ id: at(1) }))
  store.broken = false
  await page.send(stream, updated('a', at(2)))
  await page.clock.advance(1_000)
  expect([store.writes, page.errors]).toEqual([[at(2)], []])
  expect(await keptCursor({ ...store, get: () => Promise.reject(new Error('locked')) })).toBeUndefined()
  expect(await keptCursor({ ...store, get: () => 'not a cursor' })).toBeUndefined()
})

test('[K9] sessionCursor() keeps it in the tab, and without a storage keeps nothing', async () => {
  const store = sessionCursor('updates:ada')
  store.set('k.1')
  expect(await keptCursor(store)).toBeUndefined()
  const kept = new Map<string, string>()
  vi.stubGlobal('sessionStorage', {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => kept.set(key, value),
    removeItem: (key: string) => kept.delete(key),
  })
  store.set('k.1')
  expect([await keptCursor(store), [...kept]]).toEqual(['k.1', [['updates:ada', 'k.1']]])
  store.remove()
  expect(await keptCursor(store)).toBeUndefined()
})
