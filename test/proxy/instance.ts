import http from 'node:http'
import { EventHub, type HubStats } from '@entitycast/sse-server'
import { eventStream } from '@entitycast/sse-server/node'
import { RedisAdapter } from '@entitycast/sse-server/redis'
import { Redis } from 'ioredis'

/*
 * One instance of an application, in a process of its own so that it can be killed: `instance <port> <port of Redis> <streams per address>`.
 */

export interface InstanceAnswer {
  ready?: true
  /** Of the message that is answered. */
  id?: number
  stats?: HubStats
}

export type InstanceMessage =
  | { do: 'publish'; n: number }
  | { do: 'stats' }
  /** Streams are ended over so many milliseconds, newcomers refused; the process goes on. */
  | { do: 'drain'; drainMs: number }

const [port, redisPort, perIp] = process.argv.slice(2).map(Number) as [number, number, number]
const adapter = new RedisAdapter(new Redis({ host: '127.0.0.1', port: redisPort, lazyConnect: true }))
const hub = new EventHub({ adapter, limits: { perIp, perUser: false }, retryMs: 50, logger: false })
const stream = eventStream(hub, {
  compression: 'gzip',
  authorize: () => ({ projectId: 'p1' }),
  // One proxy stands before this, and it has replaced whatever the client said.
  clientIp: (req) => String(req.headers['x-forwarded-for']),
})

const server = http.createServer((req, res) => {
  if (req.url?.startsWith('/api/events/stream')) stream(req, res)
  else res.writeHead(hub.status() === 'ok' ? 200 : 503).end()
})
server.listen(port, '127.0.0.1', async () => {
  while (hub.status() !== 'ok') await new Promise((resolve) => setTimeout(resolve, 5))
  answer({ ready: true })
})

process.on('message', async ({ id, ...message }: InstanceMessage & { id: number }) => {
  if (message.do === 'publish') await hub.project('p1').updated('document', `d${message.n}`, { n: message.n })
  if (message.do === 'drain') await hub.close({ drainMs: message.drainMs })
  answer({ id, stats: hub.stats() })
})
process.on('disconnect', () => process.exit())

function answer(word: InstanceAnswer): void {
  process.send?.(word)
}
