import { EventHub } from '@entitycast/sse-server'
import { eventStats, eventStream, openStream } from '@entitycast/sse-server/fastify'
import fastify, { type FastifyInstance } from 'fastify'
import { describe, expect, it, vi } from 'vitest'
import { type Listening, socketsOf } from './listening'
import { authorize, GOOD, mountSuite } from './mount-suite'
import { StreamClient } from './stream-client'

/** A busy machine may need it. */
const WAIT = { timeout: 15_000 }

async function listen(app: FastifyInstance): Promise<Listening> {
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  return { url, sockets: () => socketsOf(app.server), close: () => app.close() }
}

mountSuite({
  name: 'fastify',
  // TRACE is not a method that Fastify knows by default.
  methods: ['HEAD', 'OPTIONS', 'POST'],
  refuses: 'mount',
  serve: async (hub, { authorize, ...options }) => {
    const app = fastify()
    await app.register(eventStream, {
      ...options,
      hub,
      path: '/stream',
      authorize: (request) => authorize((name) => request.headers[name]?.toString()),
    })
    app.get('/stats', eventStats(hub))
    return listen(app)
  },
})

describe('in a Fastify application', () => {
  it('[S7] app.close() returns with streams open, and closes the hub', async () => {
    const hub = new EventHub({ logger: false })
    const app = fastify()
    await app.register(eventStream, { hub, path: '/stream', authorize: () => ({ projectId: 'p1' }) })
    const { url } = await listen(app)
    const clients = await Promise.all(Array.from({ length: 20 }, () => StreamClient.open(`${url}/stream`)))
    for (const client of clients) await client.next('connected')
    await app.close()
    for (const client of clients) expect((await client.next('closing')).data).toEqual({ reason: 'shutdown' })
    expect(hub.stats()).toMatchObject({ accepting: false, connections: 0 })
  })

  it('[S7] drainMs: false leaves the hub to the application', async () => {
    const hub = new EventHub({ logger: false })
    const app = fastify()
    await app.register(eventStream, { hub, path: '/stream', authorize: () => ({ projectId: 'p1' }), drainMs: false })
    await listen(app)
    await app.close()
    expect(hub.stats().accepting).toBe(true)
    await hub.close()
  })

  it('hooks of its scope run before it, and the headers they set go out with the stream and with a refusal', async () => {
    const hub = new EventHub({ logger: false })
    const app = fastify()
    app.addHook('onRequest', async (request, reply) => {
      reply.header('x-request-id', 'r1').header('access-control-allow-origin', '*')
      if (request.headers['x-blocked']) return reply.code(418).send({ blocked: true })
    })
    await app.register(eventStream, {
      hub,
      prefix: '/api',
      path: '/stream',
      authorize: (request) => authorize((name) => request.headers[name]?.toString()),
    })
    const { url } = await listen(app)
    const granted = await StreamClient.open(`${url}/api/stream`, { headers: GOOD })
    await granted.next('connected')
    expect(granted.headers).toMatchObject({ 'x-request-id': 'r1', 'access-control-allow-origin': '*' })
    const refused = await StreamClient.open(`${url}/api/stream`)
    expect(refused.status).toBe(401)
    expect(refused.headers).toMatchObject({ 'x-request-id': 'r1', 'access-control-allow-origin': '*' })
    const blocked = await StreamClient.open(`${url}/api/stream`, { headers: { ...GOOD, 'x-blocked': '1' } })
    expect(blocked.status).toBe(418)
    granted.close()
    await app.close()
  })

  it('openStream serves a route that has checked its user by itself', async () => {
    const hub = new EventHub({ logger: false })
    const app = fastify()
    app.addHook('preClose', () => hub.close())
    app.get('/guarded', (request, reply) => openStream(hub, request, reply, { projectId: 'p1' }))
    const { url } = await listen(app)
    const client = await StreamClient.open(`${url}/guarded?channels=locks`)
    await client.next('connected')
    await hub.project('p1').emit('forbidden:one', {})
    await hub.project('p1').emit('lock:acquired', {}, { channel: 'locks' })
    await client.next('lock:acquired')
    expect(client.events.map(({ event }) => event)).toEqual(['connected', 'lock:acquired'])
    await app.close()
  })

  it('app.inject() works, for tests of an application', async () => {
    const hub = new EventHub({ logger: false })
    const app = fastify()
    await app.register(eventStream, {
      hub,
      authorize: (request) => authorize((name) => request.headers[name]?.toString()),
    })
    const refused = await app.inject('/')
    expect([refused.statusCode, refused.json().error.code]).toEqual([401, 'UNAUTHORIZED'])
    const granted = app.inject({ url: '/', headers: GOOD })
    await vi.waitFor(() => expect(hub.stats().connections).toBe(1), WAIT)
    await hub.project('p1').updated('document', 'd1')
    await app.close()
    expect((await granted).payload.match(/^event: .*$/gm)).toEqual([
      'event: connected',
      'event: entity.updated',
      'event: closing',
    ])
  })
})
