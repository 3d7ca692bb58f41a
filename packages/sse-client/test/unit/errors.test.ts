import { runInNewContext } from 'node:vm'
import { afterEach, expect, test, vi } from 'vitest'
import { settle, VirtualClock } from '../../src/bindings/testing-clock'
import { EventSubscriber, SubscriberError } from '../../src/index'
import { at, connected, resync, updated } from '../support/frames'
import { Network } from '../support/network'
import { openPage } from '../support/page'

/** A busy machine may need it. */
const WAIT = { timeout: 15_000 }

afterEach(() => {
  vi.restoreAllMocks()
})

test('[S8] a handler that throws is reported, and the others still run', async () => {
  const page = openPage()
  const cause = new Error('mine')
  const got: unknown[] = []
  page.subscriber.subscribe('document:*', () => {
    throw cause
  })
  page.subscriber.subscribe('document:a', (event) => got.push(event.id))
  await page.open(connected({ id: at(0) }), updated('a', at(1)), updated('a', at(2)))
  expect(got).toEqual(['a', 'a'])
  expect(page.errors).toMatchObject(Array(2).fill({ code: 'HANDLER_FAILED', cause, retrying: true }))
  expect(page.subscriber.cursor).toBe(at(2))
})

test('[S8] a handler that rejects is reported, and leaves no rejection behind', async () => {
  const page = openPage()
  const cause = new Error('mine')
  page.subscriber.subscribe('*', async () => {
    throw cause
  })
  page.subscriber.onResync(async () => {
    throw cause
  })
  page.subscriber.onState(async () => {
    throw cause
  })
  await page.open(connected({ id: at(0) }), updated('a', at(1)), resync('overflow', at(2)))
  expect(page.errors).toMatchObject(Array(5).fill({ code: 'HANDLER_FAILED', cause }))
  expect(page.states).toEqual(['connecting', 'connected', 'resyncing'])
})

test('[S8] handlers of state and resync that throw do not keep the others from hearing', async () => {
  const page = openPage()
  const fail = () => {
    throw new Error('mine')
  }
  page.subscriber.onState(fail)
  page.subscriber.onResync(fail)
  const states: string[] = []
  const reasons: string[] = []
  page.subscriber.onState((state) => states.push(state))
  page.subscriber.onResync(({ reason }) => reasons.push(reason))
  await page.open(connected({ id: at(0) }), resync('overflow', at(2)), updated('a', at(3)))
  expect([states, reasons, page.ids]).toEqual([['connecting', 'connected'], ['overflow'], ['a']])
})

test('an onError handler that throws ends in the console, and nowhere else', async () => {
  const log = vi.spyOn(console, 'error').mockImplementation(() => {})
  const page = openPage()
  const thrown = new Error('mine')
  page.subscriber.onError(() => {
    throw thrown
  })
  page.subscriber.connect()
  await page.settle()
  page.network.last.answer(404)
  await page.settle()
  expect(log.mock.calls).toEqual([[thrown]])
  expect(page.subscriber.state).toBe('disconnected')
})

test('without an onError handler each code goes to the console once, so that nothing is silent', async () => {
  const log = vi.spyOn(console, 'error').mockImplementation(() => {})
  const clock = new VirtualClock()
  const network = new Network()
  const subscriber = new EventSubscriber(
    'https://app.test/',
    { fetch: network.fetch },
    { clock, wakes: () => () => {} },
  )
  subscriber.connect()
  for (let i = 0; i < 3; i++) {
    await clock.advance(30_000)
    network.last.fail(new Error('down'))
    await settle()
  }
  await clock.advance(30_000)
  network.last.answer(403)
  await settle()
  expect(log.mock.calls).toMatchObject([[{ code: 'NETWORK' }], [{ code: 'FORBIDDEN' }]])
})

test('[D4] a resync that nobody listens for is told as an error: what is shown may be old', async () => {
  const log = vi.spyOn(console, 'error').mockImplementation(() => {})
  const network = new Network()
  const subscriber = new EventSubscriber(
    'https://app.test/',
    { fetch: network.fetch },
    { clock: new VirtualClock(), wakes: () => () => {} },
  )
  subscriber.connect()
  await settle()
  network.last.stream(connected({ id: at(0) }), resync('overflow', at(5)))
  await settle()
  expect(log.mock.calls).toMatchObject([[{ code: 'RESYNC_UNHEARD', retrying: true }]])
  subscriber.close()
})

test('a listener that was taken out hears nothing more, also of what is being told', async () => {
  const page = openPage()
  const heard: string[] = []
  page.subscriber.onState(() => off())
  const off = page.subscriber.onState((state) => heard.push(state))
  await page.open(connected({ id: at(0) }))
  off()
  expect(heard).toEqual([])
})

test('[N11] an error has a code, what it is about, and its cause', () => {
  const cause = new Error('inner')
  const error = new SubscriberError('NETWORK', 'the request failed', { retrying: true, status: 502, cause })
  expect(error).toBeInstanceOf(Error)
  expect(error).toMatchObject({ name: 'SubscriberError', code: 'NETWORK', retrying: true, status: 502, cause })
  expect('cause' in new SubscriberError('REVOKED', 'gone', { retrying: false })).toBe(false)
})

test('[S8] a promise of another realm counts: events wait for it, and what it rejects with is reported', async () => {
  const page = openPage()
  let loads = 0
  page.subscriber.onResync(() =>
    runInNewContext(`new Promise((resolve, reject) => setTimeout(${loads++ ? 'resolve' : 'reject'}))`, { setTimeout }),
  )
  page.subscriber.subscribe('*', () => runInNewContext('Promise.reject(new Error("no"))'))
  const stream = await page.open(connected({ id: at(0) }), resync('expired', at(5)))
  expect(page.subscriber.state).toBe('resyncing')
  await vi.waitFor(() => expect(page.codes).toEqual(['HANDLER_FAILED']), WAIT)
  await page.clock.advance(2_000)
  await vi.waitFor(() => expect([loads, page.subscriber.state]).toEqual([2, 'connected']), WAIT)
  await page.send(stream, updated('a', at(6)))
  expect(page.codes).toEqual(['HANDLER_FAILED', 'HANDLER_FAILED'])
  page.subscriber.close()
})
