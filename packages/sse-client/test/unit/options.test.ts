import { afterEach, expect, test, vi } from 'vitest'
import { EventSubscriber, type SubscriberOptions, sessionCursor } from '../../src/index'
import { Network } from '../support/network'
import { openPage } from '../support/page'

/** A busy machine may need it. */
const WAIT = { timeout: 15_000 }

const URL_ = 'https://app.test/api/events/stream'

afterEach(() => {
  vi.unstubAllGlobals()
})

test.each<[string, Record<string, unknown>, string, RegExp]>([
  ['projectId is a number', { projectId: 7 }, 'INVALID_OPTION', /projectId is 7; it must be text/],
  ['projectId is null', { projectId: null }, 'INVALID_OPTION', /projectId is null/],
  ['projectId is empty', { projectId: '' }, 'INVALID_OPTION', /projectId/],
  ['channels is text', { channels: 'validation' }, 'INVALID_OPTION', /array/],
  ['channels is empty', { channels: [] }, 'INVALID_OPTION', /leave it out/],
  ['a channel has a comma', { channels: ['a,b'] }, 'INVALID_OPTION', /names/],
  ['headers is text', { headers: 'authorization' }, 'INVALID_OPTION', /function/],
  ['headers is null', { headers: null }, 'INVALID_OPTION', /function/],
  ['since is no cursor', { since: 'no cursor' }, 'INVALID_OPTION', /hub\.cursor/],
  ['since is null', { since: null }, 'INVALID_OPTION', /hub\.cursor/],
  ['maxEventBytes is no number', { maxEventBytes: '1MB' }, 'INVALID_OPTION', /1024/],
  ['maxEventBytes is small', { maxEventBytes: 100 }, 'INVALID_OPTION', /1024/],
  ['maxEventBytes is infinite', { maxEventBytes: Number.POSITIVE_INFINITY }, 'INVALID_OPTION', /1024/],
  ['hidden is no choice', { hidden: 'never' }, 'INVALID_OPTION', /closeAfterMs/],
  ['hidden is null', { hidden: null }, 'INVALID_OPTION', /closeAfterMs/],
  ['hidden has a negative time', { hidden: { closeAfterMs: -1 } }, 'INVALID_OPTION', /closeAfterMs/],
  ['resyncTimeoutMs is 0', { resyncTimeoutMs: 0 }, 'INVALID_OPTION', /milliseconds/],
  ['cursorStore is no store', { cursorStore: 'session', identity: 'ada' }, 'INVALID_OPTION', /sessionCursor/],
  ['cursorStore without identity', { cursorStore: sessionCursor() }, 'INVALID_OPTION', /identity/],
  ['fetch is no function', { fetch: {} }, 'INVALID_OPTION', /fetch/],
])('[N11] %s: refused at construction, with the fix', (_, options, code, message) => {
  const make = () => new EventSubscriber(URL_, options as SubscriberOptions)
  expect(make).toThrow(expect.objectContaining({ code, message: expect.stringMatching(message) }))
})

test.each([undefined, null, ''])('[N11] the url %j is refused at construction', (url) => {
  expect(() => new EventSubscriber(url as unknown as string)).toThrow(
    expect.objectContaining({ code: 'INVALID_OPTION' }),
  )
})

test('[N5] a pattern that can match nothing is refused when it is given', () => {
  const { subscriber } = openPage()
  expect(() => subscriber.subscribe('document', () => {})).toThrow(/did you mean "document:\*"/)
  expect(() => subscriber.on('lock*', () => {})).toThrow(expect.objectContaining({ code: 'INVALID_PATTERN' }))
})

test.each(['/api/events/stream', '127.0.0.1:3000/api/events/stream'])(
  '[K9] a relative url is nothing to worry about before connect, which without a page says what is wrong: %s',
  (url) => {
    const subscriber = new EventSubscriber(url)
    expect(() => subscriber.connect()).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION', message: expect.stringMatching(/whole address/) }),
    )
    expect(subscriber.state).toBe('disconnected')
  },
)

test("a relative url is for the page, or for a fetch of one's own, to resolve", async () => {
  const page = new Network()
  vi.stubGlobal('location', new URL('https://app.test/documents'))
  vi.stubGlobal('fetch', page.fetch)
  const subscriber = new EventSubscriber('/api/events/stream')
  subscriber.connect()
  await vi.waitFor(() => expect(page.last.url).toBe('/api/events/stream'), WAIT)
  subscriber.close()

  vi.unstubAllGlobals()
  const own = new Network()
  const other = new EventSubscriber('/api/events/stream', { fetch: own.fetch })
  other.connect()
  await vi.waitFor(() => expect(own.exchanges).toHaveLength(1), WAIT)
  other.close()
})

test.each([
  ['https://app.test/stream', 'https://app.test/stream?channels=a%2Cb'],
  ['https://app.test/stream?x=1', 'https://app.test/stream?x=1&channels=a%2Cb'],
  ['https://app.test/stream#top', 'https://app.test/stream?channels=a%2Cb'],
  [new URL('https://app.test/stream'), 'https://app.test/stream?channels=a%2Cb'],
])('[R3] channels go into the query of %s', async (url, expected) => {
  const network = new Network()
  const subscriber = new EventSubscriber(url, { channels: ['a', 'b'], fetch: network.fetch })
  subscriber.connect()
  await vi.waitFor(() => expect(network.last.url).toBe(expected), WAIT)
  subscriber.close()
})

test('[K9] making a subscriber touches nothing: no timer, no listener, no request', () => {
  const touched = vi.fn()
  for (const name of ['fetch', 'setTimeout', 'setInterval', 'addEventListener', 'Headers', 'AbortController'])
    vi.stubGlobal(name, touched)
  const subscriber = new EventSubscriber('/api/events/stream', { headers: { a: 'b' } })
  subscriber.subscribe('*', () => {})
  subscriber.onResync(() => {})
  subscriber.close()
  expect(touched).not.toHaveBeenCalled()
})
