import type { Server } from 'node:net'
import { EventHub } from '@entitycast/sse-server'
import { EventsModule } from '@entitycast/sse-server/nest'
import { Inject, Injectable, Module, type OnModuleDestroy } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { describe, expect, it, vi } from 'vitest'
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
    const { app, hub, url } = await startNestApp({
      platform,
      events: { hub: { logger: false, limits: false }, drainMs: 200 },
    })
    let connected = 0
    let refused = 0
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
    await app.close()
    over = true
    await Promise.all(clients)
    expect(connected).toBe(20)
    expect(refused).toBeGreaterThan(0)
    expect(hub.stats()).toMatchObject({ accepting: false, connections: 0 })
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
    @Module({ imports: [EventsModule.forRoot({ hub: { heartbeatIntervalMs: 1 } })] })
    class AppModule {}
    await expect(
      NestFactory.createApplicationContext(AppModule, { logger: false, abortOnError: false }),
    ).rejects.toMatchObject({
      code: 'INVALID_OPTION',
    })
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
