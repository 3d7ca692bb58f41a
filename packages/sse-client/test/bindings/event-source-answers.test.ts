import { EventSource } from '@entitycast/sse-client/event-source'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { settle } from '../../src/bindings/testing-clock'
import { CLOSED, CONNECTING, OPEN, open } from './event-source-open'

const unhandled = vi.fn()
beforeEach(() => void process.on('unhandledRejection', unhandled))
afterEach(() => {
  process.off('unhandledRejection', unhandled)
  expect(unhandled).not.toHaveBeenCalled()
})

describe('[K4] the status table', () => {
  test.each([
    [204, 'NO_CONTENT'],
    // "If res's status is not 200 […] then fail the connection."
    [205, 'UNAVAILABLE'],
    [299, 'UNAVAILABLE'],
    // Of a `fetch` that follows none.
    [301, 'REDIRECTED'],
    [403, 'FORBIDDEN'],
    [404, 'NOT_FOUND'],
    [410, 'REFUSED'],
  ])('%i: CLOSED, an error, and no other request', async (status, code) => {
    const { clock, network, source, told } = open()
    await settle()
    network.last.answer(status)
    await clock.advance(600_000)
    expect(told).toEqual([['error', CLOSED, code]])
    expect([source.readyState, network.exchanges.length]).toEqual([CLOSED, 1])
  })

  test.each([
    [500, 'UNAVAILABLE'],
    [503, 'UNAVAILABLE'],
    [429, 'UNAVAILABLE'],
    [200, 'NOT_A_STREAM'],
  ])('%i that is no stream: CONNECTING, an error, and it comes back', async (status, code) => {
    const { clock, network, told } = open()
    await settle()
    network.last.answer(status, { 'Content-Type': 'text/html', 'Retry-After': '0' })
    await clock.advance(2_000)
    network.last.stream('data: a\n\n')
    await settle()
    expect(told).toEqual([['error', CONNECTING, code], ['open', OPEN], 'a'])
  })

  test('503 with Retry-After: not before', async () => {
    const { clock, network } = open()
    await settle()
    network.last.answer(503, { 'Retry-After': '30' })
    await clock.advance(29_999)
    expect(network.exchanges.length).toBe(1)
    await clock.advance(1_001)
    expect(network.exchanges.length).toBe(2)
  })

  test('401: the headers are asked for once more, and then it is CLOSED', async () => {
    const headers = vi.fn(({ reason }: { reason?: string }) => ({ authorization: reason ?? 'old' }))
    const { clock, network, told } = open({ headers })
    await settle()
    network.last.answer(401)
    await clock.advance(1_000)
    expect(network.last.header('authorization')).toBe('unauthorized')
    network.last.answer(401)
    await clock.advance(600_000)
    expect(network.exchanges.length).toBe(2)
    expect(told).toEqual([['error', CLOSED, 'UNAUTHORIZED']])
  })

  test('409 with a last event ID: once without it, and the page is told', async () => {
    const { clock, network, told } = open()
    await settle()
    network.last.stream('id: 1\n\n').end()
    await clock.advance(2_000)
    network.last.answer(409)
    await clock.advance(2_000)
    expect(network.exchanges.map((exchange) => exchange.header('last-event-id'))).toEqual([undefined, '1', undefined])
    expect(told).toContainEqual(['error', CONNECTING, 'CURSOR_REFUSED'])
  })

  test('"unless the user agent knows that to be futile": an address that no network is asked for is CLOSED after an error', async () => {
    for (const url of ['ftp://stream.test/', 'about:blank', 'mailto:stream@stream.test', 'javascript:void 0']) {
      const source = new EventSource(url)
      const code = await new Promise((resolve) => {
        source.onerror = ({ error }) => resolve(error?.code)
      })
      expect([url, source.readyState, code]).toEqual([url, CLOSED, 'NETWORK'])
    }
  })

  test('an answer of any kind is the end, as the platform has it, where shouldRetry says so; a stream that ends is not', async () => {
    for (const [status, type] of [
      [200, 'text/html'],
      [503, 'text/event-stream'],
    ] as const) {
      const { clock, network, told } = open({ shouldRetry: ({ status }) => (status ? false : undefined) })
      await settle()
      network.last.stream().end()
      await clock.advance(2_000)
      network.last.answer(status, { 'Content-Type': type })
      await clock.advance(600_000)
      expect(told.slice(1)).toEqual([
        ['error', CONNECTING, 'STREAM_ENDED'],
        ['error', CLOSED, expect.any(String)],
      ])
      expect(network.exchanges.length).toBe(2)
    }
  })

  test('shouldRetry decides otherwise', async () => {
    const { clock, network, source } = open({ shouldRetry: ({ status }) => status === 404 || undefined })
    await settle()
    network.last.answer(404)
    await clock.advance(2_000)
    expect([source.readyState, network.exchanges.length]).toEqual([CONNECTING, 2])
  })
})
