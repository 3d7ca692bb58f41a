import { EventSource } from '@entitycast/sse-client/event-source'
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { settle } from '../../src/bindings/testing-clock'
import { CLOSED, CONNECTING, OPEN, open, URL_TEXT } from './event-source-open'

/** A busy machine may need it. */
const WAIT = { timeout: 15_000 }

const unhandled = vi.fn()
beforeEach(() => void process.on('unhandledRejection', unhandled))
afterEach(() => {
  process.off('unhandledRejection', unhandled)
  expect(unhandled).not.toHaveBeenCalled()
})

describe('[W1] as the platform has it', () => {
  test('constants, address, credentials, and CONNECTING at first', async () => {
    const { source, network } = open({ withCredentials: true })
    expect([EventSource.CONNECTING, EventSource.OPEN, EventSource.CLOSED]).toEqual([0, 1, 2])
    expect([source.CONNECTING, source.OPEN, source.CLOSED, source.readyState]).toEqual([0, 1, 2, 0])
    expect([source.url, source.withCredentials]).toEqual([URL_TEXT, true])
    expect(source).toBeInstanceOf(EventTarget)
    await settle()
    expect(network.last.init).toMatchObject({ credentials: 'include', cache: 'no-store' })
    expect(network.last.header('accept')).toBe('text/event-stream')
    expect(network.last.header('last-event-id')).toBeUndefined()
  })

  test('"The CONNECTING constant": as Web IDL has them, constants and attributes are on the prototype, enumerable, and cannot be written', () => {
    const { source } = open()
    const constants = ['CONNECTING', 'OPEN', 'CLOSED'].map((name, value) => [name, value] as const)
    for (const of of [EventSource, EventSource.prototype]) {
      for (const [name, value] of constants) {
        expect(Object.getOwnPropertyDescriptor(of, name)).toEqual({
          value,
          enumerable: true,
          writable: false,
          configurable: false,
        })
      }
    }
    const attributes = ['url', 'withCredentials', 'readyState', 'onopen', 'onmessage', 'onerror']
    for (const name of [...attributes, 'close']) {
      expect(Object.getOwnPropertyDescriptor(EventSource.prototype, name)).toMatchObject({
        enumerable: true,
        configurable: true,
      })
    }
    for (const name of attributes)
      expect(Object.getOwnPropertyDescriptor(EventSource.prototype, name)?.get?.name).toBe(`get ${name}`)
    expect(Object.keys(source)).toEqual([])
    expect(() => Object.assign(source, { url: 'http://other.test/' })).toThrow(TypeError)
    expect([EventSource.name, EventSource.length, String(source)]).toEqual(['EventSource', 1, '[object EventSource]'])
  })

  test('null instead of options is none, as Web IDL has it for dictionaries', () => {
    vi.stubGlobal('fetch', () => new Promise(() => {}))
    onTestFinished(() => void vi.unstubAllGlobals())
    for (const none of [null, undefined]) {
      const source = new EventSource(URL_TEXT, none as unknown as undefined)
      onTestFinished(() => source.close())
      expect([source.readyState, source.withCredentials]).toEqual([CONNECTING, false])
    }
  })

  test('an address that is none throws a SyntaxError', () => {
    for (const url of ['http://', '/relative/without/a/page']) {
      expect(() => new EventSource(url)).toThrow(expect.objectContaining({ name: 'SyntaxError' }))
    }
  })

  test('open comes with the response, before any byte', async () => {
    const { network, told } = open()
    await settle()
    network.last.stream()
    await settle()
    expect(told).toEqual([['open', OPEN]])
  })

  test('an event is a MessageEvent with type, data, lastEventId and origin', async () => {
    const { network, source } = open()
    const onPrice = vi.fn()
    source.addEventListener('price', onPrice)
    await settle()
    network.last.stream('id: 7\nevent: price\ndata: 1\ndata: 2\n\n')
    await settle()
    const event = onPrice.mock.calls[0]?.[0]
    expect(event).toBeInstanceOf(MessageEvent)
    expect(event).toMatchObject({ type: 'price', data: '1\n2', lastEventId: '7', origin: 'http://stream.test' })
    expect([event.bubbles, event.cancelable]).toEqual([false, false])
  })

  test('"the origin of the event stream\'s final URL (i.e., the URL after redirects)": without headers a redirect is followed', async () => {
    const { clock, network, source, told } = open()
    const origins: string[] = []
    source.addEventListener('message', ({ origin }) => origins.push(origin))
    await settle()
    expect(network.last.init.redirect).toBe('follow')
    const type = { 'Content-Type': 'text/event-stream' }
    network.last
      .answer(200, type, { redirected: true, url: 'https://other.test/stream' })
      .send('id: 1\ndata: a\n\n')
      .end()
    await clock.advance(2_000)
    // The next request begins at the address that was given, with the last event ID.
    expect([network.last.url, network.last.header('last-event-id')]).toEqual([URL_TEXT, '1'])
    network.last.stream('data: b\n\n')
    await settle()
    expect(origins).toEqual(['https://other.test', 'http://stream.test'])
    expect(told).toEqual([['open', OPEN], 'a', ['error', CONNECTING, 'STREAM_ENDED'], ['open', OPEN], 'b'])
  })

  test('with headers it is not: they are for one origin', async () => {
    const { network, told } = open({ headers: { 'x-api-key': 'secret' } })
    await settle()
    expect(network.last.init.redirect).toBe('manual')
    network.last.answer(0, {}, { type: 'opaqueredirect' })
    await settle()
    expect(told).toEqual([['error', CLOSED, 'REDIRECTED']])
  })

  test('onopen, onmessage and onerror: one each, by name or taken away', async () => {
    const { network, source } = open()
    const order: string[] = []
    expect(source.onmessage).toBeNull()
    source.onmessage = () => order.push('first')
    source.addEventListener('message', () => order.push('listener'))
    source.onmessage = function (this: unknown) {
      order.push(this === source ? 'second' : 'not this')
    } as typeof source.onmessage
    source.onopen = () => order.push('open')
    source.onerror = () => order.push('error')
    await settle()
    network.last.stream('data: a\n\n')
    await settle()
    source.onmessage = null
    network.last.send('data: b\n\n').end()
    await settle()
    expect(order).toEqual(['open', 'second', 'listener', 'listener', 'error'])
    source.onerror = 'nonsense' as never
    expect(source.onerror).toBeNull()
  })

  test('after close(), in a handler too, nothing is told', async () => {
    const { network, source, told } = open()
    source.addEventListener('message', () => source.close())
    await settle()
    network.last.stream('data: a\n\ndata: b\n\n')
    await settle()
    expect(told).toEqual([['open', OPEN], 'a'])
    expect([source.readyState, network.open]).toEqual([CLOSED, 0])
  })

  test.each(['end', 'silence', 'refusal'])('close() in onerror, after %s: there is no other request', async (what) => {
    const { clock, network, source, told } = open({ heartbeatMs: 1_000 })
    source.onerror = () => source.close()
    await settle()
    if (what === 'refusal') network.last.answer(503)
    else {
      network.last.stream()
      await settle()
      if (what === 'end') network.last.end()
    }
    await clock.advance(60_000)
    expect(told.at(-1)).toEqual(['error', what === 'silence' ? expect.any(Number) : CONNECTING, expect.any(String)])
    expect([source.readyState, network.open, clock.pending]).toEqual([CLOSED, 0, 0])
    expect(network.exchanges.length).toBe(1)
  })

  test('close() before the request leaves: there is none', async () => {
    const { network, source, told } = open()
    source.close()
    source.close()
    await settle()
    expect([network.exchanges.length, told, source.readyState]).toEqual([0, [], CLOSED])
  })

  test('a listener that throws is reported, and the others are called', async () => {
    const { network, source, told } = open()
    const reported: unknown[] = []
    const listeners = process.listeners('uncaughtException')
    process.removeAllListeners('uncaughtException')
    process.on('uncaughtException', (error) => reported.push(error))
    onTestFinished(() => {
      process.removeAllListeners('uncaughtException')
      for (const listener of listeners) process.on('uncaughtException', listener)
    })
    source.onopen = () => {
      throw new Error('of the listener')
    }
    await settle()
    network.last.stream('data: a\n\n')
    await vi.waitFor(() => expect(reported).toHaveLength(1), WAIT)
    expect(told).toEqual([['open', OPEN], 'a'])
  })
})

describe('[W1] Last-Event-ID', () => {
  test.each([
    ['1', '1'],
    ['ü😀', Buffer.from('ü😀').toString('latin1')],
    ['a b', 'a b'],
    ['x\u0001', undefined],
    ['', undefined],
  ])('%j is sent as %j', async (id, header) => {
    const { clock, network, told } = open()
    await settle()
    network.last.stream(`id: ${id}\ndata: a\n\n`).end()
    await clock.advance(60_000)
    expect(told).toContainEqual('a')
    expect(network.exchanges.length).toBeGreaterThanOrEqual(2)
    expect(network.exchanges[1]?.header('last-event-id')).toBe(header)
  })

  test('it outlives a stream without ids, and a stream that failed', async () => {
    const { clock, network } = open()
    await settle()
    network.last.stream('id: 1\n\n').end()
    await clock.advance(2_000)
    network.last.fail(new TypeError('fetch failed'))
    await clock.advance(5_000)
    network.last.stream('data: a\n\n').end()
    await clock.advance(10_000)
    expect(network.exchanges.map((exchange) => exchange.header('last-event-id'))).toEqual([undefined, '1', '1', '1'])
  })

  test('retry: is a minimum from then on, on later streams too, and no more than 5 minutes', async () => {
    const { clock, network } = open()
    await settle()
    network.last.stream('retry: 9000\ndata: a\n\n').end()
    await clock.advance(8_999)
    expect(network.exchanges.length).toBe(1)
    await clock.advance(1_000)
    expect(network.exchanges.length).toBe(2)
    network.last.stream('data: b\n\n').end()
    await clock.advance(8_999)
    expect(network.exchanges.length).toBe(2)
    await clock.advance(2_000)
    network.last.stream('retry: 99999999999\n\n').end()
    await clock.advance(299_000)
    expect(network.exchanges.length).toBe(3)
    await clock.advance(10_000)
    expect(network.exchanges.length).toBe(4)
  })
})

describe('[K5, K6] streams that do not hold', () => {
  test('a stream that ends at once, for ever: each time an error, and the delays grow', async () => {
    const { clock, network, told } = open()
    for (let i = 0; i < 6; i++) {
      await vi.waitFor(() => expect(network.exchanges.length).toBe(i + 1), WAIT)
      const at = clock.now()
      network.last.stream().end()
      while (network.exchanges.length === i + 1) await clock.advance(500)
      expect(clock.now() - at).toBeGreaterThanOrEqual(Math.min(15_000, 500 * 2 ** i))
    }
    expect(told.slice(0, 3)).toEqual([
      ['open', OPEN],
      ['error', CONNECTING, 'STREAM_ENDED'],
      ['open', OPEN],
    ])
    expect(told).toContainEqual(['error', CONNECTING, 'STREAM_LOOP'])
  })

  test('silence means nothing without heartbeatMs', async () => {
    const { clock, network } = open()
    await settle()
    network.last.stream()
    await clock.advance(3_600_000)
    expect(network.exchanges.length).toBe(1)
  })

  test('with it, a stream that is silent for three of them is replaced; a comment is enough', async () => {
    const { clock, network, told } = open({ heartbeatMs: 10_000 })
    await settle()
    const { last } = network
    last.stream()
    await clock.advance(29_000)
    last.send(':\n')
    await clock.advance(29_000)
    expect(network.exchanges.length).toBe(1)
    await clock.advance(2_000)
    expect(network.exchanges.length).toBe(2)
    expect(last.released).toBe(true)
    expect(told).toEqual([
      ['open', OPEN],
      ['error', CONNECTING, 'SILENT'],
    ])
  })

  test('back from the back/forward cache: another stream, at once, after an error as the platform tells it', async () => {
    const { network, told, wake } = open()
    await settle()
    network.last.stream('id: 1\n\n')
    await settle()
    wake(true)
    await settle()
    expect([network.exchanges.length, network.open, network.last.header('last-event-id')]).toEqual([2, 1, '1'])
    expect(told).toEqual([
      ['open', OPEN],
      ['error', CONNECTING, undefined],
    ])
  })

  test('an endless event: an error, and it comes back', async () => {
    const { clock, network, told } = open({ maxEventBytes: 1_024 })
    await settle()
    network.last.stream(`data: ${'x'.repeat(2_000)}`)
    await clock.advance(2_000)
    expect(network.exchanges.length).toBe(2)
    expect(told).toEqual([
      ['open', OPEN],
      ['error', CONNECTING, 'TOO_LARGE'],
    ])
  })

  test('a signal that is aborted closes it without a word', async () => {
    const aborter = new AbortController()
    const { network, source, told } = open({ signal: aborter.signal })
    await settle()
    network.last.stream()
    await settle()
    aborter.abort()
    expect([source.readyState, network.open]).toEqual([CLOSED, 0])
    expect(told).toEqual([['open', OPEN]])
  })
})

test('[W1] code that is written for the platform takes it', () => {
  const { source } = open()
  const platform: globalThis.EventSource = source
  expect(platform.readyState).toBe(CONNECTING)
})
