import { expect, test } from 'vitest'
import { VirtualClock } from '../../src/bindings/testing-clock'
import { startAlarm } from '../../src/retry/alarm'
import { clampMinimum, createBackoff } from '../../src/retry/backoff'

test('[L4] delays are drawn from 0 to 1, 2, 4 … 30 s', () => {
  const most = createBackoff(() => 1)
  expect(Array.from({ length: 7 }, () => most.next())).toEqual([1000, 2000, 4000, 8000, 16_000, 30_000, 30_000])
  const least = createBackoff(() => 0)
  expect(Array.from({ length: 3 }, () => least.next())).toEqual([100, 100, 100])
})

test('[L4] a minimum that a server asks for is waited for 5 minutes at most', () => {
  expect([20_000, Number.POSITIVE_INFINITY].map(clampMinimum)).toEqual([20_000, 300_000])
})

test('[K5] a short delay is given once, until a stream has held', () => {
  const backoff = createBackoff(() => 1)
  expect([backoff.soon(), backoff.soon(), backoff.soon()]).toEqual([500, 1000, 2000])
  backoff.reset()
  expect([backoff.soon(), backoff.next()]).toEqual([500, 1000])
})

test('the window never overflows', () => {
  const backoff = createBackoff(() => 1)
  for (let i = 0; i < 5000; i++) backoff.next()
  expect(backoff.next()).toBe(30_000)
})

test('[K6] time asleep counts: a long wait ends within 5 s of waking', async () => {
  const clock = new VirtualClock()
  let rang = 0
  startAlarm(clock, 60_000, () => rang++)
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
  const alarm = startAlarm(clock, 12_000, () => rang++)
  await clock.advance(6_000)
  clock.sleep(-3_600_000)
  expect(alarm.passedMs()).toBeGreaterThanOrEqual(5_000)
  await clock.advance(6_000)
  expect(rang).toBe(1)
})

test('an alarm that is restarted begins anew, and makes no timer for it', async () => {
  const clock = new VirtualClock()
  let rang = 0
  const alarm = startAlarm(clock, 12_000, () => rang++)
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
  startAlarm(clock, 1234.000_001, () => rang++)
  await clock.advance(1235)
  expect(rang).toBe(1)
})

test('an alarm that is cancelled leaves no timer', async () => {
  const clock = new VirtualClock()
  const alarm = startAlarm(clock, 12_000, () => expect.unreachable())
  await clock.advance(6_000)
  alarm.cancel()
  expect(clock.pending).toBe(0)
})
