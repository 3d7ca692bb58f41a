import { expect, test } from 'vitest'
import { Alarm } from '../../src/retry/alarm'
import { Backoff } from '../../src/retry/backoff'
import { VirtualClock } from '../support/clock'

test('[L4] delays are drawn from 0 to 1, 2, 4 … 30 s', () => {
  const most = new Backoff(() => 1)
  expect(Array.from({ length: 7 }, () => most.next(0))).toEqual([1000, 2000, 4000, 8000, 16_000, 30_000, 30_000])
  const least = new Backoff(() => 0)
  expect(Array.from({ length: 3 }, () => least.next(0))).toEqual([100, 100, 100])
})

test('[L4] a minimum is the least that is waited, with the jitter on top, and at most 5 minutes', () => {
  const backoff = new Backoff(() => 0.5)
  expect(backoff.next(20_000)).toBe(20_500)
  expect(backoff.next(Number.POSITIVE_INFINITY)).toBe(301_000)
})

test('[K5] a short delay is given once, until a stream has held', () => {
  const backoff = new Backoff(() => 1)
  expect([backoff.soon(), backoff.soon(), backoff.soon()]).toEqual([500, 1000, 2000])
  backoff.reset()
  expect([backoff.soon(), backoff.next(0)]).toEqual([500, 1000])
})

test('the window never overflows', () => {
  const backoff = new Backoff(() => 1)
  for (let i = 0; i < 5000; i++) backoff.next(0)
  expect(backoff.next(0)).toBe(30_000)
})

test('[K6] time asleep counts: a long wait ends within 5 s of waking', async () => {
  const clock = new VirtualClock()
  let rang = 0
  new Alarm(clock, 60_000, () => rang++)
  await clock.advance(7_000)
  clock.sleep(3_600_000)
  await clock.advance(2_999)
  expect(rang).toBe(0)
  await clock.advance(1)
  expect(rang).toBe(1)
  expect(clock.pending).toBe(0)
})

test('a clock that is set back by an hour costs nothing', async () => {
  const clock = new VirtualClock()
  let rang = 0
  const alarm = new Alarm(clock, 12_000, () => rang++)
  await clock.advance(6_000)
  clock.sleep(-3_600_000)
  expect(alarm.passedMs).toBeGreaterThanOrEqual(5_000)
  await clock.advance(6_000)
  expect(rang).toBe(1)
})

test('an alarm that is restarted begins anew, and makes no timer for it', async () => {
  const clock = new VirtualClock()
  let rang = 0
  const alarm = new Alarm(clock, 12_000, () => rang++)
  for (let i = 0; i < 100; i++) {
    await clock.advance(1_000)
    alarm.restart()
    expect(clock.pending).toBe(1)
  }
  await clock.advance(11_999)
  expect(rang).toBe(0)
  await clock.advance(1)
  expect(rang).toBe(1)
})

test('a delay that is no whole number ends', async () => {
  const clock = new VirtualClock()
  let rang = 0
  new Alarm(clock, 1234.000_001, () => rang++)
  await clock.advance(1235)
  expect(rang).toBe(1)
})

test('an alarm that is cancelled leaves no timer', async () => {
  const clock = new VirtualClock()
  const alarm = new Alarm(clock, 12_000, () => expect.unreachable())
  await clock.advance(6_000)
  alarm.cancel()
  expect(clock.pending).toBe(0)
})
