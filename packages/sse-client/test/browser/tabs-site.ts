import { createServer } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import { EventHub } from '@entitycast/sse-server'
import { eventStream } from '@entitycast/sse-server/node'
import { build } from 'esbuild'

const PROJECT = 'proj_1'
const at = (path: string) => fileURLToPath(new URL(path, import.meta.url))

export type Site = Awaited<ReturnType<typeof openSite>>

/** An application over HTTP/1.1: a page, its rows, and a hub that tells of their changes. */
export async function openSite(page: 'tabs-page.ts' | 'engine-page.ts' = 'tabs-page.ts') {
  const built = await build({
    entryPoints: [at(page)],
    bundle: true,
    format: 'esm',
    write: false,
    alias: {
      '@entitycast/sse-protocol': at('../../../sse-protocol/src/index.ts'),
      '@entitycast/sse-client': at('../../src/index.ts'),
      '@entitycast/sse-client/tabs': at('../../src/bindings/tabs.ts'),
    },
  })
  const script = built.outputFiles[0]?.text ?? ''
  const hub = new EventHub({ logger: false, heartbeatIntervalMs: 1_000, limits: false })
  const stream = eventStream(hub, { authorize: () => ({ projectId: PROJECT, userId: 'u1', channels: 'all' }) })
  const rows = new Map<string, { id: string; n: number; version: number }>()
  let count = 0
  let requests = 0
  let status: number | undefined
  const server = createServer((request, response) => {
    const path = request.url?.split('?')[0]
    if (path === '/events') {
      requests++
      if (status === undefined) stream(request, response)
      else response.writeHead(status).end()
    } else if (path === '/rows') {
      void hub.cursor(PROJECT).then((cursor) => {
        response.setHeader('Content-Type', 'application/json')
        response.end(JSON.stringify({ cursor, rows: [...rows.values()], count }))
      })
    } else if (path === '/page.js') {
      response.setHeader('Content-Type', 'text/javascript')
      response.end(script)
    } else {
      response.setHeader('Content-Type', 'text/html')
      response.end(
        '<!doctype html><title>tabs</title><link rel="icon" href="data:,"><script type="module" src="/page.js"></script>',
      )
    }
  })
  const sockets = new Set<Socket>()
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  const listen = (port: number) => new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  await listen(0)
  const { port } = server.address() as AddressInfo
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
    /** Streams are cut, and every request for one is answered with this status; `undefined`: as it should be. */
    answer(given: number | undefined): void {
      status = given
      if (given !== undefined) for (const socket of sockets) socket.destroy()
    },
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
