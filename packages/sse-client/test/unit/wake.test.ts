import { expect, test } from 'vitest'
import { at, connected, heartbeat, updated } from '../support/frames'
import { openPage } from '../support/page'

test('[L2, D9] not a byte for three heartbeats: the stream is given up and another opened at once', async () => {
  const page = openPage()
  const stream = await page.open(connected({ id: at(0), heartbeatMs: 15_000 }))
  await page.clock.advance(44_999)
  expect(page.network.exchanges).toHaveLength(1)
  await page.clock.advance(1)
  expect(stream.released).toBe(true)
  expect([page.codes, page.network.exchanges.length, page.network.open]).toEqual([['SILENT'], 2, 1])
  expect(page.network.last.header('last-event-id')).toBe(at(0))
})

test('[L2] any byte is life: a heartbeat, a comment, the beginning of a frame', async () => {
  const page = openPage()
  const stream = await page.open(connected({ id: at(0) }))
  for (const text of [heartbeat(at(0)), ':keepalive\n\n', 'event: enti', 'ty.upda']) {
    await page.clock.advance(44_000)
    await page.send(stream, text)
  }
  expect(page.network.exchanges).toHaveLength(1)
  await page.clock.advance(45_000)
  expect(page.network.exchanges).toHaveLength(2)
})

test('[L2] where heartbeats are off it does not judge', async () => {
  const page = openPage()
  await page.open(connected({ id: at(0), heartbeatMs: 0 }))
  expect(page.clock.pending).toBe(0)
  await page.clock.advance(3_600_000)
  expect(page.network.exchanges).toHaveLength(1)
})

test('[K6] a heartbeat of a millisecond does not make a busy page reconnect all the time', async () => {
  const page = openPage()
  await page.open(connected({ id: at(0), heartbeatMs: 1 }))
  await page.clock.advance(999)
  expect(page.network.exchanges).toHaveLength(1)
})

test('[K6] a laptop that has slept reconnects within 5 s of waking, once', async () => {
  const page = openPage()
  await page.open(connected({ id: at(0) }))
  await page.clock.advance(7_000)
  page.clock.sleep(3_600_000)
  await page.clock.advance(5_000)
  expect([page.network.exchanges.length, page.network.open]).toEqual([2, 1])
})

test('[K6] a page that comes back with a stale stream reconnects at once, and once', async () => {
  const page = openPage()
  await page.open(connected({ id: at(0) }))
  page.clock.sleep(60_000)
  await page.wake()
  await page.wake()
  await page.wake(true)
  expect([page.network.exchanges.length, page.network.open]).toEqual([2, 1])
  page.network.last.stream(connected({ id: at(0), resume: 'replayed' }), updated('a', at(1)))
  await page.settle()
  expect([page.ids, page.resyncs, page.errors]).toEqual([['a'], [], []])
})

test('[K6] a page that comes back with a fresh stream keeps it', async () => {
  const page = openPage()
  await page.open(connected({ id: at(0) }))
  await page.clock.advance(20_000)
  await page.wake()
  expect(page.network.exchanges).toHaveLength(1)
})

test('[K6] back from the back/forward cache no stream can have survived', async () => {
  const page = openPage()
  await page.open(connected({ id: at(0) }))
  await page.wake(true)
  expect([page.network.exchanges.length, page.network.open]).toEqual([2, 1])
})

test('[K6] back online, a page that waits for its next attempt makes it at once', async () => {
  const page = openPage({}, { random: () => 1 })
  page.subscriber.connect()
  for (let i = 0; i < 6; i++) (await page.next()).fail(new TypeError('offline'))
  await page.settle()
  expect(page.subscriber.state).toBe('reconnecting')
  await page.wake()
  expect(page.network.exchanges).toHaveLength(7)
  await page.wake()
  expect([page.network.exchanges.length, page.network.open]).toEqual([7, 1])
})

test('[K6] but not before the server wants it back', async () => {
  const page = openPage()
  page.subscriber.connect()
  await page.settle()
  page.network.last.answer(503, { 'Retry-After': '60' })
  await page.settle()
  await page.wake()
  expect(page.network.exchanges).toHaveLength(1)
  await page.clock.advance(60_000)
  await page.wake()
  expect(page.network.exchanges).toHaveLength(2)
})

test('[K7] a page that was closed is not woken', async () => {
  const page = openPage()
  await page.open(connected({ id: at(0) }))
  expect(page.listening).toBe(2)
  page.subscriber.close()
  expect(page.listening).toBe(0)
})

test('[S6] a clock that is set back keeps the watchdog', async () => {
  const page = openPage()
  await page.open(connected({ id: at(0) }))
  await page.clock.advance(20_000)
  page.clock.sleep(-3_600_000)
  await page.clock.advance(30_000)
  expect(page.network.exchanges).toHaveLength(2)
})

test('[K6] a request that was on its way for half of its time is made anew by a page that comes back; a fresh one is kept', async () => {
  const page = openPage()
  page.subscriber.connect()
  await page.clock.advance(20_000)
  await page.wake(true)
  expect(page.network.exchanges).toHaveLength(1)
  await page.clock.advance(5_000)
  await page.wake()
  expect([page.network.exchanges.length, page.network.open, page.codes]).toEqual([2, 1, []])
  page.subscriber.close()
})
