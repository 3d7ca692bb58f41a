import { expect, test } from 'vitest'
import type { HeadersContext, SubscriberOptions } from '../../src/index'
import { at, closing, connected, heartbeat, resync, updated } from '../support/frames'
import { openPage } from '../support/page'

const MINUTE = 60_000
/** With chance in the middle, a grant of 15 minutes is renewed 45 s before its end. */
const GRANT = 15 * MINUTE
const RENEWAL = GRANT - 45_000

/** A page whose grant ends, at the moment when the next stream has been asked for. */
async function renewing(options: SubscriberOptions = {}) {
  const asked: HeadersContext[] = []
  const page = openPage({
    headers: (context) => {
      asked.push(context)
      return { authorization: `token ${asked.length}` }
    },
    ...options,
  })
  const old = await page.open(connected({ id: at(4), heartbeatMs: 0, expiresInMs: GRANT }), updated('a', at(5)))
  await page.clock.advance(RENEWAL - 1)
  expect(page.network.exchanges).toHaveLength(1)
  await page.clock.advance(1)
  return { page, old, next: page.network.last, asked }
}

test('[W22 L6] shortly before the grant ends the next stream is opened with fresh headers, and then the old one is let go of', async () => {
  const { page, old, next, asked } = await renewing()
  expect(asked).toEqual([{ attempt: 1 }, { attempt: 1, reason: 'expiring' }])
  expect([next.header('authorization'), next.header('last-event-id')]).toEqual(['token 2', at(5)])
  expect(old.released).toBe(false)
  next.stream(connected({ id: at(5), resume: 'live', heartbeatMs: 0, expiresInMs: GRANT }), updated('b', at(6)))
  await page.settle()
  expect([old.released, page.network.open]).toEqual([true, 1])
  expect(page.story).toEqual(['connecting', 'connected', 'a', 'b'])
  expect(page.subscriber.dump().at(-1)).toMatchObject({ from: 'streaming', signal: 'renew', to: 'streaming' })
  // And again, as often as it ends.
  await page.clock.advance(RENEWAL)
  expect(page.network.last.header('last-event-id')).toBe(at(6))
  page.subscriber.close()
  expect([page.network.open, page.clock.pending]).toEqual([0, 0])
})

test('[L6] what the old stream brings while the next one is asked for comes once, from the next one', async () => {
  const { page, old, next } = await renewing()
  await page.send(old, updated('b', at(6)), updated('c', at(7)))
  expect(page.ids).toEqual(['a'])
  next.stream(
    connected({ id: at(5), resume: 'replayed', heartbeatMs: 0 }),
    updated('b', at(6)) + updated('c', at(7)) + updated('d', at(8)),
  )
  await page.settle()
  await page.send(old, updated('c', at(7)), updated('d', at(8)))
  expect(page.ids).toEqual(['a', 'b', 'c', 'd'])
  expect([page.resyncs, page.subscriber.cursor]).toEqual([[], at(8)])
})

test('[L6 G2] a page that was cut by it comes whole from the next stream', async () => {
  const page = openPage()
  const old = await page.open(connected({ id: at(4), heartbeatMs: 0, expiresInMs: GRANT }), updated('a'))
  await page.clock.advance(RENEWAL)
  await page.send(old, updated('b', at(6)))
  page.network.last.stream(
    connected({ id: at(4), resume: 'replayed', heartbeatMs: 0 }),
    updated('a'),
    updated('b', at(6)),
  )
  await page.settle()
  expect(page.ids).toEqual(['a', 'b'])
})

test.each([
  ['the network fails', (next) => next.fail(new TypeError('Failed to fetch'))],
  ['it is refused', (next) => next.answer(503)],
  ['it is no stream', (next) => next.answer(200, { 'content-type': 'text/html' })],
  ['it ends at once', (next) => next.stream().end()],
  ['it cannot be resumed', (next) => next.stream(connected({ resume: 'resync' }), resync('expired', at(9)))],
  ['it goes on elsewhere', (next) => next.stream(connected({ id: at(9) }))],
  ['it is another project’s', (next) => next.stream(connected({ id: at(5), projectId: 'other' }))],
  ['it is something else', (next) => next.stream(updated('x', at(9)))],
  ['nothing comes for 3 s', () => {}],
] as [string, (next: Awaited<ReturnType<typeof renewing>>['next']) => void][])(
  '[L6] where %s, the old stream is read on, nothing is seen of it, and expired leads to fresh headers',
  async (_, happens) => {
    const { page, old, next, asked } = await renewing()
    await page.send(old, updated('b', at(6)))
    happens(next)
    await page.clock.advance(3_000)
    expect([next.released || next.status !== 200, old.released]).toEqual([true, false])
    await page.send(old, updated('c', at(7)))
    expect(page.story).toEqual(['connecting', 'connected', 'a', 'b', 'c'])
    await page.clock.advance(41_000)
    expect(page.network.exchanges).toHaveLength(2)
    await page.send(old, closing('expired'))
    const last = await page.next()
    expect(asked.at(-1)?.reason).toBe('expired')
    expect(last.header('last-event-id')).toBe(at(7))
  },
)

test('[L6] an old stream that ends meanwhile has its say only where there is no next one', async () => {
  for (const renewed of [true, false]) {
    const { page, old, next } = await renewing()
    await page.send(old, closing('revoked'))
    old.end()
    await page.settle()
    expect(page.subscriber.state).toBe('connected')
    if (renewed) next.stream(connected({ id: at(5), resume: 'live' }))
    else next.answer(403)
    await page.settle()
    expect([page.subscriber.state, page.codes]).toEqual(renewed ? ['connected', []] : ['disconnected', ['REVOKED']])
    page.subscriber.close()
  }
})

test('[K7 L6] close, pause and another stream end a renewal, and leave neither timer nor request', async () => {
  for (const end of ['close', 'pause', 'reconnect'] as const) {
    const { page, next } = await renewing()
    if (end === 'pause') page.subscriber.pause('disabled')
    else page.subscriber[end]()
    await page.settle()
    expect(next.released).toBe(true)
    next.stream(connected({ id: at(5) }), updated('late', at(6)))
    await page.settle()
    expect(page.ids).toEqual(['a'])
    page.subscriber.close()
    expect([page.network.open, page.clock.pending]).toEqual([0, 0])
  }
})

test('[A3 L6] Retry-After of a renewal that was refused holds for the attempt that follows', async () => {
  const { page, old, next } = await renewing()
  next.answer(429, { 'Retry-After': '30' })
  await page.clock.advance(1_000)
  old.end()
  await page.clock.advance(28_000)
  expect(page.network.exchanges).toHaveLength(2)
  await page.clock.advance(3_000)
  expect(page.network.exchanges).toHaveLength(3)
})

test('[A4 L6] after 401 to a renewal the next attempt asks for fresh headers', async () => {
  const { page, old, next, asked } = await renewing()
  next.answer(401)
  await page.settle()
  old.end()
  await page.next()
  expect(asked.at(-1)?.reason).toBe('unauthorized')
  expect(page.codes).toEqual(['STREAM_ENDED'])
})

test('[L6] another user is not renewed: the old stream goes on to its end, and then the cursor is given up', async () => {
  let user = 'ada'
  const page = openPage({ identity: () => user })
  const old = await page.open(connected({ id: at(4), heartbeatMs: 0, expiresInMs: GRANT }))
  user = 'bob'
  await page.clock.advance(GRANT - 1_000)
  expect(page.network.exchanges).toHaveLength(1)
  await page.send(old, closing('expired'))
  expect((await page.next()).header('last-event-id')).toBeUndefined()
})

test('[L6] while a resync is told nothing is renewed; nor is a grant that ends within a second', async () => {
  const page = openPage({ resyncTimeoutMs: 10 * GRANT })
  page.subscriber.onResync(() => new Promise<void>(() => {}))
  await page.open(connected({ resume: 'resync', heartbeatMs: 0, expiresInMs: GRANT }), resync('expired', at(9)))
  await page.clock.advance(GRANT)
  expect([page.subscriber.state, page.network.exchanges.length]).toEqual(['resyncing', 1])
  const brief = openPage()
  await brief.open(connected({ id: at(4), heartbeatMs: 0, expiresInMs: 999 }))
  await brief.clock.advance(GRANT)
  expect(brief.network.exchanges).toHaveLength(1)
})

test('[L6] clients that came together do not renew together: 30 to 60 s before the end, or of a short grant an eighth to a quarter', async () => {
  for (const [chance, grantMs, leftMs] of [
    [0, GRANT, 30_000],
    [1, GRANT, 60_000],
    [0, 40_000, 5_000],
    [1, 40_000, 10_000],
  ] as const) {
    const page = openPage({}, { random: () => chance })
    await page.open(connected({ id: at(4), heartbeatMs: 0, expiresInMs: grantMs }))
    await page.clock.advance(grantMs - leftMs - 1)
    expect(page.network.exchanges).toHaveLength(1)
    await page.clock.advance(1)
    expect(page.network.exchanges).toHaveLength(2)
    page.subscriber.close()
  }
})

test('[K6 L6] a stream that is dead is noticed as ever while it is renewed, and so is the next one', async () => {
  const page = openPage()
  const old = await page.open(connected({ id: at(4), heartbeatMs: 1_000, expiresInMs: 20_000 }))
  for (let passed = 0; passed < 16_000; passed += 1_000) {
    await page.send(old, heartbeat(at(4)))
    await page.clock.advance(1_000)
  }
  expect(page.network.exchanges).toHaveLength(1)
  await page.clock.advance(2_500)
  expect(page.network.exchanges.length).toBeGreaterThan(1)
  page.network.last.stream(connected({ id: at(4), heartbeatMs: 1_000 }))
  await page.clock.advance(2_900)
  expect(page.subscriber.state).toBe('connected')
  await page.clock.advance(200)
  expect(page.codes.at(-1)).toBe('SILENT')
})
