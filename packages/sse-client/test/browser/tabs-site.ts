import { createServer, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import { EventHub } from '@entitycast/sse-server'
import { eventStream } from '@entitycast/sse-server/node'
import { build } from 'esbuild'
import { ownPort } from '../../../sse-server/test/support/ports'
import { CASES } from '../bindings/event-source-cases'

const PROJECT = 'proj_1'
const at = (path: string) => fileURLToPath(new URL(path, import.meta.url))

/** The pages of these tests, and the one of docs/bindings.md. */
const PAGES = {
  'tabs-page.ts': './tabs-page.ts',
  'engine-page.ts': './engine-page.ts',
  'worker-page.ts': './worker-page.ts',
  'cases-page.ts': './cases-page.ts',
  'indicator.tsx': '../../../../test/packed/programs/indicator.tsx',
}
export type SitePage = keyof typeof PAGES

export type Site = Awaited<ReturnType<typeof openSite>>

/** An application over HTTP/1.1: a page, its rows, and a hub that tells of their changes. */
export async function openSite(page: SitePage = 'tabs-page.ts') {
  const built = await build({
    entryPoints: [at(PAGES[page])],
    jsx: 'automatic',
    nodePaths: [at('../../../../node_modules')],
    define: { 'process.env.NODE_ENV': '"production"' },
    bundle: true,
    format: 'esm',
    write: false,
    alias: {
      '@entitycast/sse-protocol': at('../../../sse-protocol/src/index.ts'),
      '@entitycast/sse-client': at('../../src/index.ts'),
      '@entitycast/sse-client/tabs': at('../../src/bindings/tabs.ts'),
      '@entitycast/sse-client/event-source': at('../../src/bindings/event-source.ts'),
      '@entitycast/sse-client/react': at('../../src/bindings/react.tsx'),
    },
  })
  const script = built.outputFiles[0]?.text ?? ''
  const hub = new EventHub({ logger: false, heartbeatIntervalMs: 1_000, limits: false })
  const stream = eventStream(hub, { authorize: () => ({ projectId: PROJECT, userId: 'u1', channels: 'all' }) })
  const rows = new Map<string, { id: string; n: number; version: number }>()
  let count = 0
  let requests = 0
  const askers = new Set<unknown>()
  let status: number | 'nothing' | undefined
  const frozen: ServerResponse[] = []
  let fields: Record<string, string> = {}
  const server = createServer((request, response) => {
    const [path, query] = request.url?.split('?') ?? []
    if (path === '/events' || path === '/api/events/stream') {
      requests++
      askers.add(request.headers['x-tab'])
      if (status === undefined) stream(request, response)
      else if (status !== 'nothing') response.writeHead(status, fields).end()
    } else if (path === '/rows') {
      void hub.cursor(PROJECT).then((cursor) => {
        response.setHeader('Content-Type', 'application/json')
        response.end(JSON.stringify({ cursor, rows: [...rows.values()], count }))
      })
    } else if (path === '/thaw') {
      frozen.push(response)
    } else if (path === '/case') {
      response.setHeader('Content-Type', 'text/event-stream')
      response.end(CASES[Number(query)]?.stream)
    } else if (path === '/page.js') {
      response.setHeader('Content-Type', 'text/javascript')
      response.end(script)
    } else {
      response.setHeader('Content-Type', 'text/html')
      response.end(
        '<!doctype html><title>tabs</title><link rel="icon" href="data:,"><div id="root"></div><script type="module" src="/page.js"></script>',
      )
    }
  })
  const sockets = new Set<Socket>()
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  const cut = () => {
    for (const socket of sockets) socket.destroy()
  }
  const listen = (port: number) => new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  // While it is down nobody else is given it.
  const port = await ownPort()
  await listen(port)
  const project = hub.project(PROJECT)

  return {
    hub,
    url: `http://127.0.0.1:${port}/`,
    /** What every table has to be. */
    get rows() {
      return [...rows.values()]
    },
    get count() {
      return count
    },
    /** Streams that were asked for. */
    get requests() {
      return requests
    },
    /** Tabs that have asked for one. One that leads may do so twice, on a machine that is too busy for its heartbeats. */
    get askers() {
      return askers.size
    },
    /** Changes one document, and counts on. */
    async change(): Promise<void> {
      count++
      const row = { id: `doc_${count % 7}`, n: count, version: count }
      const isNew = !rows.has(row.id)
      rows.set(row.id, row)
      if (isNew) await project.created('document', row.id, { n: row.n }, { version: row.version })
      else await project.updated('document', row.id, { n: row.n }, { version: row.version })
      await project.emit('counter:moved', { count })
    },
    /** Streams are cut, and every request for one is answered with this status, or not at all; `undefined`: as it should be. */
    answer(given: number | 'nothing' | undefined, headers: Record<string, string> = {}): void {
      status = given
      fields = headers
      if (given !== undefined) cut()
    },
    /** The page that leads stops, all of it. */
    async freezeLeader(): Promise<void> {
      await project.emit('leader:freeze', null)
    },
    /** How many pages stand still. */
    get frozen() {
      return frozen.length
    },
    thaw(): void {
      for (const response of frozen.splice(0)) response.end()
    },
    /** The network cuts what is open. */
    cut,
    /** Connections are refused. The log lives on. */
    async down(): Promise<void> {
      const closed = new Promise((resolve) => server.close(resolve))
      for (const socket of sockets) socket.destroy()
      await closed
    },
    up: () => listen(port),
    async close(): Promise<void> {
      await hub.close({ drainMs: 0 })
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
