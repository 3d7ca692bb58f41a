import { EventHub } from '@entitycast/sse-server'
import { RedisAdapter } from '@entitycast/sse-server/redis'
import { createClient } from 'redis'
import { open, type TestStream } from './stream'

/*
 * A process of an application with presence, for tests that kill it. It does what it is sent, one thing after the other.
 */

export type PresenceOrder =
  | { readonly begin: { readonly port: number; readonly graceMs: number; readonly instanceTtlMs: number } }
  | { readonly join: { readonly projectId: string; readonly userId: string } }
  | { readonly leave: number }
  | { readonly who: string }
  | { readonly end: true }

let hub: EventHub | undefined
const streams: TestStream[] = []

async function obey(order: PresenceOrder): Promise<unknown> {
  if ('begin' in order) {
    const { port, graceMs, instanceTtlMs } = order.begin
    const adapter = new RedisAdapter(createClient({ socket: { host: '127.0.0.1', port } }))
    hub = new EventHub({ adapter, logger: false, presence: { graceMs }, instanceTtlMs })
    return {}
  }
  if (!hub) throw new Error('not begun')
  if ('join' in order) {
    const stream = await open(hub, order.join)
    return { stream: streams.push(stream) - 1, status: stream.status }
  }
  if ('leave' in order) {
    streams[order.leave]?.leave()
    return {}
  }
  if ('who' in order) return { users: (await hub.presence(order.who)).map(({ userId }) => userId) }
  await hub.close()
  return {}
}

let turn: Promise<unknown> = Promise.resolve()
process.on('message', (order: PresenceOrder) => {
  turn = turn
    .then(() => obey(order))
    .catch((error) => ({ error: String(error) }))
    .then((answer) => process.send?.(answer))
})
