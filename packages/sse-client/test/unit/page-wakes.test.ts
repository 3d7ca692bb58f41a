// @vitest-environment jsdom
import { EventSubscriber } from '@entitycast/sse-client'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { settle, VirtualClock } from '../support/clock'
import { at, connected } from '../support/frames'
import { Network } from '../support/network'

let network: Network
let clock: VirtualClock
let subscriber: EventSubscriber

beforeEach(() => {
  network = new Network()
  clock = new VirtualClock()
  subscriber = new EventSubscriber('/api/events/stream', { fetch: network.fetch }, { clock, random: () => 1 })
  subscriber.onError(() => {})
})

afterEach(() => {
  subscriber.close()
  vi.restoreAllMocks()
})

async function tell(target: EventTarget, event: Event): Promise<void> {
  target.dispatchEvent(event)
  await settle()
}

/** Waits for its next attempt, a second away. */
async function failOnce(): Promise<void> {
  subscriber.connect()
  await settle()
  network.last.fail(new TypeError('offline'))
  await settle()
  expect(network.exchanges).toHaveLength(1)
}

function pageshow(persisted: boolean): Event {
  return Object.assign(new Event('pageshow'), { persisted })
}

test.each<[string, () => Promise<void>]>([
  ['online', () => tell(window, new Event('online'))],
  ['pageshow', () => tell(window, pageshow(false))],
  ['visible', () => tell(document, new Event('visibilitychange'))],
])('[K6] %s: a page that waits for its next attempt makes it at once', async (_, wake) => {
  await failOnce()
  await wake()
  expect(network.exchanges).toHaveLength(2)
})

test('[K6] hidden is no reason for an attempt', async () => {
  await failOnce()
  vi.spyOn(document, 'visibilityState', 'get').mockReturnValue('hidden')
  await tell(document, new Event('visibilitychange'))
  expect(network.exchanges).toHaveLength(1)
})

test('[K6] restored from the back/forward cache: one new stream, whatever the old one says', async () => {
  subscriber.connect()
  await settle()
  network.last.stream(connected({ id: at(0) }))
  await settle()
  await tell(window, pageshow(false))
  expect(network.exchanges).toHaveLength(1)
  await tell(window, pageshow(true))
  expect([network.exchanges.length, network.open]).toEqual([2, 1])
})

test('[K7] listeners are there from connect to close, and not before or after', async () => {
  const counts = { added: 0, removed: 0 }
  for (const target of [window, document]) {
    vi.spyOn(target, 'addEventListener').mockImplementation(() => void counts.added++)
    vi.spyOn(target, 'removeEventListener').mockImplementation(() => void counts.removed++)
  }
  subscriber.subscribe('*', () => {})
  expect(counts).toEqual({ added: 0, removed: 0 })
  subscriber.connect()
  subscriber.connect()
  expect(counts).toEqual({ added: 3, removed: 0 })
  subscriber.close()
  subscriber.close()
  expect(counts).toEqual({ added: 3, removed: 3 })
})
