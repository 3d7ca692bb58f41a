import { expect, test } from 'vitest'
import { type ConnectionSnapshot, onSnapshot } from '../../src/index'
import { at, connected, updated } from '../support/frames'
import { openPage } from '../support/page'

function watch(page: ReturnType<typeof openPage>): ConnectionSnapshot[] {
  const seen: ConnectionSnapshot[] = []
  page.subscriber.onChange((snapshot) => seen.push(snapshot))
  return seen
}

test('before connect() the snapshot is that of nothing', () => {
  expect(openPage().subscriber.getSnapshot()).toEqual({
    state: 'disconnected',
    attempt: 0,
    nextRetryAt: undefined,
    lastEventAt: undefined,
    error: undefined,
    closed: true,
    role: 'single',
  })
})

test('a snapshot is the same object while nothing changes, and cannot be written to', async () => {
  const page = openPage()
  const stream = await page.open(connected({ id: at(0) }))
  const snapshot = page.subscriber.getSnapshot()
  expect(Object.isFrozen(snapshot)).toBe(true)
  await page.send(stream, updated('a', at(1)))
  await page.clock.advance(10_000)
  expect(page.subscriber.getSnapshot()).toBe(snapshot)
  stream.end()
  await page.settle()
  expect(page.subscriber.getSnapshot()).not.toBe(snapshot)
  expect(snapshot.state).toBe('connected')
})

test('events alone tell nobody; when they last came is exact on the subscriber, and in the next snapshot', async () => {
  const page = openPage()
  const stream = await page.open(connected({ id: at(0) }))
  const seen = watch(page)
  await page.clock.advance(3_000)
  await page.send(stream, updated('a', at(1)))
  const eventAt = page.clock.now()
  expect([seen, page.subscriber.getSnapshot().lastEventAt]).toEqual([[], undefined])
  expect(page.subscriber.lastEventAt).toBe(eventAt)
  await page.clock.advance(1_000)
  stream.end()
  await page.settle()
  expect(seen.map(({ lastEventAt }) => lastEventAt)).toEqual([eventAt])
})

test('each attempt, its wait and its error are told, each step once', async () => {
  const page = openPage()
  const seen = watch(page)
  page.subscriber.connect()
  await page.settle()
  const failedAt = page.clock.now()
  page.network.last.answer(503)
  await page.settle()
  await page.reopen(connected({ id: at(0) }))
  page.subscriber.close()
  const told = seen.map(({ state, attempt, nextRetryAt, error }) => [state, attempt, nextRetryAt, error?.code])
  expect(told).toEqual([
    ['connecting', 1, undefined, undefined],
    ['reconnecting', 1, failedAt + 500, 'UNAVAILABLE'],
    ['reconnecting', 2, undefined, 'UNAVAILABLE'],
    ['connected', 2, undefined, undefined],
    ['disconnected', 2, undefined, undefined],
  ])
})

test('an error that ends it stays until connect()', async () => {
  const page = openPage()
  page.subscriber.connect()
  await page.settle()
  page.network.last.answer(404)
  await page.settle()
  expect(page.subscriber.getSnapshot()).toMatchObject({ state: 'disconnected', error: { code: 'NOT_FOUND' } })
  page.subscriber.connect()
  expect(page.subscriber.getSnapshot()).toMatchObject({ state: 'connecting', attempt: 1, error: undefined })
})

test('what a listener reads in any handler is what is so', async () => {
  const page = openPage()
  const read: unknown[] = []
  const push = () => read.push([page.subscriber.state, page.subscriber.getSnapshot().state])
  page.subscriber.onError(push)
  page.subscriber.onState(push)
  page.subscriber.onChange(push)
  const stream = await page.open(connected({ id: at(0) }))
  stream.fail(new Error('cut'))
  await page.settle()
  expect(read.length).toBeGreaterThan(5)
  for (const [state, snapshot] of read as [string, string][]) expect(snapshot).toBe(state)
})

test('[K7] a listener that closes is the last to hear of that step; one that was taken out hears nothing', async () => {
  const page = openPage()
  const heard: string[] = []
  page.subscriber.onChange(({ state }) => state === 'connected' && page.subscriber.close())
  page.subscriber.onChange(({ state }) => heard.push(state))
  const off = page.subscriber.onChange(() => heard.push('never'))
  off()
  off()
  await page.open(connected({ id: at(0) }))
  expect(heard).toEqual(['connecting', 'disconnected'])
})

test('onSnapshot shows what is now, then each change, until it is ended', async () => {
  const page = openPage()
  const shown: string[] = []
  const off = onSnapshot(page.subscriber, ({ state }) => shown.push(state))
  const stream = await page.open(connected({ id: at(0) }))
  stream.end()
  await page.settle()
  off()
  page.subscriber.close()
  expect(shown).toEqual(['disconnected', 'connecting', 'connected', 'reconnecting'])
})

test('it says whether it is closed, or only paused', async () => {
  const page = openPage()
  const seen = watch(page)
  await page.open(connected({ id: at(0) }))
  page.subscriber.pause('disabled')
  page.subscriber.close()
  page.subscriber.connect()
  expect(seen.map(({ state, closed }) => [state, closed])).toEqual([
    ['connecting', false],
    ['connected', false],
    ['disconnected', false],
    ['disconnected', true],
    ['disconnected', false],
  ])
  page.subscriber.close()
})
