import type { ServerResponse } from 'node:http'
import { setImmediate as turn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { at, connected, heartbeat, updated } from '../support/frames'
import { follow, serve, streamHead, until } from '../support/server'

/** Writes text in single bytes, each in a chunk of its own. */
async function drip(response: ServerResponse, text: string): Promise<void> {
  for (const byte of new TextEncoder().encode(text)) {
    response.write(new Uint8Array([byte]))
    await turn()
  }
}

test('[K1] single bytes, CRLF, a byte order mark and characters of four bytes: the same events', async () => {
  const { url } = await serve((_, response) => {
    streamHead(response)
    const text = `\ufeff${connected({ id: at(0) })}${updated('ü😀', at(1), { data: { n: '€' } })}${updated('b', at(2))}`
    void drip(response, text.replaceAll('\n', '\r\n'))
  })
  const page = follow(url)
  await until(() => expect(page.ids).toEqual(['ü😀', 'b']))
  expect(page.events[0]).toMatchObject({ data: { n: '€' } })
  expect(page.errors).toEqual([])
})

test('[K2] an endless line is given up at the limit, and the next stream goes on from the cursor', async () => {
  const { url, requests } = await serve((_, response, number) => {
    streamHead(response)
    if (number > 1) return response.write(connected({ id: at(1), resume: 'replayed' }) + updated('b', at(2)))
    response.write(connected({ id: at(0) }) + updated('a', at(1)))
    const more = () => {
      while (!response.destroyed && response.write('x'.repeat(65_536)));
    }
    response.on('drain', more)
    more()
  })
  const page = follow(url)
  await until(() => expect(page.ids).toEqual(['a', 'b']))
  expect(page.codes).toEqual(['TOO_LARGE'])
  expect(requests[1]?.headers['last-event-id']).toBe(at(1))
})

test('[K2] an event of endless lines likewise', async () => {
  const { url } = await serve((_, response, number) => {
    streamHead(response)
    response.write(connected({ id: at(0), resume: number > 1 ? 'replayed' : 'live' }))
    if (number > 1) return response.write(updated('a', at(1)))
    const more = () => {
      while (!response.destroyed && response.write('data: x\n'.repeat(8_192)));
    }
    response.on('drain', more)
    more()
  })
  const page = follow(url, { maxEventBytes: 65_536 })
  await until(() => expect(page.ids).toEqual(['a']))
  expect(page.codes).toEqual(['TOO_LARGE'])
})

test('[K3] frames that cannot be read are reported, and the stream goes on', async () => {
  const { url, requests } = await serve((_, response) => {
    streamHead(response)
    response.write(
      `${connected({ id: at(0) })}event: entity.updated\nid: ${at(1)}\ndata: {"__proto__":{"polluted":1}}\n\nevent: unheardof\ndata: 1\n\n`,
    )
    response.write(updated('a', at(2)))
  })
  const page = follow(url)
  await until(() => expect(page.ids).toEqual(['a']))
  expect(page.codes).toEqual(['INVALID_FRAME', 'INVALID_FRAME'])
  expect(requests).toHaveLength(1)
  expect(({} as { polluted?: number }).polluted).toBeUndefined()
})

test.each([
  [204, 'NO_CONTENT'],
  [403, 'FORBIDDEN'],
  [404, 'NOT_FOUND'],
  [410, 'REFUSED'],
])('[K4] %i stops', async (status, code) => {
  const { url, requests } = await serve((_, response) => response.writeHead(status).end())
  const page = follow(url)
  await until(() => expect(page.states).toEqual(['connecting', 'disconnected']))
  expect(page.errors).toMatchObject([{ code, status, retrying: false }])
  expect(requests).toHaveLength(1)
})

test.each([301, 302, 303, 307, 308])(
  '[K4] %i to another origin stops, and that origin sees no request',
  async (status) => {
    const other = await serve((_, response) => response.end())
    const { url, requests } = await serve((_, response) => response.writeHead(status, { Location: other.url }).end())
    const page = follow(url, { headers: { authorization: 'Bearer secret' } })
    await until(() => expect(page.subscriber.state).toBe('disconnected'))
    expect(page.codes).toEqual(['REDIRECTED'])
    expect([requests.length, other.requests.length]).toEqual([1, 0])
  },
)

test('[K4] 401 is answered with fresh headers once, then stops', async () => {
  const { url, requests } = await serve((_, response) => response.writeHead(401).end('{"code":"UNAUTHORIZED"}'))
  const page = follow(url, { headers: async ({ reason }) => ({ authorization: `Bearer ${reason ?? 'first'}` }) })
  await until(() => expect(page.subscriber.state).toBe('disconnected'))
  expect(requests.map(({ headers }) => headers.authorization)).toEqual(['Bearer first', 'Bearer unauthorized'])
  expect(page.errors).toMatchObject([{ code: 'UNAUTHORIZED', status: 401, retrying: false }])
})

test('[K4] 401 and then a good token: the stream opens, and nobody is told', async () => {
  const { url } = await serve((request, response) => {
    if (request.headers.authorization !== 'Bearer unauthorized') return response.writeHead(401).end()
    streamHead(response)
    return response.write(connected({ id: at(0) }))
  })
  const page = follow(url, { headers: ({ reason }) => ({ authorization: `Bearer ${reason}` }) })
  await until(() => expect(page.subscriber.state).toBe('connected'))
  expect(page.errors).toEqual([])
})

test.each([500, 502, 503, 524, 429])('[K4] %i is retried', async (status) => {
  const { url } = await serve((_, response, number) => {
    if (number < 3) return response.writeHead(status).end('busy')
    streamHead(response)
    return response.write(connected({ id: at(0) }))
  })
  const page = follow(url)
  await until(() => expect(page.subscriber.state).toBe('connected'))
  expect(page.errors).toMatchObject(Array(2).fill({ code: 'UNAVAILABLE', status, retrying: true }))
})

test('[K4] Retry-After is the least that is waited', async () => {
  const times: number[] = []
  const { url } = await serve((_, response) => {
    times.push(performance.now())
    if (times.length === 1) return response.writeHead(503, { 'Retry-After': '1' }).end()
    streamHead(response)
    return response.write(connected({ id: at(0) }))
  })
  const page = follow(url)
  await until(() => expect(page.subscriber.state).toBe('connected'))
  expect((times[1] as number) - (times[0] as number)).toBeGreaterThanOrEqual(1_000)
})

test.each([409, 431])('[K4] %i drops the cursor, and the page is told to resync once', async (status) => {
  const { url, requests } = await serve((request, response) => {
    if (request.headers['last-event-id']) return response.writeHead(status).end()
    streamHead(response)
    return response.write(connected({ id: at(60) }) + updated('a', at(61)))
  })
  const page = follow(url, { since: at(41) })
  await until(() => expect(page.ids).toEqual(['a']))
  expect([page.resyncs, page.codes, requests.length]).toEqual([['bad-cursor'], ['CURSOR_REFUSED'], 2])
})

test('[K4] 200 with HTML is retried until it is a stream', async () => {
  const { url } = await serve((_, response, number) => {
    if (number === 1)
      return response.writeHead(200, { 'Content-Type': 'text/html' }).end('<h1>Log in to the Wi-Fi</h1>')
    streamHead(response)
    return response.write(connected({ id: at(0) }))
  })
  const page = follow(url)
  await until(() => expect(page.subscriber.state).toBe('connected'))
  expect(page.codes).toEqual(['NOT_A_STREAM'])
})

test('[K5] a stream that opens and closes at once is not asked for in a hurry', async () => {
  const { url, requests } = await serve((_, response, number) => {
    streamHead(response)
    response.end(connected({ id: at(0), resume: number > 1 ? 'replayed' : 'live' }))
  })
  const start = performance.now()
  const page = follow(url, {}, { random: () => 1 })
  await until(() => expect(requests.length).toBeGreaterThanOrEqual(3))
  expect(page.codes).toContain('STREAM_ENDED')
  // With all of its jitter: 1 s, then 2 s.
  expect(performance.now() - start).toBeGreaterThanOrEqual(2_900)
})

test('[K6] a peer that has fallen silent is left within three heartbeats, for one new connection', async () => {
  const served = await serve((_, response, number) => {
    streamHead(response)
    response.write(connected({ id: at(0), heartbeatMs: 400, resume: number > 1 ? 'replayed' : 'live' }))
    if (number > 1) {
      const beat = setInterval(() => response.write(heartbeat(at(0))), 100)
      response.on('close', () => clearInterval(beat))
    }
  })
  const page = follow(served.url)
  await until(() => expect(page.states).toEqual(['connecting', 'connected', 'reconnecting', 'connected']))
  expect(page.codes).toEqual(['SILENT'])
  await until(() => expect(served.open).toBe(1))
})

test('[K7] closed while the stream is open: the request is gone, and nothing comes after it', async () => {
  const writers: ServerResponse[] = []
  const served = await serve((_, response) => {
    streamHead(response)
    response.write(connected({ id: at(0) }))
    writers.push(response)
  })
  const page = follow(served.url)
  page.subscriber.subscribe('document:a', () => page.subscriber.close())
  await until(() => expect(page.subscriber.state).toBe('connected'))
  writers[0]?.write(updated('a', at(1)) + updated('b', at(2)))
  await until(() => expect(served.open).toBe(0))
  expect(page.ids).toEqual(['a'])
  expect(page.errors).toEqual([])
})

test('[K7] closed before the answer: the request is gone', async () => {
  const served = await serve(() => {})
  const page = follow(served.url)
  await until(() => expect(served.requests).toHaveLength(1))
  page.subscriber.close()
  await until(() => expect(served.open).toBe(0))
  expect(page.states).toEqual(['connecting', 'disconnected'])
})

test('[K7] the body of an answer that is not read is let go', async () => {
  const served = await serve((_, response) => {
    response.writeHead(404)
    response.write('a body without end')
  })
  const page = follow(served.url)
  await until(() => expect(page.subscriber.state).toBe('disconnected'))
  await until(() => expect(served.open).toBe(0))
})

test('[K8] a connection that is refused, reset or cut in a frame is retried, and no event is lost or doubled', async () => {
  const { url, requests } = await serve((request, response, number) => {
    if (number === 1) return request.socket.resetAndDestroy()
    streamHead(response)
    if (number === 2) {
      response.write(connected({ id: at(0) }) + updated('a', at(1)) + updated('b', at(2)).slice(0, -1))
      return setTimeout(() => request.socket.resetAndDestroy(), 50)
    }
    return response.write(connected({ id: at(1), resume: 'replayed' }) + updated('b', at(2)))
  })
  const page = follow(url)
  await until(() => expect(page.ids).toEqual(['a', 'b']))
  expect(requests.map(({ headers }) => headers['last-event-id'])).toEqual([undefined, undefined, at(1)])
  expect(new Set(page.codes)).toEqual(new Set(['NETWORK']))

  const nobody = follow('http://127.0.0.1:1/events')
  await until(() => expect(nobody.codes.length).toBeGreaterThanOrEqual(2))
  expect(new Set(nobody.codes)).toEqual(new Set(['NETWORK']))
})

test('[K3] an id that no header can carry costs a resync, not the connection', async () => {
  const { url, requests } = await serve((_, response, number) => {
    streamHead(response)
    if (number > 1) return response.write(connected({ id: at(9) }) + updated('b', at(10)))
    response.end(connected({ id: at(0) }) + updated('a').replace('\n', '\nid: größe\n'))
  })
  const page = follow(url)
  await until(() => expect(page.ids).toEqual(['a', 'b']))
  expect(page.resyncs).toEqual(['bad-cursor'])
  expect(requests[1]?.headers['last-event-id']).toBeUndefined()
})
