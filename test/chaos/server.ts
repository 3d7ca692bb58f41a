import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import http from 'node:http'
import { EventHub } from '@entitycast/sse-server'
import { eventStream } from '@entitycast/sse-server/node'

/*
 * A server with a small table, in a process of its own so that it can be killed, stopped and ended. Each change is written to a file
 * before it is published: after a kill the table is what it was, and the log is a new one.
 */

interface Row {
  id: string
  value: number
  version: number
}

const [port, file, drainMs, heartbeatMs] = process.argv.slice(2) as [string, string, string, string]
const hub = new EventHub({
  heartbeatIntervalMs: Number(heartbeatMs),
  limits: false,
  retryMs: 200,
  conflateWindowMs: 20,
})
const project = hub.project('p1')
const rows = new Map<string, Row>()
if (existsSync(file)) {
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    // A line that a kill cut short was never published.
    if (line.endsWith('}')) save(JSON.parse(line) as Row)
  }
}

function save(row: Row): void {
  rows.set(row.id, row)
}

function change(id: string, pad = ''): Promise<string> {
  const row = { id, value: (rows.get(id)?.value ?? 0) + 1, version: (rows.get(id)?.version ?? 0) + 1 }
  const isNew = !rows.has(id)
  appendFileSync(file, `${JSON.stringify(row)}\n`)
  save(row)
  const data = { value: row.value, pad }
  return isNew
    ? project.created('row', id, data, { version: row.version })
    : project.updated('row', id, data, { version: row.version })
}

let load: NodeJS.Timeout | undefined
let next = 0
/** When each client asked for a stream again, once the end had begun: milliseconds since then, by the client's own name. */
const returns: Record<string, number> = {}
let endedAt = 0

const stream = eventStream(hub, { authorize: () => ({ projectId: 'p1' }) })
const server = http.createServer(async (req, res) => {
  const { pathname } = new URL(req.url ?? '/', 'http://localhost')
  if (pathname === '/stream') {
    const name = req.headers['x-client']
    if (endedAt > 0 && typeof name === 'string') returns[name] ??= performance.now() - endedAt
    stream(req, res)
    return
  }
  // The cursor first, then the data: what changes in between is replayed.
  const cursor = await hub.cursor('p1')
  res.setHeader('content-type', 'application/json')
  res.end(JSON.stringify({ cursor, rows: [...rows.values()] }))
})
server.listen(Number(port), '127.0.0.1', () => {
  process.send?.({ ready: (server.address() as { port: number }).port })
})

process.on('message', async (message: { load?: boolean; everyMs?: number; flood?: number; stats?: true }) => {
  if (message.load !== undefined) {
    clearInterval(load)
    if (message.load) load = setInterval(() => void change(`row:${next++ % 40}`), message.everyMs ?? 2)
  }
  if (message.flood) {
    for (let i = 0; i < message.flood; i += 40) {
      await Promise.all(Array.from({ length: 40 }, (_, row) => change(`row:${row}`, 'x'.repeat(4_000))))
    }
  }
  process.send?.({ done: true, stats: hub.stats(), memory: process.memoryUsage().rss })
})

process.on('SIGTERM', async () => {
  clearInterval(load)
  endedAt = performance.now()
  const closed = hub.close({ drainMs: Number(drainMs) })
  await closed
  const drainedMs = performance.now() - endedAt
  server.close()
  server.closeIdleConnections()
  process.send?.({ drainedMs, returns }, undefined, undefined, () => process.disconnect())
})
