import { readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { createServer as createHttp2Server } from 'node:http2'
import { createServer as createHttpsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { EventHub, type HubStats } from '@entitycast/sse-server'
import { eventStream } from '@entitycast/sse-server/node'
import { answerMessages } from './answer-messages'
import { PSK } from './psk'

/*
 * A server in a process and a network of its own, for peers who vanish. Users are named in the query.
 */

export type VanishingServerMessage =
  | { do: 'start'; heartbeatMs: number }
  /** Events of 10 kB. */
  | { do: 'publish'; count: number }
  | { do: 'report' }

export interface VanishingServerReport {
  ports: { dual: number; four: number; tls: number; http2: number }
  users: string[]
  lagging: number
  stats: HubStats
  /** Sockets that have sent what is not acknowledged yet, and those of them that have sent it again. */
  unacknowledged: number
  retried: number
  /** Heartbeats since the start, in the time in which this process has run: a machine that is too busy for it makes them longer. */
  beats: number
  /** After how many of them each user's last stream was seen no more. */
  leftAt: Record<string, number>
}

/** Of a heartbeat: how exactly it is told when somebody left. */
const PARTS = 20

let hub: EventHub
let servers: Server[] = []
const leftAt: Record<string, number> = {}
let before: string[] = []
let beats = 0

function users(): string[] {
  return hub.connections().map(({ userId }) => userId as string)
}

function watch(): void {
  const now = users()
  for (const user of before) if (!now.includes(user)) leftAt[user] ??= beats
  before = now
}

async function start({ heartbeatMs }: VanishingServerMessage & { do: 'start' }): Promise<void> {
  hub = new EventHub({ heartbeatIntervalMs: heartbeatMs, stallTimeoutMs: 600_000, limits: { perUser: 3 } })
  const stream = eventStream(hub, {
    authorize: ({ url = '' }) => ({ projectId: 'p', userId: new URLSearchParams(url.split('?')[1]).get('user') ?? '' }),
  })
  servers = [
    createServer(stream),
    createServer(stream),
    createHttpsServer(PSK.server, stream),
    createHttp2Server(stream) as unknown as Server,
  ]
  for (const [n, server] of servers.entries()) {
    await new Promise<void>((resolve) => server.listen(0, n === 1 ? '0.0.0.0' : '::', () => resolve()))
  }
  setInterval(watch, 10)
  setInterval(() => {
    beats += 1 / PARTS
  }, heartbeatMs / PARTS)
}

/** Columns of the system's tables: state, bytes sent and not acknowledged, retransmissions. */
const LINE = / 01 ([0-9A-F]{8}):[0-9A-F]{8} [0-9A-F]{2}:[0-9A-F]{8} ([0-9A-F]{8}) /g

function sockets(): Pick<VanishingServerReport, 'unacknowledged' | 'retried'> {
  const lines = ['tcp', 'tcp6'].flatMap((table) => [...readFileSync(`/proc/net/${table}`, 'latin1').matchAll(LINE)])
  const waiting = lines.filter(([, bytes]) => bytes !== '00000000')
  return { unacknowledged: waiting.length, retried: waiting.filter(([, , tries]) => tries !== '00000000').length }
}

function report(): VanishingServerReport {
  watch()
  const [dual = 0, four = 0, tls = 0, http2 = 0] = servers.map((server) => (server.address() as AddressInfo).port)
  const stats = hub.stats()
  return {
    ports: { dual, four, tls, http2 },
    users: users(),
    lagging: stats.lagging,
    stats,
    ...sockets(),
    beats,
    leftAt,
  }
}

answerMessages<VanishingServerMessage>(async (message) => {
  if (message.do === 'start') await start(message)
  else if (message.do === 'publish') {
    const text = 'x'.repeat(10_000)
    for (let n = 0; n < message.count; n++) await hub.project('p').emit('text:sent', { n, text })
  }
  return report()
})
