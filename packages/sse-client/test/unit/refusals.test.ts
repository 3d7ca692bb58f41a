import { expect, test } from 'vitest'
import type { HeadersContext } from '../../src/index'
import { at, closing, connected, updated } from '../support/frames'
import { openPage } from '../support/page'

test('[A3] a refusal that is a stream of only `retry:` is waited for', async () => {
  const page = openPage()
  const stream = await page.open('retry: 30000\n\n')
  stream.end()
  await page.clock.advance(30_000)
  expect(page.network.exchanges).toHaveLength(1)
  await page.clock.advance(500)
  expect(page.network.exchanges).toHaveLength(2)
})

test.each([429, 503])('[A7] %i waits at least Retry-After, with jitter on top, at most 5 minutes', async (status) => {
  const page = openPage()
  page.subscriber.connect()
  await page.settle()
  page.network.last.answer(status, { 'Retry-After': '40' })
  await page.clock.advance(40_000)
  expect(page.network.exchanges).toHaveLength(1)
  await page.clock.advance(500)
  page.network.last.answer(status, { 'Retry-After': '86400' })
  await page.clock.advance(302_000)
  expect(page.network.exchanges).toHaveLength(3)
  expect(page.errors[0]).toMatchObject({ code: 'UNAVAILABLE', status, retrying: true })
})

test.each([
  [204, 'NO_CONTENT'],
  [302, 'REDIRECTED'],
  [400, 'REFUSED'],
  [403, 'FORBIDDEN'],
  [404, 'NOT_FOUND'],
])('[A5] %i stops, says so, and nothing is left', async (status, code) => {
  const page = openPage()
  page.subscriber.connect()
  await page.settle()
  page.network.last.answer(status, { Location: 'https://evil.test/' })
  await page.clock.advance(600_000)
  expect(page.errors).toMatchObject([{ code, status, retrying: false }])
  expect(page.story).toEqual(['connecting', `error:${code}`, 'disconnected'])
  expect([page.network.exchanges.length, page.network.open, page.clock.pending, page.listening]).toEqual([1, 0, 0, 0])
})

test('[A4] after 401 headers are asked for once more, with the reason; a second 401 in a row stops', async () => {
  const asked: HeadersContext[] = []
  const page = openPage({ headers: async (context) => ({ Authorization: `Bearer ${asked.push(context)}` }) })
  page.subscriber.connect()
  await page.settle()
  expect(page.network.last.header('authorization')).toBe('Bearer 1')
  page.network.last.answer(401)
  await page.clock.advance(1_000)
  expect(page.network.last.header('authorization')).toBe('Bearer 2')
  page.network.last.answer(401)
  await page.clock.advance(600_000)
  expect(asked).toEqual([{ attempt: 1 }, { attempt: 2, reason: 'unauthorized' }])
  expect(page.errors).toMatchObject([{ code: 'UNAUTHORIZED', status: 401, retrying: false }])
  expect(page.subscriber.state).toBe('disconnected')
})

test('[A4] a stream in between makes the next 401 the first again', async () => {
  const page = openPage()
  for (let i = 0; i < 3; i++) {
    if (i === 0) page.subscriber.connect()
    ;(await page.next()).answer(401)
    const stream = await page.reopen(connected({ id: at(0), resume: i === 0 ? 'live' : 'replayed' }))
    await page.clock.advance(10_000)
    stream.end()
  }
  await page.settle()
  expect(page.codes).toEqual(['STREAM_ENDED', 'STREAM_ENDED', 'STREAM_ENDED'])
})

test('[A5] after it has stopped the application may connect again', async () => {
  const page = openPage()
  page.subscriber.connect()
  await page.settle()
  page.network.last.answer(403)
  await page.settle()
  await page.open(connected({ id: at(0) }))
  expect(page.states).toEqual(['connecting', 'disconnected', 'connecting', 'connected'])
})

test.each([409, 431])('[A6] %i drops the cursor: the next stream begins with a resync', async (status) => {
  const page = openPage({ since: at(41) })
  page.subscriber.connect()
  await page.settle()
  page.network.last.answer(status)
  const next = await page.reopen(connected({ id: at(60) }), updated('a', at(61)))
  expect(next.header('last-event-id')).toBeUndefined()
  expect(page.story).toEqual([
    'connecting',
    'error:CURSOR_REFUSED',
    'reconnecting',
    'resync:bad-cursor',
    'connected',
    'a',
  ])
})

test("[A6] a second 431 is not the cursor's fault, and stops", async () => {
  const page = openPage({ since: at(41) })
  page.subscriber.connect()
  for (let i = 0; i < 2; i++) (await page.next()).answer(431)
  await page.settle()
  expect(page.codes).toEqual(['CURSOR_REFUSED', 'REFUSED'])
  expect(page.subscriber.state).toBe('disconnected')
})

test('[A7] 200 that is no event stream is retried, and its body is not read', async () => {
  const page = openPage()
  page.subscriber.connect()
  await page.settle()
  const exchange = page.network.last.answer(200, { 'Content-Type': 'text/html' }).send('<html>')
  await page.settle()
  expect([page.codes, exchange.cancelled]).toEqual([['NOT_A_STREAM'], true])
  await page.reopen(connected({ id: at(0) }))
})

test.each(['revoked', 'replaced'] as const)('[W20] after %s it does not come back by itself', async (reason) => {
  const page = openPage()
  await page.open(connected({ id: at(0) }), closing(reason) + updated('a', at(1)))
  await page.clock.advance(600_000)
  expect(page.story.slice(2)).toEqual([`error:${reason.toUpperCase()}`, 'disconnected'])
  expect([page.network.exchanges.length, page.network.open, page.clock.pending]).toEqual([1, 0, 0])
})

test('[S5] after expired it comes back at once with fresh headers and resumes; where that repeats itself, with backoff', async () => {
  const reasons: unknown[] = []
  const page = openPage({ headers: ({ reason }) => ({ attempt: String(reasons.push(reason)) }) }, { random: () => 1 })
  await page.open(connected({ id: at(0) }), closing('expired'))
  await page.clock.advance(500)
  expect(page.network.exchanges).toHaveLength(2)
  expect(page.network.last.header('last-event-id')).toBe(at(0))
  page.network.last.stream(connected({ id: at(0), resume: 'replayed' }), closing('expired'))
  await page.clock.advance(999)
  expect(page.network.exchanges).toHaveLength(2)
  await page.clock.advance(1)
  expect(page.network.exchanges).toHaveLength(3)
  expect(reasons).toEqual([undefined, 'expired', 'expired'])
  expect([page.errors, page.resyncs]).toEqual([[], []])
})

test('[W18] after rotated it comes back within half a second, and the page is told of no error', async () => {
  const page = openPage({}, { random: () => 1 })
  const stream = await page.open(connected({ id: at(0) }))
  await page.clock.advance(12_000)
  await page.send(stream, closing('rotated'))
  await page.clock.advance(500)
  expect(page.network.exchanges).toHaveLength(2)
  expect(page.errors).toEqual([])
})

test.each(['rotated', 'expired', 'shutdown', 'slow'] as const)(
  '[W19] after %s it comes back no sooner than `retry` says',
  async (reason) => {
    const page = openPage()
    await page.open(connected({ id: at(0) }), closing(reason, 20_000))
    await page.clock.advance(19_999)
    expect(page.network.exchanges).toHaveLength(1)
    await page.clock.advance(1_000)
    expect(page.network.exchanges).toHaveLength(2)
  },
)

test('[W18] a reason that is not known is one more to come back', async () => {
  const page = openPage()
  await page.open(connected({ id: at(0) }), 'event: closing\ndata: {"reason":"tuesday"}\n\n')
  await page.reopen(connected({ id: at(0), resume: 'replayed' }))
  expect([page.errors, page.subscriber.state]).toEqual([[], 'connected'])
})
