import type { Server } from 'node:net'
import { EventHub } from '@entitycast/sse-server'
import { EventsModule } from '@entitycast/sse-server/nest'
import {
  type ExceptionFilter,
  type HttpException,
  Inject,
  Injectable,
  Module,
  type NestInterceptor,
  type OnModuleDestroy,
} from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { map, timeout } from 'rxjs'
import { describe, expect, it, vi } from 'vitest'
import { systemClock } from '../../src/seams/system'
import { socketsOf } from './listening'
import { mountSuite } from './mount-suite'
import { startNestApp } from './nest-app'
import { StreamClient } from './stream-client'

const PLATFORMS = ['express', 'fastify'] as const

for (const platform of PLATFORMS) {
  mountSuite({
    name: `nest (${platform})`,
    methods: ['HEAD'],
    refuses: 'guard',
    serve: async (hub, { authorize, ...stream }) => {
      const { app, url } = await startNestApp({ platform, events: { hub }, grant: authorize, stream })
      return { url, sockets: () => socketsOf(app.getHttpServer() as Server), close: () => app.close() }
    },
  })
}

describe.each(PLATFORMS)('EventsModule on %s', (platform) => {
  it('[S7] app.close() returns with 20 streams open, whose clients come back at once', async () => {
    let connected = 0
    let refused = 0
    // While it closes its time stands still until somebody has come back, however long the machine takes for that.
    let closingAt: number | undefined
    const monotonic = () => (refused === 0 && closingAt) || systemClock.monotonic()
    const ports = { clock: { ...systemClock, monotonic } }
    const { app, hub, url } = await startNestApp({
      platform,
      events: { hub: { logger: false, limits: false, ports }, drainMs: 200 },
    })
    let over = false
    const comeAgain = async () => {
      while (!over) {
        try {
          const client = await StreamClient.open(`${url}/stream`)
          if (client.status === 200) connected++
          else refused++
          await client.ended
          client.close()
        } catch {
          // Nobody listens any more.
          return
        }
      }
    }
    const clients = Array.from({ length: 20 }, comeAgain)
    await vi.waitFor(() => expect(hub.stats().connections).toBe(20), { timeout: 15_000 })
    closingAt = systemClock.monotonic()
    await app.close()
    over = true
    await Promise.all(clients)
    expect(connected).toBe(20)
    expect(refused).toBeGreaterThan(0)
    expect(hub.stats()).toMatchObject({ accepting: false, connections: 0 })
  })

  it('what an application sets up for all its routes leaves the stream as it is, and hears nothing of its end', async () => {
    const caught: unknown[] = []
    const mapped: unknown[] = []
    const filter: ExceptionFilter = {
      catch: (error: HttpException, host) => {
        caught.push(error)
        const response = host.switchToHttp().getResponse()
        const refused = response.status(error.getStatus?.() ?? 500)
        refused.send({ caught: true })
      },
    }
    const interceptor: NestInterceptor = {
      intercept: (_context, next) =>
        next.handle().pipe(
          timeout(2_000),
          map((data) => {
            mapped.push(data)
            return { data }
          }),
        ),
    }
    const { app, hub, url } = await startNestApp({
      platform,
      events: { hub: { logger: false, heartbeatIntervalMs: 100 } },
      grant: (header) => (header('authorization') === 'Bearer good' ? { projectId: 'p1', userId: 'u1' } : null),
      configure: (configured) => {
        configured.setGlobalPrefix('api/v1')
        configured.useGlobalInterceptors(interceptor)
        configured.useGlobalFilters(filter)
        configured.useGlobalPipes({ transform: (value) => value })
        configured.enableCors({ origin: 'https://app.example.com' })
      },
    })
    const headers = { authorization: 'Bearer good', origin: 'https://app.example.com' }
    const client = await StreamClient.open(`${url}/api/v1/stream`, { headers })
    expect((await client.next('connected')).data).toMatchObject({ projectId: 'p1' })
    expect(client.headers['access-control-allow-origin']).toBe('https://app.example.com')
    for (let n = 0; n < 3; n++) await client.next('heartbeat')
    await hub.project('p1').updated('document', 'd1')
    expect((await client.next('entity.updated')).data).toMatchObject({ id: 'd1' })
    const refused = await StreamClient.open(`${url}/api/v1/stream`, { headers: {} })
    expect([refused.status, await refused.json()]).toEqual([401, { caught: true }])
    const mismatch = await StreamClient.open(`${url}/api/v1/stream`, { headers: { ...headers, 'x-project-id': 'p2' } })
    expect(mismatch.status).toBe(403)
    expect(await mismatch.json()).toMatchObject({ error: { code: 'PROJECT_MISMATCH' } })
    await hub.revoke({ projectId: 'p1', userId: 'u1' })
    expect((await client.next('closing')).data).toEqual({ reason: 'revoked' })
    await client.ended
    for (const one of [client, refused, mismatch]) one.close()
    await app.close()
    expect(caught).toHaveLength(1)
    expect(mapped).toEqual([undefined, undefined])
  })

  it('app.close() without any stream, and without having listened', async () => {
    const { app } = await startNestApp({ platform })
    await app.close()
  })
})

describe('EventsModule', () => {
  it('forRootAsync makes the hub from what is injected', async () => {
    const CONFIG = Symbol('config')
    @Module({ providers: [{ provide: CONFIG, useValue: { heartbeatIntervalMs: 30_000 } }], exports: [CONFIG] })
    class ConfigModule {}
    @Module({
      imports: [
        EventsModule.forRootAsync({
          imports: [ConfigModule],
          inject: [CONFIG],
          useFactory: async (config: { heartbeatIntervalMs: number }) => ({ hub: { ...config, logger: false } }),
        }),
      ],
    })
    class AppModule {}
    const app = await NestFactory.createApplicationContext(AppModule, { logger: false })
    const hub = app.get(EventHub)
    expect(hub).toBeInstanceOf(EventHub)
    await app.close()
    expect(hub.stats().accepting).toBe(false)
  })

  it('a wrong option ends the start with its reason', async () => {
    for (const options of [{ hub: { heartbeatIntervalMs: 1 } }, { drainMs: -1 }, { heartbeatIntervalMs: 1_000 }]) {
      @Module({ imports: [EventsModule.forRoot(options)] })
      class AppModule {}
      await expect(
        NestFactory.createApplicationContext(AppModule, { logger: false, abortOnError: false }),
      ).rejects.toMatchObject({
        code: 'INVALID_OPTION',
      })
    }
  })

  it('the hub is there for every module, and still publishes in onModuleDestroy', async () => {
    const published: unknown[] = []
    @Injectable()
    class Worker implements OnModuleDestroy {
      constructor(@Inject(EventHub) private readonly hub: EventHub) {}
      async onModuleDestroy() {
        published.push(await this.hub.project('p1').updated('document', 'd1'))
      }
    }
    @Module({ providers: [Worker] })
    class FeatureModule {}
    @Module({ imports: [FeatureModule, EventsModule.forRoot()] })
    class AppModule {}
    const app = await NestFactory.createApplicationContext(AppModule, { logger: false })
    await app.close()
    expect(published).toEqual([expect.stringMatching(/\.1$/)])
  })

  it('global: false leaves the hub to the modules that import it', async () => {
    @Module({ providers: [{ provide: 'worker', inject: [EventHub], useFactory: () => true }] })
    class FeatureModule {}
    @Module({ imports: [FeatureModule, EventsModule.forRoot({ global: false })] })
    class AppModule {}
    await expect(
      NestFactory.createApplicationContext(AppModule, { logger: false, abortOnError: false }),
    ).rejects.toThrow(/resolve/)
  })
})
