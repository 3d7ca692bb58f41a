import { EventHub, type EventHubOptions, type EventStreamOptions, type Grant, HubError } from '@entitycast/sse-server'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { Listening } from './listening'
import { StreamClient } from './stream-client'

/**
 * What every mount must do, whatever the framework. A mount's own test names it and serves it.
 */

export interface SuiteOptions extends Pick<EventStreamOptions<unknown>, 'cors' | 'refuse'> {
  /** What the mount's `authorize`, or the application's guard, does with the request's headers. */
  authorize(header: (name: string) => string | undefined): Grant | null | Promise<Grant | null>
}

export interface Mount {
  readonly name: string
  /** Which of the methods besides GET the framework brings to the mount. */
  readonly methods: readonly ('HEAD' | 'OPTIONS' | 'POST' | 'TRACE')[]
  /** Where 401 and 403 come from: our JSON, or the application's guard. */
  readonly refuses: 'mount' | 'guard'
  /** Serves the stream at `<url>/stream`, telling the client's address, and the stats at `<url>/stats`. `close` stops the server the way its users do. */
  serve(hub: EventHub, options: SuiteOptions): Promise<Listening>
}

const WAIT = { timeout: 15_000 }

export const GOOD = { authorization: 'Bearer good' }

/** `Bearer good` is a user of the project p1; anything else is nobody. */
export function authorize(header: (name: string) => string | undefined): Grant | null {
  const credentials = header('authorization')
  if (credentials === 'Bearer foreign') throw new HubError('FORBIDDEN', 'Not your project')
  return credentials === 'Bearer good' ? { projectId: 'p1', userId: 'u1' } : null
}

export function mountSuite(mount: Mount): void {
  describe(`the ${mount.name} mount`, () => {
    const cleanups: (() => unknown)[] = []
    afterEach(async () => {
      for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
    })

    async function start(options: Partial<SuiteOptions> = {}, hubOptions: EventHubOptions = {}) {
      const hub = new EventHub({ logger: false, ...hubOptions })
      const server = await mount.serve(hub, { authorize, ...options })
      let closed = false
      const stop = async () => {
        if (closed) return
        closed = true
        await hub.close()
        await server.close()
      }
      cleanups.push(stop)
      const open = async (path = '/stream', headers: Record<string, string> = GOOD, method = 'GET', paused = false) => {
        const client = await StreamClient.open(server.url + path, { headers, method, paused })
        cleanups.push(() => client.close())
        return client
      }
      return { hub, server, open, stop, project: hub.project('p1') }
    }

    it('[4] the headers and the connected frame are sent at once, before there is any event', async () => {
      const { open } = await start()
      const client = await open()
      expect(client.status).toBe(200)
      expect(client.headers).toMatchObject({
        'content-type': 'text/event-stream; charset=utf-8',
        'cache-control': 'no-cache, no-transform',
        'x-accel-buffering': 'no',
        'x-content-type-options': 'nosniff',
      })
      expect(client.headers['content-encoding']).toBeUndefined()
      expect(await client.next()).toMatchObject({ event: 'connected', data: { projectId: 'p1', resume: 'live' } })
    })

    it('[1] events arrive whole and in the order of the log', async () => {
      const { open, project } = await start()
      const client = await open()
      await client.next('connected')
      for (let n = 1; n <= 50; n++) await project.updated('document', `d${n}`, { n, text: 'Grüße, 世界 🌍' })
      for (let n = 1; n <= 50; n++) {
        expect((await client.next('entity.updated')).data).toMatchObject({
          id: `d${n}`,
          data: { n, text: 'Grüße, 世界 🌍' },
        })
      }
    })

    it('only the channels that were asked for', async () => {
      const { open, hub } = await start()
      const client = await open('/stream?channels=locks,other')
      await client.next('connected')
      await hub.project('p1').emit('forbidden:one', {}, { channel: 'validation' })
      await hub.project('p1').emit('lock:acquired', {}, { channel: 'locks' })
      await client.next('lock:acquired')
      expect(client.events.map(({ event }) => event)).toEqual(['connected', 'lock:acquired'])
    })

    it('[C1] without credentials it is 401 with a JSON body, and no stream', async () => {
      const { open, hub } = await start()
      const client = await open('/stream', {})
      expect(client.status).toBe(401)
      expect(client.headers['content-type']).toMatch(/^application\/json/)
      const body = await client.json()
      if (mount.refuses === 'mount') expect(body).toMatchObject({ error: { code: 'UNAUTHORIZED' } })
      expect(hub.stats()).toMatchObject({ connections: 0, opened: 0 })
    })

    it('[C1 A2] with credentials for something else it is 403 with a JSON body, and no stream', async () => {
      const { open, hub } = await start()
      const foreign = await open('/stream', { authorization: 'Bearer foreign' })
      expect(foreign.status).toBe(403)
      expect(foreign.headers['content-type']).toMatch(/^application\/json/)
      await foreign.json()
      const mismatch = await open('/stream', { ...GOOD, 'x-project-id': 'p2' })
      expect(mismatch.status).toBe(403)
      expect(await mismatch.json()).toMatchObject({ error: { code: 'PROJECT_MISMATCH' } })
      expect(hub.stats()).toMatchObject({ connections: 0, opened: 0 })
    })

    it.each<[string, (id: string) => [path: string, headers: Record<string, string>]]>([
      ['the header Last-Event-ID', (id) => ['/stream', { ...GOOD, 'last-event-id': id }]],
      ['lastEventId in the query', (id) => [`/stream?lastEventId=${id}`, GOOD]],
    ])('[3] resumes by %s', async (_, at) => {
      const { open, project } = await start()
      const first = await open()
      await first.next('connected')
      await project.updated('document', 'd1', { n: 1 })
      const { id } = await first.next('entity.updated')
      first.close()
      await project.updated('document', 'd2', { n: 2 })
      await project.deleted('document', 'd3')
      const second = await open(...at(id!))
      expect((await second.next('connected')).data).toMatchObject({ resume: 'replayed' })
      expect(await second.next()).toMatchObject({ event: 'entity.updated', data: { id: 'd2' } })
      expect(await second.next()).toMatchObject({ event: 'entity.deleted', data: { id: 'd3' } })
    })

    it('[C3 R7] an unknown cursor is answered by a resync, not by an error', async () => {
      const { open } = await start()
      const client = await open('/stream', { ...GOOD, 'last-event-id': 'no cursor at all' })
      expect((await client.next('connected')).data).toMatchObject({ resume: 'resync' })
      expect((await client.next('resync')).data).toEqual({ reason: 'bad-cursor' })
    })

    if (mount.methods.includes('HEAD'))
      it('[C5] HEAD gets the headers and the end', async () => {
        const { open, hub } = await start()
        const client = await open('/stream', GOOD, 'HEAD')
        expect(client.status).toBe(200)
        expect(client.headers['content-type']).toBe('text/event-stream; charset=utf-8')
        await client.ended
        expect(client.text).toBe('')
        expect(hub.stats().opened).toBe(0)
      })

    if (mount.methods.includes('OPTIONS'))
      it('[C5] OPTIONS is answered, without credentials', async () => {
        const { open } = await start()
        const client = await open('/stream', {}, 'OPTIONS')
        expect(client.status).toBe(204)
        expect(client.headers.allow).toContain('GET')
        expect(client.headers['access-control-allow-origin']).toBeUndefined()
        await client.ended
      })

    it.each((['POST', 'TRACE'] as const).filter((method) => mount.methods.includes(method)))(
      '[C5] %s is 405, and does not hang',
      async (method) => {
        const { open } = await start()
        const client = await open('/stream', GOOD, method)
        expect(client.status).toBe(405)
        expect(client.headers.allow).toContain('GET')
        expect(await client.json()).toMatchObject({ error: { code: 'METHOD_NOT_ALLOWED' } })
      },
    )

    it('[C6 R2] Accept: application/json is 406', async () => {
      const { open } = await start()
      const client = await open('/stream', { ...GOOD, accept: 'application/json' })
      expect(client.status).toBe(406)
      expect(await client.json()).toMatchObject({ error: { code: 'NOT_ACCEPTABLE' } })
    })

    it.each(['token', 'access_token', 'jwt'])('[C10 R6] ?%s= is 400: no credentials in URLs', async (name) => {
      const { open } = await start()
      const client = await open(`/stream?${name}=secret`)
      expect(client.status).toBe(400)
      const body = await client.json()
      expect(body).toMatchObject({ error: { code: 'CREDENTIALS_IN_URL' } })
      expect(JSON.stringify(body)).not.toContain('secret')
    })

    it('CORS is off by default', async () => {
      const { open } = await start()
      const client = await open('/stream', { ...GOOD, origin: 'https://app.example.com' })
      await client.next('connected')
      expect(client.headers['access-control-allow-origin']).toBeUndefined()
    })

    it('CORS lets the pages of named origins in, and no others', async () => {
      const { open } = await start({ cors: { origins: ['https://app.example.com'], credentials: true } })
      const known = await open('/stream', { ...GOOD, origin: 'https://app.example.com' })
      expect(known.headers).toMatchObject({
        'access-control-allow-origin': 'https://app.example.com',
        'access-control-allow-credentials': 'true',
      })
      expect(known.headers.vary).toMatch(/origin/i)
      const other = await open('/stream', { ...GOOD, origin: 'https://evil.example.com' })
      expect(other.headers['access-control-allow-origin']).toBeUndefined()
      if (!mount.methods.includes('OPTIONS')) return
      const preflight = await open(
        '/stream',
        { origin: 'https://app.example.com', 'access-control-request-method': 'GET' },
        'OPTIONS',
      )
      expect(preflight.status).toBe(204)
      expect(preflight.headers['access-control-allow-headers']).toMatch(/last-event-id/i)
    })

    it('[C4] streams are counted by the address of the client', async () => {
      const { open } = await start({}, { limits: { perIp: 1 } })
      const first = await open()
      await first.next('connected')
      const second = await open()
      expect(second.status).toBe(429)
      expect(Number(second.headers['retry-after'])).toBeGreaterThan(0)
      expect(await second.json()).toMatchObject({ error: { code: 'TOO_MANY_CONNECTIONS' } })
    })

    it('[C4] streams that came before their address mattered count like those who came after', async () => {
      const { open } = await start({}, { limits: { perIp: 7 } })
      const streams = []
      for (let n = 0; n < 7; n++) streams.push(await open())
      for (const stream of streams) await stream.next('connected')
      expect((await open()).status).toBe(429)
      streams[0]?.close()
      await vi.waitFor(async () => expect((await open()).status).toBe(200), WAIT)
      expect((await open()).status).toBe(429)
    })

    it("[C4] refuse: 'stream' answers 200, a retry and the end", async () => {
      const { open } = await start({ refuse: 'stream' }, { limits: { perUser: 1 } })
      const first = await open()
      await first.next('connected')
      const second = await open()
      expect(second.status).toBe(200)
      await second.ended
      expect(second.text).toMatch(/^retry: \d+\n\n$/)
    })

    it('[C9] clients that leave are forgotten', async () => {
      const { open, hub, server } = await start()
      const clients = await Promise.all(Array.from({ length: 8 }, () => open()))
      for (const client of clients) await client.next('connected')
      expect(hub.stats().connections).toBe(8)
      for (const client of clients) client.close()
      await vi.waitFor(() => expect(hub.stats().connections).toBe(0), WAIT)
      await vi.waitFor(async () => expect(await server.sockets()).toBe(0), WAIT)
    })

    it('[C2] a client that leaves while authorize is pending is never connected', async () => {
      const asked: (() => void)[] = []
      const { open, hub, server } = await start({
        authorize: (header) => {
          if (header('x-slow') === undefined) return authorize(header)
          return new Promise((resolve) => asked.push(() => resolve({ projectId: 'p1' })))
        },
      })
      const leaving = new AbortController()
      const left = StreamClient.open(`${server.url}/stream`, {
        headers: { ...GOOD, 'x-slow': '1' },
        signal: leaving.signal,
      })
      await vi.waitFor(() => expect(asked).toHaveLength(1), WAIT)
      leaving.abort()
      await expect(left).rejects.toThrow()
      await vi.waitFor(async () => expect(await server.sockets()).toBe(0), WAIT)
      asked[0]!()
      const fence = await open()
      await fence.next('connected')
      expect(hub.stats()).toMatchObject({ connections: 1, opened: 1 })
    })

    it('[6] a reader who stops and comes back gets the newest, and a bounded part of the rest', async () => {
      const { open, hub, project } = await start(
        {},
        { retention: { bytes: 64 * 1_048_576 }, heartbeatIntervalMs: false },
      )
      const client = await open('/stream', GOOD, 'GET', true)
      await vi.waitFor(() => expect(hub.stats().connections).toBe(1), WAIT)
      const text = 'x'.repeat(60_000)
      let n = 0
      while (hub.stats().lagging === 0) {
        if (++n > 900) throw new Error('54 MB went out, and nobody read them')
        await project.updated('document', 'd1', { n, text })
        await new Promise((resolve) => setImmediate(resolve))
      }
      for (const last = n + 50; n < last; ) await project.updated('document', 'd1', { n: ++n })
      await project.emit('last:one', {})
      client.resume()
      await client.next('last:one')
      const seen = client.events
        .filter(({ event }) => event === 'entity.updated')
        .map(({ data }) => (data.data as { n: number }).n)
      expect(seen).toEqual([...new Set(seen)].sort((a, b) => a - b))
      expect(seen.at(-1)).toBe(n)
      expect(seen.length).toBeLessThan(n)
      expect(client.events.map(({ event }) => event)).not.toContain('resync')
      await vi.waitFor(() => expect(hub.stats().lagging).toBe(0), WAIT)
    })

    it('[S7] closing the hub ends the streams with a word, and the server closes by itself', async () => {
      const { open, stop, hub } = await start()
      const clients = await Promise.all(Array.from({ length: 5 }, () => open()))
      for (const client of clients) await client.next('connected')
      await stop()
      for (const client of clients) {
        expect((await client.next('closing')).data).toEqual({ reason: 'shutdown' })
        await client.ended
      }
      expect(hub.stats().connections).toBe(0)
    })

    it('[S7] a draining hub refuses newcomers', async () => {
      const { open, hub } = await start()
      const first = await open()
      await first.next('connected')
      await hub.close()
      const second = await open()
      expect(second.status).toBe(503)
      expect(second.headers['retry-after']).toMatch(/^\d+$/)
      await second.ended
    })

    it('the stats are JSON', async () => {
      const { open } = await start()
      const client = await open()
      await client.next('connected')
      const stats = await open('/stats')
      expect(stats.headers['content-type']).toMatch(/^application\/json/)
      expect(stats.headers['cache-control']).toBe('no-store')
      expect(await stats.json()).toMatchObject({ connections: 1, opened: 1 })
    })
  })
}
