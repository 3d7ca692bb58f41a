import http from 'node:http'
import { type Adapter, EventHub } from '@entitycast/sse-server'
import { eventStream } from '@entitycast/sse-server/node'

/*
 * One hub of a fleet, in a process of its own. The table is elsewhere (in the test, which stands for the database), the log is at the broker.
 */

interface Order {
  id: number
  publish?: { row?: { id: string; value: number; version: number }; tick?: number }
  stats?: true
}

const [port, engine, brokerPort, database, drainMs] = process.argv.slice(2) as [string, string, string, string, string]
const hub = new EventHub({
  adapter: await adapterOf(engine, Number(brokerPort)),
  heartbeatIntervalMs: 1_000,
  retention: { events: 10_000, bytes: 16 * 1024 * 1024 },
  limits: false,
  retryMs: 200,
  logger: false,
})
const project = hub.project('p1')

const stream = eventStream(hub, { authorize: () => ({ projectId: 'p1' }) })
const server = http.createServer(async (req, res) => {
  if (req.url?.startsWith('/stream')) {
    stream(req, res)
    return
  }
  try {
    // The cursor first, then the data: what changes in between is replayed.
    const cursor = await hub.cursor('p1')
    const rows = await (await fetch(`${database}/rows`)).text()
    res.setHeader('content-type', 'application/json')
    res.end(`{"cursor":${JSON.stringify(cursor)},"rows":${rows}}`)
  } catch {
    res.writeHead(503).end()
  }
})
server.listen(Number(port), '127.0.0.1', () => {
  process.send?.({ ready: (server.address() as { port: number }).port })
})

process.on('message', async ({ id, publish, stats }: Order) => {
  try {
    if (publish?.row) {
      const { row } = publish
      await project.updated('row', row.id, row, { version: row.version })
    }
    if (publish?.tick !== undefined) await project.emit('tick:counted', { count: publish.tick })
    process.send?.({ id, stats: stats && hub.stats() })
  } catch (error) {
    process.send?.({ id, error: String(error) })
  }
})

process.on('SIGTERM', async () => {
  const closed = new Promise((resolve) => server.close(resolve))
  await hub.close({ drainMs: Number(drainMs) })
  server.closeIdleConnections()
  await closed
  process.disconnect?.()
})

async function adapterOf(name: string, at: number): Promise<Adapter> {
  switch (name) {
    case 'redis': {
      const [{ RedisAdapter }, { createClient }] = await Promise.all([
        import('@entitycast/sse-server/redis'),
        import('redis'),
      ])
      return new RedisAdapter(createClient({ socket: { host: '127.0.0.1', port: at } }), { checkIntervalMs: 500 })
    }
    case 'postgres': {
      const [{ PostgresAdapter }, { default: pg }] = await Promise.all([
        import('@entitycast/sse-server/postgres'),
        import('pg'),
      ])
      const pool = new pg.Pool({ host: '127.0.0.1', port: at, user: 'postgres', database: 'postgres' })
      return new PostgresAdapter({ pool, pollIntervalMs: 500 })
    }
    case 'nats': {
      const [{ NatsAdapter }, { connect }] = await Promise.all([
        import('@entitycast/sse-server/nats'),
        import('@nats-io/transport-node'),
      ])
      return new NatsAdapter({ connect: () => connect({ servers: `127.0.0.1:${at}` }), checkIntervalMs: 500 })
    }
    default:
      throw new Error(`there is no engine ${JSON.stringify(name)}`)
  }
}
