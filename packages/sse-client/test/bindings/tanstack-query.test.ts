import { EventSubscriber } from '@entitycast/sse-client'
import { bindQueryClient } from '@entitycast/sse-client/tanstack-query'
import { defineEvents } from '@entitycast/sse-protocol'
import { QueryClient } from '@tanstack/query-core'
import { afterEach, beforeEach, expect, expectTypeOf, it, vi } from 'vitest'
import { z } from 'zod'
import { bound } from './bound-queries'

beforeEach(() => {
  vi.useFakeTimers()
})

afterEach(() => {
  vi.useRealTimers()
})

interface Row {
  id: string
  chunks: number
  version?: number
}

const PATCH = { patterns: { 'document:*': { patch: ['documents'] } } }
const INVALIDATE = { patterns: { 'document:*': { invalidate: ['documents'] } } }
const WINDOW_MS = 50

it('a patch changes the rows that are cached, and asks for nothing', async () => {
  const { look, update } = await bound(PATCH)
  const rows = look(['documents'], [{ id: 'a', chunks: 1 }])
  await update('a', 2)
  await vi.advanceTimersByTimeAsync(WINDOW_MS)
  expect([rows.data, rows.asked]).toEqual([[{ id: 'a', chunks: 2 }], 0])
})

it('[K9] data that is not cached is not made', async () => {
  const { queryClient, update } = await bound(PATCH)
  await update('a', 2)
  expect(queryClient.getQueryCache().getAll()).toEqual([])
})

it('a row never goes backwards: an event that is not newer than the cached row changes nothing', async () => {
  const update = vi.fn((rows: unknown) => rows)
  const { look, update: push } = await bound({
    patterns: { 'document:*': [PATCH.patterns['document:*'], { patch: ['own'], update }] },
  })
  const rows = look(['documents'], [{ id: 'a', chunks: 5, version: 5 }])
  look(['own'], { id: 'a', chunks: 5, version: 5 })
  await push('a', 4, 4)
  expect(rows.data).toEqual([{ id: 'a', chunks: 5, version: 5 }])
  expect(update).not.toHaveBeenCalled()
  await push('a', 6, 6)
  expect(rows.data).toEqual([{ id: 'a', chunks: 6, version: 6 }])
  expect(update).toHaveBeenCalledOnce()
})

it('[D5] a query in flight is not overwritten by older data: what arrived meanwhile is applied again on top of the answer', async () => {
  const { look, update } = await bound(PATCH)
  const rows = look(['documents'])
  await update('a', 7, 7)
  await update('b', 2, 2)
  await rows.answer([
    { id: 'a', chunks: 6, version: 6 },
    { id: 'b', chunks: 3, version: 3 },
  ])
  const newest = [
    { id: 'a', chunks: 7, version: 7 },
    { id: 'b', chunks: 3, version: 3 },
  ]
  expect(rows.data).toEqual(newest)
  expect(rows.shown).toEqual([newest])
  await vi.advanceTimersByTimeAsync(WINDOW_MS)
  expect(rows.asked).toBe(1)
})

it('where versions are missing nobody can say which is newer, and the request is made once more', async () => {
  const { look, update } = await bound(PATCH)
  const rows = look(['documents'])
  await update('a', 7)
  await update('a', 8)
  await rows.answer([{ id: 'a', chunks: 6 }])
  await vi.advanceTimersByTimeAsync(WINDOW_MS)
  expect(rows.asked).toBe(2)
  await rows.answer([{ id: 'a', chunks: 8 }])
  await vi.advanceTimersByTimeAsync(WINDOW_MS)
  expect([rows.asked, rows.data]).toEqual([2, [{ id: 'a', chunks: 8 }]])
})

it('a burst of events is one request', async () => {
  const { look, update } = await bound(INVALIDATE)
  const rows = look(['documents'], [])
  for (let i = 0; i < 100; i++) await update(`doc_${i}`, i)
  expect(rows.asked).toBe(0)
  await vi.advanceTimersByTimeAsync(WINDOW_MS)
  expect(rows.asked).toBe(1)
  await rows.answer([])
  await vi.advanceTimersByTimeAsync(WINDOW_MS)
  expect(rows.asked).toBe(1)
})

it('what somebody has begun to load since the event is neither cancelled nor loaded twice', async () => {
  const { queryClient, look, update } = await bound(INVALIDATE)
  const rows = look(['documents'], [])
  await update('a', 1)
  const refetched = queryClient.refetchQueries({ queryKey: ['documents'] })
  await vi.advanceTimersByTimeAsync(WINDOW_MS)
  expect(rows.asked).toBe(1)
  await rows.answer(['new'])
  await refetched
  expect([rows.asked, rows.data]).toEqual([1, ['new']])
})

it('a query that nobody looks at is stale, and asked for when somebody does', async () => {
  const { queryClient, update } = await bound(INVALIDATE)
  queryClient.setQueryData(['documents'], [])
  await update('a', 1)
  await vi.advanceTimersByTimeAsync(WINDOW_MS)
  expect(queryClient.getQueryState(['documents'])).toMatchObject({ isInvalidated: true, fetchStatus: 'idle' })
})

it('a slow request is not starved by a stream of events: it is let through, and made once more after it', async () => {
  const { look, update } = await bound(INVALIDATE)
  const rows = look(['documents'])
  for (let i = 0; i < 10; i++) {
    await update('a', i)
    await vi.advanceTimersByTimeAsync(WINDOW_MS)
  }
  expect(rows.asked).toBe(1)
  await rows.answer(['first'])
  await vi.advanceTimersByTimeAsync(WINDOW_MS)
  expect([rows.asked, rows.data]).toEqual([2, ['first']])
  await rows.answer(['second'])
  await vi.advanceTimersByTimeAsync(WINDOW_MS)
  expect([rows.asked, rows.data]).toEqual([2, ['second']])
})

it('a request that fails is made once more where an event came meanwhile, and not for ever', async () => {
  const { look, update } = await bound(INVALIDATE)
  const rows = look(['documents'])
  await update('a', 1)
  await rows.fail()
  await vi.advanceTimersByTimeAsync(WINDOW_MS)
  expect(rows.asked).toBe(2)
  await rows.fail()
  await vi.advanceTimersByTimeAsync(10 * WINDOW_MS)
  expect(rows.asked).toBe(2)
})

it('a patch makes nothing fresh that was stale', async () => {
  const { queryClient, update } = await bound(PATCH)
  queryClient.setQueryData(['documents'], [{ id: 'a', chunks: 1 }], { updatedAt: 1 })
  await queryClient.invalidateQueries({ queryKey: ['documents'] })
  await update('a', 2)
  expect(queryClient.getQueryState(['documents'])).toMatchObject({
    data: [{ id: 'a', chunks: 2 }],
    dataUpdatedAt: 1,
    isInvalidated: true,
  })
})

it('an event without data says that the row has to be loaded again', async () => {
  const { server, look } = await bound(PATCH)
  const rows = look(['documents'], [{ id: 'a', chunks: 1 }])
  await server.push({ type: 'entity.updated', entity: 'document', id: 'a' })
  await vi.advanceTimersByTimeAsync(WINDOW_MS)
  expect(rows.asked).toBe(1)
})

it('one row is patched where it is the one, and loaded again where it was deleted', async () => {
  const { server, look, update } = await bound({ patterns: { 'document:*': { patch: ({ id }) => ['document', id] } } })
  const one = look(['document', 'a'], { id: 'a', chunks: 1 })
  await update('a', 2)
  await update('b', 9)
  expect(one.data).toEqual({ id: 'a', chunks: 2 })
  await server.push({ type: 'entity.deleted', entity: 'document', id: 'a' })
  await vi.advanceTimersByTimeAsync(WINDOW_MS)
  expect([one.data, one.asked]).toEqual([{ id: 'a', chunks: 2 }, 1])
})

it('a batch is applied to each of its rows that is older', async () => {
  const { server, look } = await bound(PATCH)
  const rows = look(
    ['documents'],
    [
      { id: 'a', chunks: 1, version: 1 },
      { id: 'b', chunks: 5, version: 5 },
    ],
  )
  await server.push({
    type: 'entity.batch',
    entity: 'document',
    id: null,
    ids: ['a', 'b'],
    data: { chunks: 2 },
    versions: [2, 2],
  })
  expect(rows.data).toEqual([
    { id: 'a', chunks: 2, version: 2 },
    { id: 'b', chunks: 5, version: 5 },
  ])
})

it('a type names any event; a key may depend on it, and may be none', async () => {
  const { server, look } = await bound({
    types: { 'lock:*': { invalidate: ({ data }) => (data === 'none' ? undefined : ['locks', data]) } },
  })
  const one = look(['locks', 1], 'old')
  const two = look(['locks', 2], 'old')
  await server.push({ type: 'lock:acquired', data: 1 }, { type: 'lock:released', data: 'none' })
  await vi.advanceTimersByTimeAsync(WINDOW_MS)
  expect([one.asked, two.asked]).toEqual([1, 0])
})

it('[D4] a resync loads again all that is looked at, once, also what no event names', async () => {
  const { server, queryClient, look } = await bound({})
  const rows = look(['documents'], [])
  const other = look(['other'], 1)
  queryClient.setQueryData(['hidden'], 1)
  await server.gap()
  await server.gap()
  await vi.advanceTimersByTimeAsync(WINDOW_MS)
  expect([rows.asked, other.asked]).toEqual([1, 1])
  expect(queryClient.getQueryState(['hidden'])?.isInvalidated).toBe(true)
})

it('a resync while a query is in flight makes its request once more', async () => {
  const { server, look } = await bound({})
  const rows = look(['documents'])
  await server.gap()
  await rows.answer(['before'])
  await vi.advanceTimersByTimeAsync(WINDOW_MS)
  await rows.answer(['after'])
  expect([rows.asked, rows.data]).toEqual([2, ['after']])
})

it('while there has been no stream for long, it polls; with the stream that ends', async () => {
  const { server, look } = await bound({}, { poll: { afterMs: 30_000, everyMs: 10_000 } })
  const rows = look(['documents'], ['0'])
  server.status(503)
  await server.drop()
  await vi.advanceTimersByTimeAsync(29_000)
  expect(rows.asked).toBe(0)
  for (const n of [1, 2]) {
    await vi.advanceTimersByTimeAsync(10_000)
    await rows.answer([String(n)])
    expect(rows.asked).toBe(n)
  }
  server.status(200)
  await server.advance(60_000)
  await vi.advanceTimersByTimeAsync(120_000)
  expect(rows.asked).toBe(2)
})

it('a short outage is none to poll for', async () => {
  const { server, look } = await bound({}, { poll: { afterMs: 30_000, everyMs: 10_000 } })
  const rows = look(['documents'], [])
  await server.drop()
  await vi.advanceTimersByTimeAsync(29_000)
  await server.advance(2_000)
  await vi.advanceTimersByTimeAsync(60_000)
  expect(rows.asked).toBe(0)
})

it('[K9] once unbound it does nothing any more, and no timer is left', async () => {
  const { server, unbind, look, update } = await bound(
    { ...PATCH, types: { 'lock:*': { invalidate: ['documents'] } } },
    { poll: { afterMs: 1, everyMs: 1 } },
  )
  const rows = look(['documents'], [{ id: 'a', chunks: 1 }])
  await server.push({ type: 'lock:acquired', data: 1 })
  unbind()
  unbind()
  await update('a', 2)
  await server.gap()
  await server.drop()
  await vi.advanceTimersByTimeAsync(60_000)
  expect([rows.data, rows.asked, vi.getTimerCount()]).toEqual([[{ id: 'a', chunks: 1 }], 0, 0])
})

it('with defineEvents the map is typed', () => {
  const events = defineEvents({
    entities: { document: z.object({ chunks: z.number() }) },
    named: { 'lock:acquired': z.object({ by: z.string() }) },
  })
  const updates = new EventSubscriber<typeof events>('https://app.test/')
  const unbind = bindQueryClient(updates, new QueryClient(), {
    patterns: {
      'document:*': {
        patch: ({ entity, id }) => [entity, id],
        update: (rows: Row[], { data }) => {
          expectTypeOf(data).toEqualTypeOf<{ chunks: number } | undefined>()
          return rows
        },
      },
    },
    types: { 'lock:acquired': { invalidate: ({ data }) => ['locks', data.by] } },
  })
  unbind()
  // @ts-expect-error no such entity is defined
  bindQueryClient(updates, new QueryClient(), { patterns: { 'dokument:*': { patch: ['documents'] } } })()
})
