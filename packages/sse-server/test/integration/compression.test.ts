import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, request, ServerResponse } from 'node:http'
import { connect as connectHttp2, createServer as createHttp2Server } from 'node:http2'
import { connect } from 'node:net'
import { createGunzip } from 'node:zlib'
import { EventHub, type EventHubOptions } from '@entitycast/sse-server'
import { eventStream as expressStream } from '@entitycast/sse-server/express'
import { eventStream as fastifyStream } from '@entitycast/sse-server/fastify'
import { eventStream as fetchStream } from '@entitycast/sse-server/fetch'
import { eventStream } from '@entitycast/sse-server/node'
import compression from 'compression'
import { createParser } from 'eventsource-parser'
import express, { type RequestHandler } from 'express'
import fastify from 'fastify'
import { Hono } from 'hono'
import { compress } from 'hono/compress'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { systemClock } from '../../src/seams/system'
import { fetchServer } from './fetch-server'
import { expectPromptEvents } from './latency'
import { listening } from './listening'
import { StreamClient } from './stream-client'

const deflated = vi.hoisted(() => ({ count: 0 }))
vi.mock('node:zlib', async (original) => {
  const zlib = await original<typeof import('node:zlib')>()
  return {
    ...zlib,
    deflateRawSync: (...args: Parameters<typeof zlib.deflateRawSync>) => {
      deflated.count++
      return zlib.deflateRawSync(...args)
    },
  }
})

const WAIT = { timeout: 15_000, interval: 5 }
const GZIP = { 'accept-encoding': 'gzip' }
const OPTIONS = { compression: 'gzip', authorize: () => ({ projectId: 'p1' }) } as const

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

function makeHub(options: EventHubOptions = {}): EventHub {
  const hub = new EventHub({ logger: false, limits: false, heartbeatIntervalMs: false, ...options })
  cleanups.push(() => hub.close())
  return hub
}

async function listen(server: AnyServer | Promise<AnyServer>): Promise<string> {
  const { url, close } = await listening(await server)
  // After the hub, whose streams it would wait for.
  cleanups.unshift(close)
  return url
}

async function open(url: string, headers: Record<string, string> = GZIP, paused = false): Promise<StreamClient> {
  const client = await StreamClient.open(url, { headers, paused })
  cleanups.push(() => client.close())
  return client
}

/** compression() that compresses streams too: it no longer sees `no-transform`. */
const careless: RequestHandler = (_req, res, next) => {
  const { setHeader } = res
  res.setHeader = (name, value) => setHeader.call(res, name, name === 'cache-control' ? 'no-cache' : value)
  next()
}

/** Every way in which a stream may go out. */
type AnyServer = Parameters<typeof listening>[0]
const ways: Record<string, (hub: EventHub) => AnyServer | Promise<AnyServer>> = {
  'past the response': (hub) => createServer(eventStream(hub, OPTIONS)),
  'a response that somebody wraps': (hub) => {
    const stream = eventStream(hub, OPTIONS)
    return createServer((req, res) => {
      res.write = ServerResponse.prototype.write.bind(res)
      stream(req, res)
    })
  },
  'behind compression()': (hub) => createServer(app(hub, compression({ threshold: 0 }))),
  'behind a compression() that compresses streams': (hub) =>
    createServer(app(hub, careless, compression({ threshold: 0 }))),
  Fastify: async (hub) => {
    const made = fastify()
    await made.register(fastifyStream, { hub, drainMs: false, ...OPTIONS })
    await made.ready()
    return made.server
  },
  fetch: (hub) => fetchServer(fetchStream(hub, OPTIONS)),
  "fetch, behind Hono's compress()": (hub) => {
    const stream = fetchStream(hub, OPTIONS)
    const hono = new Hono()
    hono.use(compress())
    hono.get('/', (c) => stream(c.req.raw))
    return fetchServer((request) => hono.fetch(request))
  },
}

function app(hub: EventHub, ...before: RequestHandler[]) {
  const made = express()
  for (const handler of before) made.use(handler)
  return made.get('/', expressStream(hub, OPTIONS))
}

describe.each(Object.keys(ways))('%s', (way) => {
  it('[C7] a client that accepts gzip gets it, each event at once, and plain text is for the others', async () => {
    const hub = makeHub()
    const url = await listen(ways[way]!(hub))
    const client = await open(url)
    expect(client.headers['content-encoding']).toBe('gzip')
    expect(client.headers['cache-control']).toMatch(/^no-cache/)
    expect(client.headers.vary).toMatch(/accept-encoding/i)
    await expectPromptEvents(hub, client)
    const plain = await open(url, {})
    expect(plain.headers['content-encoding']).toBeUndefined()
    expect(plain.headers.vary).toMatch(/accept-encoding/i)
    await plain.next('connected')
    // One long event, which is compressed, and one short one, which is not.
    for (const text of ['ü'.repeat(5_000), 'ü']) {
      await hub.project('p1').updated('document', 'd2', { text })
      for (const one of [client, plain])
        expect((await one.next('entity.updated')).data).toMatchObject({ id: 'd2', data: { text } })
    }
  })
})

describe('who else has a say', () => {
  it('[C7] an encoding that somebody has named already is left to him', async () => {
    const hub = makeHub()
    const named: RequestHandler = (_req, res, next) =>
      void next(res.setHeader('content-encoding', 'identity') && undefined)
    const client = await open(await listen(createServer(app(hub, named))))
    expect(client.headers['content-encoding']).toBe('identity')
    await expectPromptEvents(hub, client)
  })

  it('a client of HTTP/1.0 gets the gzip stream without chunks', async () => {
    const hub = makeHub()
    const url = await listen(ways['past the response']!(hub))
    const socket = connect(Number(new URL(url).port), '127.0.0.1')
    cleanups.push(() => socket.destroy())
    const parts: Buffer[] = []
    socket.on('data', (part) => parts.push(part)).on('error', () => {})
    socket.write('GET / HTTP/1.0\r\nAccept-Encoding: gzip\r\n\r\n')
    await vi.waitFor(() => expect(hub.stats().connections).toBe(1), WAIT)
    await hub.project('p1').updated('document', 'd1', { text: 'x'.repeat(2_000) })
    await vi.waitFor(async () => {
      const all = Buffer.concat(parts)
      const head = all.indexOf('\r\n\r\n') + 4
      expect(all.subarray(0, head).toString()).not.toMatch(/transfer-encoding/i)
      expect(await inflate(all.subarray(head))).toMatch(/^event: connected\n[\s\S]*"id":"d1"[\s\S]*\n\n$/)
    }, WAIT)
  })

  it('[C8] HTTP/2', async () => {
    const hub = makeHub()
    const url = await listen(createHttp2Server(eventStream(hub, OPTIONS)))
    const session = connectHttp2(url)
    cleanups.push(() => session.destroy())
    const stream = session.request({ ':path': '/', ...GZIP })
    const [headers] = await once(stream, 'response')
    expect(headers).toMatchObject({ ':status': 200, 'content-encoding': 'gzip', vary: 'Accept-Encoding' })
    const ids: unknown[] = []
    const parser = createParser({ onEvent: ({ data }) => ids.push(JSON.parse(data).id) })
    stream
      .pipe(createGunzip())
      .setEncoding('utf8')
      .on('data', (text) => parser.feed(text))
      .on('error', () => {})
    await vi.waitFor(() => expect(ids).toHaveLength(1), WAIT)
    for (let n = 1; n <= 5; n++) {
      await hub.project('p1').updated('document', `d${n}`, { text: 'x'.repeat(n * 200) })
      await vi.waitFor(() => expect(ids.at(-1)).toBe(`d${n}`), WAIT)
    }
  })

  it("[S7] the end is clean for Node's fetch, although a gzip stream without a trailer never ends", async () => {
    const hub = makeHub()
    const url = await listen(ways['past the response']!(hub))
    const response = await fetch(url, { headers: GZIP })
    await hub.close()
    expect(response.headers.get('content-encoding')).toBe('gzip')
    expect((await response.text()).match(/^event: .*$/gm)).toEqual(['event: connected', 'event: closing'])
  })

  it('[6] a reader who stops and comes back gets the newest; what waits for him is counted as it goes out', async () => {
    const hub = makeHub({ retention: { bytes: 64 * 1_048_576 } })
    const client = await open(await listen(ways['past the response']!(hub)), GZIP, true)
    const text = randomBytes(45_000).toString('base64')
    let n = 0
    while (hub.stats().lagging === 0) {
      if (++n > 900) throw new Error('40 MB went out, and nobody read them')
      await hub.project('p1').updated('document', 'd1', { n, text: `${n}${text}` })
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(hub.stats().bytesWritten).toBeLessThan(n * 50_000)
    for (let last = n + 20; n < last; ) await hub.project('p1').updated('document', 'd1', { n: ++n })
    await hub.project('p1').emit('last:one', {})
    client.resume()
    await client.next('last:one')
    const seen = client.events.filter(({ event }) => event === 'entity.updated').map(({ data }) => data.data)
    expect(seen.at(-1)).toMatchObject({ n })
    expect(seen.length).toBeLessThan(n)
  })
})

describe('what it costs, in counts', () => {
  const STREAMS = 100

  /** Streams that count their bytes and wait for text. */
  async function openMany(url: string, headers: Record<string, string>) {
    const received: string[] = []
    const responses: IncomingMessage[] = []
    for (let n = 0; n < STREAMS; n++) {
      const outgoing = request(url, { headers, agent: false }).end()
      const [response] = (await once(outgoing, 'response')) as [IncomingMessage]
      cleanups.push(() => outgoing.destroy())
      received[n] = ''
      const body = response.headers['content-encoding'] ? response.pipe(createGunzip()) : response
      body.setEncoding('utf8').on('data', (text: string) => {
        received[n] += text
      })
      body.on('error', () => {})
      response.on('error', () => {})
      responses.push(response)
    }
    return {
      has: (text: string) => vi.waitFor(() => expect(received.filter((one) => !one.includes(text))).toEqual([]), WAIT),
      /** Bytes from the sockets. */
      bytes: () => responses.reduce((sum, { socket }) => sum + socket.bytesRead, 0),
    }
  }

  it('[D1] a chunk is compressed once for a hundred streams, its bytes are at least 5 times fewer, and small frames are not compressed at all', async () => {
    const hub = makeHub()
    const url = await listen(ways['past the response']!(hub))
    deflated.count = 0
    const [gzip, plain] = [await openMany(url, GZIP), await openMany(url, {})]
    for (const streams of [gzip, plain]) await streams.has('event: connected')
    expect(deflated.count).toBe(0)
    const before = [gzip.bytes(), plain.bytes()] as const
    const { bytesWritten } = hub.stats()
    const published = Array.from({ length: 8 }, (_, n) =>
      hub.project('p1').updated('document', `doc_${n * 7_919}`, { embeddedChunks: n * 31, chunks: 977 }),
    )
    await Promise.all(published)
    for (const streams of [gzip, plain]) await streams.has(`"id":"doc_${7 * 7_919}"`)
    expect(deflated.count).toBe(1)
    const [small, large] = [gzip.bytes() - before[0], plain.bytes() - before[1]]
    console.log(
      `8 events to ${STREAMS} streams: ${large} bytes plain, ${small} compressed, ${(large / small).toFixed(2)} ×`,
    )
    expect(large / small).toBeGreaterThanOrEqual(5)
    // The counter knows what goes out, but for the frames of chunked encoding.
    expect(hub.stats().bytesWritten - bytesWritten).toBeGreaterThan((small + large) * 0.97)
    expect(hub.stats().bytesWritten - bytesWritten).toBeLessThan(small + large)
  })

  it('[D1] nothing is compressed where nobody accepts it', async () => {
    const hub = makeHub()
    const plain = await openMany(await listen(ways['past the response']!(hub)), {})
    deflated.count = 0
    await hub.project('p1').updated('document', 'd1', { text: 'x'.repeat(5_000) })
    await plain.has('"id":"d1"')
    expect(deflated.count).toBe(0)
  })

  it('[D1] a page of the past is compressed once for all who come back to one place', async () => {
    // Pages are let go of with the hub's rounds, a second apart: here none comes while they connect, however long that takes.
    const clock = { ...systemClock, after: () => () => {} }
    const hub = makeHub({ ports: { clock } })
    const url = await listen(ways['past the response']!(hub))
    const cursor = await hub.cursor('p1')
    for (let n = 0; n < 100; n++) await hub.project('p1').updated('document', `d${n}`, { n })
    deflated.count = 0
    const gzip = await openMany(url, { ...GZIP, 'last-event-id': cursor })
    await gzip.has('"id":"d99"')
    // The first who comes is alone, and its page is not kept.
    expect(deflated.count).toBeLessThanOrEqual(2)
  })
})

/** Everything that a gzip stream without an end holds. */
function inflate(bytes: Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    const gunzip = createGunzip()
    let text = ''
    gunzip.setEncoding('utf8').on('data', (part) => {
      text += part
    })
    gunzip.on('error', reject)
    gunzip.write(bytes, () => {
      gunzip.destroy()
      resolve(text)
    })
  })
}
