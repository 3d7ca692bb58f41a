// @vitest-environment jsdom
import { EventSubscriber } from '@entitycast/sse-client'
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from 'vitest'
import { settle, VirtualClock } from '../../src/bindings/testing-clock'
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
  vi.spyOn(document, 'hidden', 'get').mockReturnValue(true)
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
  expect(counts).toEqual({ added: 9, removed: 0 })
  subscriber.close()
  subscriber.close()
  expect(counts).toEqual({ added: 9, removed: 9 })
})

test('[K6] `offline` is not judged: the stream is kept. `online` after it is another network: one new stream', async () => {
  subscriber.connect()
  await settle()
  network.last.stream(connected({ id: at(0) }))
  await tell(window, new Event('online'))
  await tell(window, new Event('offline'))
  expect([network.exchanges.length, network.open, subscriber.state]).toEqual([1, 1, 'connected'])
  await tell(window, new Event('online'))
  expect([network.exchanges.length, network.open]).toEqual([2, 1])
  network.last.stream(connected({ id: at(0) }))
  await tell(window, new Event('online'))
  expect(network.exchanges).toHaveLength(2)
})

test.each([true, false])(
  '[K6] left and back, with persisted: %s: closed meanwhile, one new stream then',
  async (persisted) => {
    subscriber.connect()
    await settle()
    network.last.stream(connected({ id: at(3) }))
    await settle()
    await tell(window, new Event('pagehide'))
    expect([network.open, subscriber.state, subscriber.pauses]).toEqual([0, 'disconnected', ['frozen']])
    await clock.advance(600_000)
    await tell(window, pageshow(persisted))
    expect([network.exchanges.length, network.open, network.last.header('last-event-id')]).toEqual([2, 1, at(3)])
  },
)

test('[K6] frozen and resumed: closed meanwhile, one new stream then', async () => {
  subscriber.connect()
  await settle()
  await tell(document, new Event('freeze'))
  expect([network.open, clock.pending]).toEqual([0, 0])
  await tell(document, new Event('resume'))
  expect([network.exchanges.length, network.open]).toEqual([2, 1])
})

test('[K6] a tab that is opened in the background, with hidden: close, waits until it is looked at', async () => {
  const visibility = vi.spyOn(document, 'hidden', 'get').mockReturnValue(true)
  const { fetch } = network
  const background = new EventSubscriber('/api/events/stream', { fetch, hidden: 'close' }, { clock })
  background.connect()
  await settle()
  expect([network.exchanges.length, background.pauses]).toEqual([0, ['hidden']])
  visibility.mockReturnValue(false)
  await tell(document, new Event('visibilitychange'))
  expect([network.exchanges.length, background.state]).toEqual([1, 'connecting'])
  background.close()
})

test('[K6 C9] the request of a stream never outlives the page, in Firefox neither, whose back/forward cache would want that', async () => {
  vi.stubGlobal('mozInnerScreenX', 0)
  onTestFinished(() => void vi.unstubAllGlobals())
  subscriber.connect()
  await settle()
  expect(network.last.init).not.toHaveProperty('keepalive')
})
