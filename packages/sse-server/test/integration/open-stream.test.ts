import { createServer } from 'node:http'
import { EventHub } from '@entitycast/sse-server'
import { eventStream, openStream as openOnExpress } from '@entitycast/sse-server/express'
import { eventStream as fastifyPlugin, openStream as openOnFastify } from '@entitycast/sse-server/fastify'
import { openStream as openOnNode } from '@entitycast/sse-server/node'
import express from 'express'
import Fastify from 'fastify'
import { afterEach, describe, expect, it } from 'vitest'
import { type Listening, listening } from './listening'
import { startNestApp } from './nest-app'
import { StreamClient } from './stream-client'

const GRANT = { projectId: 'p1', userId: 'u1' }

describe('what mounts tell the hub of a request', () => {
  const cleanups: (() => unknown)[] = []
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
  })

  function hubWith(limits: { perIp?: number } = {}): EventHub {
    const hub = new EventHub({ logger: false, limits })
    cleanups.push(() => hub.close())
    return hub
  }

  async function open(url: string, headers: Record<string, string> = {}): Promise<StreamClient> {
    const client = await StreamClient.open(`${url}/stream`, { headers })
    cleanups.push(() => client.close())
    return client
  }

  async function served(address: Promise<Listening>): Promise<string> {
    const { url, close } = await address
    cleanups.push(close)
    return url
  }

  const mounts: [string, (hub: EventHub) => Promise<string>][] = [
    ['node', (hub) => served(listening(createServer((req, res) => void openOnNode(hub, req, res, GRANT))))],
    [
      'express',
      (hub) =>
        served(
          listening(createServer(express().get('/stream', (req, res) => void openOnExpress(hub, req, res, GRANT)))),
        ),
    ],
    [
      'fastify',
      async (hub) => {
        const app = Fastify()
        app.get('/stream', (request, reply) => void openOnFastify(hub, request, reply, GRANT))
        cleanups.push(() => app.close())
        return app.listen({ host: '127.0.0.1', port: 0 })
      },
    ],
    ...(['express', 'fastify'] as const).map((platform): [string, (hub: EventHub) => Promise<string>] => [
      `nest on ${platform}`,
      async (hub) => {
        const { app, url } = await startNestApp({ platform, events: { hub }, grant: () => GRANT })
        cleanups.push(() => app.close())
        return url
      },
    ]),
  ]
  for (const [name, serve] of mounts) {
    it(`[S5 D8] openStream on ${name}: what was checked before revocations were heard may have been revoked`, async () => {
      const hub = hubWith()
      const url = await serve(hub)
      let begin = () => {}
      const hearing = new Promise<void>((resolve) => {
        begin = resolve
      })
      // As with a log of several instances that has not been opened yet.
      let asked = () => {}
      const isAsked = new Promise<void>((resolve) => {
        asked = resolve
      })
      hub.ready = () => {
        asked()
        return hearing
      }
      const early = open(url)
      await isAsked
      await hub.revoke({ userId: 'u1' })
      begin()
      expect((await early).status).toBe(503)
      expect((await open(url)).status).toBe(200)
    })
  }

  it('[C4] behind a proxy that Express trusts, clients are counted by their own address', async () => {
    const hub = hubWith({ perIp: 1 })
    const app = express().set('trust proxy', true)
    app.get('/stream', eventStream(hub, { authorize: () => ({ projectId: 'p1' }) }))
    const url = await served(listening(createServer(app)))
    const statuses = []
    for (const ip of ['192.0.2.1', '192.0.2.2', '192.0.2.1'])
      statuses.push((await open(url, { 'x-forwarded-for': ip })).status)
    expect(statuses).toEqual([200, 200, 429])
  })

  it('[C4] behind a proxy that Fastify trusts, clients are counted by their own address', async () => {
    const hub = hubWith({ perIp: 1 })
    const app = Fastify({ trustProxy: true })
    await app.register(fastifyPlugin, { hub, path: '/stream', authorize: () => ({ projectId: 'p1' }) })
    cleanups.push(() => app.close())
    const url = await app.listen({ host: '127.0.0.1', port: 0 })
    const statuses = []
    for (const ip of ['192.0.2.1', '192.0.2.2', '192.0.2.1'])
      statuses.push((await open(url, { 'x-forwarded-for': ip })).status)
    expect(statuses).toEqual([200, 200, 429])
  })
})
