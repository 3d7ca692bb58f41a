import { createServer } from 'node:http'
import { EventHub } from '@entitycast/sse-server'
import { eventStats, eventStream, openStream } from '@entitycast/sse-server/express'
import compression from 'compression'
import cors from 'cors'
import express, { type RequestHandler } from 'express'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { expectPromptEvents } from './latency'
import { type Listening, listening } from './listening'
import { authorize, GOOD, mountSuite } from './mount-suite'
import { StreamClient } from './stream-client'

mountSuite({
  name: 'express',
  methods: ['HEAD', 'OPTIONS', 'POST', 'TRACE'],
  refuses: 'mount',
  serve: (hub, { authorize, ...options }) => {
    const app = express()
    app.all('/stream', eventStream(hub, { ...options, authorize: (req) => authorize((name) => req.get(name)) }))
    app.get('/stats', eventStats(hub))
    return listening(createServer(app))
  },
})

describe('Express before the stream', () => {
  let hub: EventHub
  let server: Listening | undefined
  const clients: StreamClient[] = []

  afterEach(async () => {
    for (const client of clients.splice(0)) client.close()
    await hub.close()
    await server?.close()
  })

  async function serve(...before: RequestHandler[]) {
    hub = new EventHub({ logger: false, heartbeatIntervalMs: false })
    const app = express()
    for (const handler of before) app.use(handler)
    app.get('/stream', eventStream(hub, { authorize: (req) => authorize((name) => req.get(name)) }))
    app.use(
      '/nested',
      express.Router().all('/stream', eventStream(hub, { authorize: (req) => authorize((name) => req.get(name)) })),
    )
    app.get('/guarded', (req, res) => openStream(hub, req, res, { projectId: 'p1' }))
    server = await listening(createServer(app))
  }

  async function open(path: string, headers: Record<string, string> = {}) {
    const client = await StreamClient.open(server!.url + path, { headers: { ...GOOD, ...headers } })
    clients.push(client)
    return client
  }

  it('[C7] compression() leaves the stream alone, and events arrive within 100 ms', async () => {
    await serve(compression({ threshold: 0 }))
    const client = await open('/stream', { 'accept-encoding': 'gzip' })
    expect(client.headers['content-encoding']).toBeUndefined()
    await expectPromptEvents(hub, client)
  })

  it('[C7] a compressor that does not care about no-transform is flushed after each write', async () => {
    const careless: RequestHandler = (_req, res, next) => {
      const { setHeader } = res
      res.setHeader = (name, value) => setHeader.call(res, name, name === 'cache-control' ? 'no-cache' : value)
      next()
    }
    await serve(careless, compression({ threshold: 0 }))
    const client = await open('/stream', { 'accept-encoding': 'gzip' })
    expect(client.headers['content-encoding']).toBe('gzip')
    await expectPromptEvents(hub, client)
  })

  it('[D8 S5] what a compressor holds when the user is revoked does not go out', async () => {
    const careless: RequestHandler = (_req, res, next) => {
      const { setHeader } = res
      res.setHeader = (name, value) => setHeader.call(res, name, name === 'cache-control' ? 'no-cache' : value)
      next()
    }
    await serve(careless, compression({ threshold: 0 }))
    const client = await open('/stream', { 'accept-encoding': 'gzip' })
    await client.next('connected')
    const { writes } = hub.stats()
    await hub.project('p1').updated('document', 'secret', { text: 'x'.repeat(10_000) })
    while (hub.stats().writes === writes) await new Promise((resolve) => setImmediate(resolve))
    await hub.revoke({ projectId: 'p1', userId: 'u1' })
    await client.ended
    expect(client.text.includes('secret')).toBe(false)
  })

  it('what stands before it in many an application leaves the stream as it is', async () => {
    const session: RequestHandler = (_req, res, next) => {
      // As cookie-session does, at the last moment.
      const writeHead = res.writeHead.bind(res) as (...args: unknown[]) => typeof res
      res.writeHead = (...args: unknown[]) => {
        res.appendHeader('set-cookie', 'session=1; HttpOnly')
        return writeHead(...args)
      }
      next()
    }
    const security: RequestHandler = (_req, res, next) => {
      res.setHeader('content-security-policy', "default-src 'self'").setHeader('x-content-type-options', 'nosniff')
      res.removeHeader('x-powered-by')
      next()
    }
    const ended: number[] = []
    const log: RequestHandler = (_req, res, next) => {
      res.on('close', () => ended.push(res.statusCode))
      next()
    }
    const overdue: boolean[] = []
    const timeout: RequestHandler = (_req, res, next) => {
      setTimeout(() => {
        overdue.push(!res.headersSent)
        if (!res.headersSent) res.status(503).end()
      }, 50)
      next()
    }
    await serve(
      log,
      timeout,
      security,
      cors({ origin: 'https://app.example.com', credentials: true }),
      session,
      compression(),
      express.json(),
    )
    const client = await open('/stream', { origin: 'https://app.example.com', 'accept-encoding': 'gzip' })
    expect(client.headers).toMatchObject({
      'access-control-allow-origin': 'https://app.example.com',
      'content-security-policy': "default-src 'self'",
      'content-type': 'text/event-stream; charset=utf-8',
      'set-cookie': ['session=1; HttpOnly'],
    })
    expect(client.headers['content-encoding']).toBeUndefined()
    await vi.waitFor(() => expect(overdue).toEqual([false]), { timeout: 15_000 })
    await expectPromptEvents(hub, client)
    const refused = await open('/stream', { authorization: 'Bearer nobody' })
    expect([refused.status, refused.headers['set-cookie']]).toEqual([401, ['session=1; HttpOnly']])
    await refused.json()
    expect(await hub.revoke({ projectId: 'p1', userId: 'u1' })).toBe(1)
    await client.next('closing')
    await client.ended
    await vi.waitFor(() => expect(ended.sort()).toEqual([200, 401]), { timeout: 15_000 })
  })

  it('[C7] a compressor whose reader stops does not pile up', async () => {
    const careless: RequestHandler = (_req, res, next) => {
      const { setHeader } = res
      res.setHeader = (name, value) => setHeader.call(res, name, name === 'cache-control' ? 'no-cache' : value)
      next()
    }
    await serve(careless, compression({ threshold: 0, level: 0 }))
    const client = await StreamClient.open(`${server!.url}/stream`, {
      headers: { ...GOOD, 'accept-encoding': 'gzip' },
      paused: true,
    })
    clients.push(client)
    const text = 'x'.repeat(60_000)
    for (let n = 1; hub.stats().lagging === 0; n++) {
      if (n > 900) throw new Error('54 MB went out, and nobody read them')
      await hub.project('p1').updated('document', 'd1', { n, text })
      await new Promise((resolve) => setImmediate(resolve))
    }
    await hub.project('p1').emit('last:one', {})
    client.resume()
    await client.next('last:one')
  })

  it('headers that were set before are kept, Vary is added to', async () => {
    await serve((_req, res, next) => {
      res.set({ 'x-request-id': 'r1', vary: 'Accept-Encoding', 'cache-control': 'public' })
      next()
    })
    const client = await open('/stream')
    expect(client.headers).toMatchObject({
      'x-request-id': 'r1',
      vary: 'Accept-Encoding',
      'cache-control': 'no-cache, no-transform',
    })
  })

  it('the query is read inside a router too', async () => {
    await serve()
    const client = await open('/nested/stream?channels=locks')
    await client.next('connected')
    await hub.project('p1').emit('forbidden:one', {})
    await hub.project('p1').emit('lock:acquired', {}, { channel: 'locks' })
    await client.next('lock:acquired')
    expect(client.events.map(({ event }) => event)).toEqual(['connected', 'lock:acquired'])
  })

  it('[C5] under app.get HEAD comes in, and POST is 404 by Express', async () => {
    await serve()
    const head = await StreamClient.open(`${server!.url}/stream`, { method: 'HEAD', headers: GOOD })
    await head.ended
    expect([head.status, head.text]).toEqual([200, ''])
    const post = await StreamClient.open(`${server!.url}/stream`, { method: 'POST', headers: GOOD })
    await post.ended
    expect(post.status).toBe(404)
  })

  it('openStream serves a route that has checked its user by itself', async () => {
    await serve()
    const client = await open('/guarded', { authorization: '' })
    await client.next('connected')
    await hub.project('p1').updated('document', 'd1')
    await client.next('entity.updated')
  })

  it('a response that a middleware has already answered is left alone', async () => {
    await serve((_req, res, next) => {
      res.status(503).json({ late: true })
      next()
    })
    const client = await open('/stream')
    expect([client.status, await client.json()]).toEqual([503, { late: true }])
    expect(hub.stats().opened).toBe(0)
  })
})
