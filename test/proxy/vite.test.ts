import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { EventSubscriber } from '@entitycast/sse-client'
import { EventHub } from '@entitycast/sse-server'
import { eventStream } from '@entitycast/sse-server/node'
import { createServer as createVite, type ProxyOptions, type ViteDevServer } from 'vite'
import { afterEach, describe, expect, it, vi } from 'vitest'

const page = readFileSync(new URL('../../docs/troubleshooting.md', import.meta.url), 'utf8')
/** As the page shows it. */
const CONFIGURE = "configure: (proxy) => proxy.on('proxyRes', (from, _req, to) => from.on('close', () => to.destroy()))"
const configure: ProxyOptions['configure'] = (proxy) =>
  void proxy.on('proxyRes', (from, _req, to) => from.on('close', () => to.destroy()))

describe("Vite's development server before the application", () => {
  const ends: (() => unknown)[] = []

  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end()
  })

  async function start(options: Partial<ProxyOptions>) {
    const hub = new EventHub({ logger: false })
    const server: Server = createServer(eventStream(hub, { authorize: () => ({ projectId: 'p1' }) }))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const target = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const root = mkdtempSync(path.join(tmpdir(), 'entitycast-vite-'))
    const vite: ViteDevServer = await createVite({
      root,
      configFile: false,
      logLevel: 'silent',
      server: { host: '127.0.0.1', port: 0, hmr: false, ws: false, proxy: { '/api': { target, ...options } } },
    })
    await vite.listen()
    const { port } = vite.httpServer!.address() as AddressInfo
    const updates = new EventSubscriber(`http://127.0.0.1:${port}/api/stream`)
    updates.onError(() => {})
    updates.onResync(() => {})
    const given: unknown[] = []
    updates.on('*', ({ data }) => given.push(data))
    updates.connect()
    ends.push(
      () => rmSync(root, { recursive: true, force: true }),
      () => server.closeAllConnections(),
      () => server.close(),
      () => hub.close(),
      () => vite.close(),
      () => updates.close(),
    )
    await vi.waitFor(() => expect(updates.state).toBe('connected'), 20_000)
    return { hub, server, updates, given }
  }

  it('[A1] an event comes through at once, and who leaves is gone at the server too', async () => {
    const { hub, updates, given } = await start({})
    await hub.project('p1').emit('a:b', 1)
    await vi.waitFor(() => expect(given).toEqual([1]), 20_000)
    updates.close()
    await vi.waitFor(() => expect(hub.connections()).toEqual([]), 20_000)
  })

  it('[D9] an instance that says closing is left at once', async () => {
    const { hub, updates } = await start({})
    const closed = hub.close()
    await vi.waitFor(() => expect(updates.state).toBe('reconnecting'), 20_000)
    await closed
  })

  it('[D9] a server that is killed is noticed at once with the line of the troubleshooting page', async () => {
    expect(page).toContain(CONFIGURE)
    const { server, updates } = await start({ configure })
    server.closeAllConnections()
    await vi.waitFor(() => expect(updates.state).toBe('reconnecting'), 20_000)
  })
})
