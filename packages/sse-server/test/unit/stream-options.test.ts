import { type EventStreamOptions, HubError } from '@entitycast/sse-server'
import { eventStats as expressStats, eventStream as expressStream } from '@entitycast/sse-server/express'
import { eventStats as fastifyStats, eventStream as fastifyStream } from '@entitycast/sse-server/fastify'
import { eventStats as fetchStats, eventStream as fetchStream } from '@entitycast/sse-server/fetch'
import { eventStats as nodeStats, eventStream as nodeStream } from '@entitycast/sse-server/node'
import { describe, expect, it } from 'vitest'
import { codeOf, testHub } from '../support/hub'
import { open } from '../support/stream'

const grant = { projectId: 'p1' }
const good = { authorize: () => grant }

const bad: [object | null | undefined, string][] = [
  [undefined, 'authorize'],
  [null, 'authorize'],
  [{}, 'authorize'],
  [{ authorize: grant }, 'authorize'],
  [{ ...good, reauthorize: true }, 'reauthorize'],
  [{ ...good, clientIp: '10.0.0.1' }, 'clientIp'],
  [{ ...good, refuse: 'retry' }, 'refuse'],
  [{ ...good, compression: 'br' }, 'compression'],
  [{ ...good, reauthorise: () => false }, '"reauthorise" is not an option of a mount; did you mean reauthorize?'],
  [{ ...good, clientIP: () => '10.0.0.1' }, 'did you mean clientIp?'],
  [{ ...good, cors: true }, 'cors.origins'],
  [{ ...good, cors: null }, 'cors.origins'],
  [{ ...good, cors: { origin: 'https://app.example.com' } }, 'cors.origins'],
  [{ ...good, cors: { origins: 'https://app.example.com' } }, 'cors.origins'],
  [{ ...good, cors: { origins: ['https://app.example.com/'] } }, 'cors.origins'],
  [{ ...good, cors: { origins: ['app.example.com'] } }, 'cors.origins'],
  [{ ...good, cors: { origins: ['*'] } }, 'cors.origins'],
  [{ ...good, cors: { origins: [/example/] } }, 'cors.origins'],
  [{ ...good, cors: { origins: '*', credentials: 'no' } }, 'cors.credentials'],
  [{ ...good, cors: { origins: '*', credentials: true } }, 'cors.credentials'],
]

describe('the options of a mount', () => {
  for (const [options, name] of bad) {
    it(`[N11] ${JSON.stringify(options, (_, value) => (typeof value === 'function' ? 'a function' : value))} throws before any request and names ${name}`, async () => {
      const { hub } = testHub()
      const wrong = options as EventStreamOptions<unknown>
      const mounts: (() => unknown)[] = [
        () => nodeStream(hub, wrong),
        () => expressStream(hub, wrong),
        () => fetchStream(hub, wrong),
        () => fastifyStream({} as never, { hub, ...wrong }),
      ]
      for (const mount of mounts) {
        const error = await Promise.resolve()
          .then(mount)
          .catch((thrown: HubError) => thrown)
        expect(error).toMatchObject({ code: 'INVALID_OPTION', message: expect.stringContaining(name) })
      }
      await hub.close()
    })
  }

  it.each([undefined, null, {}, 'hub'])(
    '[N11] eventStats(%j) throws when it is made, not at a request',
    async (hub) => {
      for (const stats of [nodeStats, expressStats, fetchStats, fastifyStats]) {
        expect(await codeOf(() => stats(hub as never))).toBe('INVALID_OPTION')
      }
    },
  )

  it.each([-1, Number.NaN, '5', true, null])(
    '[N11 S7] drainMs %s is refused when the plugin is made, not when it closes',
    async (drainMs) => {
      const { hub } = testHub()
      const plugin = async () => fastifyStream({} as never, { hub, ...good, drainMs: drainMs as never })
      expect(await codeOf(plugin)).toBe('INVALID_OPTION')
      await hub.close()
    },
  )

  it('[N11] a mount without a hub throws before any request', async () => {
    for (const hub of [undefined, null, {}, 'hub']) {
      expect(await codeOf(() => nodeStream(hub as never, good))).toBe('INVALID_OPTION')
    }
  })

  it.each([
    { origins: '*' as const },
    { origins: [] },
    {
      origins: ['https://app.example.com', 'http://localhost:3000', 'capacitor://localhost', 'null'],
      credentials: true,
    },
  ])('[N11] the origins of %j are taken', async (cors) => {
    const { hub } = testHub()
    nodeStream(hub, { ...good, cors })
    await hub.close()
  })

  it('[D8] CORS: a page of a named origin may read a stream, no other one may', async () => {
    const { hub } = testHub()
    const cors = { origins: ['https://app.example.com'], credentials: true }
    const allowed = async (origin: string, method = 'GET') => {
      const stream = await open(hub, grant, { cors, method, headers: { origin } })
      expect(stream.headers.vary).toBe('Origin')
      return [stream.headers['access-control-allow-origin'], stream.headers['access-control-allow-credentials']]
    }
    for (const method of ['GET', 'HEAD', 'OPTIONS']) {
      expect(await allowed('https://app.example.com', method)).toEqual(['https://app.example.com', 'true'])
      for (const origin of [
        'https://evil.example.com',
        'https://app.example.com.evil.com',
        'http://app.example.com',
        'null',
      ])
        expect(await allowed(origin, method)).toEqual([undefined, undefined])
    }
    await hub.close()
  })

  it('[D8] pages of any origin never get what only a visitor’s cookies open', async () => {
    const { hub, logger } = testHub()
    const stream = await open(hub, grant, {
      cors: { origins: '*', credentials: true },
      headers: { origin: 'https://evil.example.com', cookie: 'session=1' },
    })
    expect(stream.status).toBe(500)
    expect(stream.headers['access-control-allow-origin']).toBeUndefined()
    expect(stream.headers['access-control-allow-credentials']).toBeUndefined()
    expect(hub.stats().opened).toBe(0)
    expect(logger.lines).toHaveLength(1)
    await hub.close()
  })

  it('[C2] what openStream is given wrong is 500 and reported, and no rejection is left unhandled', async () => {
    const { hub, logger } = testHub()
    for (const options of [{ cors: {} }, { cors: true }, { reauthorize: 1 }]) {
      const stream = await open(hub, grant, { ...options, headers: { origin: 'https://a.example' } } as never)
      expect([stream.status, stream.code]).toEqual([500, 'INVALID_OPTION'])
    }
    expect(logger.lines).toHaveLength(3)
    await hub.close()
  })

  it.each([Number.NaN, Number.POSITIVE_INFINITY, -1, '5' as never])(
    '[A3] a HubError that says to come back in %s ms says nothing of it',
    async (retryAfterMs) => {
      const { hub } = testHub()
      const authorize = () => {
        throw new HubError('FORBIDDEN', 'no', { retryAfterMs })
      }
      const stream = await open(hub, null, { authorize, refuse: 'stream' })
      expect([stream.status, stream.headers['retry-after']]).toEqual([403, undefined])
      await hub.close()
    },
  )
})
