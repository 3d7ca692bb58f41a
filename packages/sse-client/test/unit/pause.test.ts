import { expect, test } from 'vitest'
import type { PauseReason } from '../../src/index'
import { at, connected, updated } from '../support/frames'
import { openPage } from '../support/page'

test('[K7] the stream is open only while there is no reason against it, in whatever order they come and go', async () => {
  const reasons: Exclude<PauseReason, 'closed'>[] = ['hidden', 'offline', 'disabled', 'follower', 'frozen']
  const page = openPage()
  await page.open(connected({ id: at(3) }))
  for (const reason of reasons) page.subscriber.pause(reason)
  expect([page.network.open, page.clock.pending, page.subscriber.state]).toEqual([0, 0, 'disconnected'])
  for (const reason of reasons) {
    expect(page.subscriber.pauses).toContain(reason)
    await page.clock.advance(60_000)
    expect(page.network.exchanges).toHaveLength(1)
    page.subscriber.resume(reason)
    page.subscriber.resume(reason)
  }
  await page.settle()
  expect([page.network.exchanges.length, page.network.open]).toEqual([2, 1])
  expect([page.network.last.header('last-event-id'), page.subscriber.state]).toEqual([at(3), 'reconnecting'])
})

test('[K7] what close() has closed nothing but connect() opens', async () => {
  const page = openPage({ hidden: 'close' })
  await page.open(connected({ id: at(0) }))
  await page.hide(true)
  page.subscriber.pause('disabled')
  page.subscriber.close()
  await page.hide(false)
  page.subscriber.resume('disabled')
  page.subscriber.resume('hidden')
  await page.leave(false)
  await page.clock.advance(600_000)
  expect([page.network.exchanges.length, page.subscriber.pauses, page.listening]).toEqual([1, ['closed'], 0])
  page.subscriber.connect()
  await page.settle()
  expect(page.network.exchanges).toHaveLength(2)
})

test('[K7] connect() does not open what another reason holds, and is not forgotten', async () => {
  const page = openPage()
  page.subscriber.pause('disabled')
  page.subscriber.connect()
  page.subscriber.reconnect()
  await page.settle()
  expect([page.network.exchanges.length, page.subscriber.pauses]).toEqual([0, ['disabled']])
  page.subscriber.resume('disabled')
  await page.settle()
  expect(page.network.exchanges).toHaveLength(1)
})

test('[K4] after the server has said no, the end of a pause is no reason to ask again', async () => {
  const page = openPage()
  page.subscriber.connect()
  await page.settle()
  page.network.last.answer(403)
  await page.settle()
  page.subscriber.pause('disabled')
  page.subscriber.resume('disabled')
  await page.hide(false)
  await page.leave(false)
  expect([page.network.exchanges.length, page.subscriber.pauses]).toEqual([1, ['closed']])
})

test('[K6] hidden: keep, which is the default, keeps the stream', async () => {
  const page = openPage()
  await page.open(connected({ id: at(0), heartbeatMs: 0 }))
  await page.hide(true)
  await page.clock.advance(3_600_000)
  expect(page.network.open).toBe(1)
})

test('[K6] hidden: close closes at once, keeps the cursor, and opens at once: no delay, one stream, nothing missed', async () => {
  const page = openPage({ hidden: 'close' }, { random: () => 1 })
  const stream = await page.open(connected({ id: at(0) }), updated('a', at(1)))
  await page.hide(true)
  expect([page.network.open, page.subscriber.cursor]).toEqual([0, at(1)])
  await page.send(stream, updated('never', at(9)))
  await page.hide(false)
  expect([page.network.exchanges.length, page.network.open]).toEqual([2, 1])
  page.network.last.stream(connected({ id: at(3), resume: 'replayed' }), updated('b', at(2)), updated('c', at(3)))
  await page.settle()
  expect([page.ids, page.resyncs]).toEqual([['a', 'b', 'c'], []])
})

test('[K6] hidden: { closeAfterMs } closes after that, unless somebody looks before', async () => {
  const page = openPage({ hidden: { closeAfterMs: 60_000 } })
  await page.open(connected({ id: at(0), heartbeatMs: 0 }))
  await page.hide(true)
  await page.clock.advance(59_999)
  await page.hide(false)
  await page.clock.advance(60_000)
  expect([page.network.open, page.clock.pending]).toEqual([1, 0])
  await page.hide(true)
  await page.clock.advance(60_000)
  expect([page.network.open, page.subscriber.pauses]).toEqual([0, ['hidden']])
})

test('[K7] close() while it waits to close because it is hidden leaves no timer', async () => {
  const page = openPage({ hidden: { closeAfterMs: 60_000 } })
  await page.open(connected({ id: at(0) }))
  await page.hide(true)
  page.subscriber.close()
  expect([page.clock.pending, page.listening]).toEqual([0, 0])
})

test('[K4] a pause does not shorten what the server has asked for', async () => {
  const page = openPage({ hidden: 'close' })
  page.subscriber.connect()
  await page.settle()
  page.network.last.answer(429, { 'Retry-After': '60' })
  await page.settle()
  await page.clock.advance(20_000)
  await page.hide(true)
  await page.clock.advance(10_000)
  await page.hide(false)
  const { nextRetryAt } = page.subscriber.getSnapshot()
  expect([page.network.exchanges.length, nextRetryAt]).toEqual([1, page.clock.now() + 30_000])
  await page.clock.advance(30_000)
  expect(page.network.exchanges).toHaveLength(2)
})

test('[K6] a page that is hidden before it connects, left, hidden and shown again ends with one stream', async () => {
  const page = openPage({ hidden: 'close' })
  await page.open(connected({ id: at(0) }))
  for (let round = 0; round < 3; round++) {
    await page.hide(true)
    await page.leave(true)
    await page.leave(false)
    await page.hide(false)
  }
  expect(page.network.open).toBe(1)
})

test('[K6] reconnect() makes another stream at once: while it waits, requests, or streams', async () => {
  const page = openPage()
  page.subscriber.connect()
  await page.settle()
  page.network.last.answer(503, { 'Retry-After': '60' })
  await page.settle()
  page.subscriber.reconnect()
  await page.settle()
  expect([page.network.exchanges.length, page.subscriber.getSnapshot().error]).toEqual([2, undefined])
  page.subscriber.reconnect()
  await page.settle()
  expect([page.network.exchanges.length, page.network.open]).toEqual([3, 1])
  page.network.last.stream(connected({ id: at(4) }))
  await page.settle()
  page.subscriber.reconnect()
  await page.settle()
  expect([page.network.exchanges.length, page.network.open]).toEqual([4, 1])
  expect(page.network.last.header('last-event-id')).toBe(at(4))
  expect([page.resyncs, page.codes]).toEqual([[], ['UNAVAILABLE']])
})

test('[K7] reconnect() after close() connects', async () => {
  const page = openPage()
  page.subscriber.reconnect()
  await page.settle()
  expect([page.network.exchanges.length, page.subscriber.state]).toEqual([1, 'connecting'])
})
