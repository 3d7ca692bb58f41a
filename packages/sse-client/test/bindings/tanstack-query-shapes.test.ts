import type { SubscriberError } from '@entitycast/sse-client'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { bound } from './bound-queries'

beforeEach(() => {
  vi.useFakeTimers()
})

afterEach(() => {
  vi.useRealTimers()
})

const PATCH = { patterns: { 'document:*': { patch: ['documents'] } } }
const WINDOW_MS = 50

interface Row {
  id: string
  chunks: number
}

it.each([
  ['the pages of an infinite query', { pages: [[{ id: 'a', chunks: 1 }]], pageParams: [0] }],
  ['a count', 5],
  ['null, where nothing was found', null],
  ['a list of names', ['a', 'b']],
  ['an object without an id', { total: 1 }],
])('%s: what an event means to it only the server knows, and the rows beside it are patched', async (_, data) => {
  const { look, server, update, subscriber } = await bound(PATCH)
  const errors: SubscriberError[] = []
  subscriber.onError((error) => errors.push(error))
  const other = look(['documents', 'other'], data)
  const rows = look(['documents'], [{ id: 'a', chunks: 1 }])
  await server.push({ type: 'entity.created', entity: 'document', id: 'b', data: { chunks: 0 } })
  await update('a', 2)
  expect(rows.data).toEqual([
    { id: 'a', chunks: 2 },
    { id: 'b', chunks: 0 },
  ])
  await vi.advanceTimersByTimeAsync(WINDOW_MS)
  expect([other.data, other.asked, rows.asked, errors]).toEqual([data, 1, 0, []])
})

it('[S8] an update that throws is reported; its query is loaded again, and the others are patched', async () => {
  const grow = (rows: unknown) => (rows as Row[]).map((row) => ({ ...row, chunks: 9 }))
  const { look, update, subscriber } = await bound({
    patterns: { 'document:*': { patch: ['documents'], update: grow } },
  })
  const codes: string[] = []
  subscriber.onError(({ code }) => codes.push(code))
  const odd = look(['documents', 'odd'], { total: 1 })
  const rows = look(['documents'], [{ id: 'a', chunks: 1 }])
  await update('a', 2)
  expect([rows.data, codes]).toEqual([[{ id: 'a', chunks: 9 }], ['HANDLER_FAILED']])
  await vi.advanceTimersByTimeAsync(WINDOW_MS)
  expect([odd.asked, rows.asked]).toEqual([1, 0])
})

it('[S8] nor does it fail the request whose answer it is called for', async () => {
  const { look, update } = await bound({
    patterns: {
      'document:*': {
        patch: ['documents'],
        update: () => {
          throw new Error('no')
        },
      },
    },
  })
  const rows = look(['documents'], [{ id: 'a', chunks: 1, version: 1 }])
  await update('a', 2, 2)
  await vi.advanceTimersByTimeAsync(WINDOW_MS)
  await update('a', 3, 3)
  await rows.answer([{ id: 'a', chunks: 2, version: 2 }])
  expect([rows.asked, rows.state?.status, rows.state?.error]).toEqual([1, 'success', null])
  await vi.advanceTimersByTimeAsync(WINDOW_MS)
  await rows.answer([{ id: 'a', chunks: 3, version: 3 }])
  await vi.advanceTimersByTimeAsync(WINDOW_MS)
  expect([rows.asked, rows.data]).toEqual([2, [{ id: 'a', chunks: 3, version: 3 }]])
})

it('[D4] a resync is not over before what was on its way when it came is loaded once more', async () => {
  const { look, server, subscriber, queryClient } = await bound(PATCH)
  const [idle, busy] = [look(['documents'], []), look(['notes'], ['old'])]
  void queryClient.refetchQueries({ queryKey: ['notes'] })
  await vi.advanceTimersByTimeAsync(0)
  await server.gap()
  await idle.answer([])
  await busy.answer(['from before the gap'])
  expect([idle.asked, busy.asked, subscriber.state]).toEqual([1, 2, 'resyncing'])
  await busy.answer(['new'])
  await vi.advanceTimersByTimeAsync(WINDOW_MS)
  expect([idle.asked, busy.asked, busy.data, subscriber.state]).toEqual([1, 2, ['new'], 'connected'])
})
