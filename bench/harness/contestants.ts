import path from 'node:path'
import type { ServerOptions } from '../contenders/contender'
import type { Asking } from './load'
import { nchanInstalled, startC, startNchan } from './native'
import { pushpinInstalled, startPushpin } from './pushpin'
import { type RunningServer, startNode } from './server'

/** A server in the table. */
export interface Contestant {
  readonly id: string
  readonly label: string
  readonly asking: Asking
  start(options?: ServerOptions): Promise<RunningServer>
  /** Why it cannot take part on this machine. */
  readonly missing?: string
}

const UPGRADE = {
  connection: 'Upgrade',
  upgrade: 'websocket',
  'sec-websocket-version': '13',
  'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
}
/** A masked text frame `40` with a mask of zeros: socket.io's "let me into the default namespace". */
const ENTER = Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0x34, 0x30])

function node(id: string, label: string, asking: Asking = {}): Contestant {
  return { id, label, asking, start: (options) => startNode(id, options) }
}

const ALL: readonly Contestant[] = [
  node('entitycast', '**entitycast**'),
  {
    id: 'entitycast-lean',
    label: '**entitycast**, `leanStreams`',
    asking: {},
    start: (options) => startNode('entitycast', { ...options, lean: true }),
  },
  node('plain-http', 'plain `res.write` loop'),
  node('socket-write', 'Node, `socket.write` of one chunk'),
  { id: 'c', label: 'C, `write` per connection', asking: {}, start: startC },
  node('better-sse', 'better-sse 0.16'),
  node('ws', 'ws 8 (WebSocket)', { headers: UPGRADE }),
  node('socket.io', 'socket.io 4', {
    path: '/socket.io/?EIO=4&transport=websocket',
    headers: UPGRADE,
    after: ENTER,
  }),
  node('fastify-sse', '@fastify/sse 0.6'),
  node('express', 'Express 5 by hand'),
  node('nest-sse', 'Nest 11 `@Sse`'),
  node('hono', 'Hono 4 `streamSSE`'),
  {
    id: 'nchan',
    label: 'nchan (nginx)',
    asking: {},
    start: startNchan,
    ...(!nchanInstalled() && { missing: 'Debian: libnginx-mod-nchan' }),
  },
  {
    id: 'pushpin',
    label: 'Pushpin',
    // It loses requests when more come at once.
    asking: { atOnce: 16 },
    start: startPushpin,
    ...(!pushpinInstalled() && { missing: 'Debian: pushpin' }),
  },
]

/** Our own package as another checkout has built it: takes part wherever ours does. */
let earlier: Contestant | undefined

export function compareWith(checkout: string): void {
  const env = { BENCH_SERVER_DIST: path.resolve(checkout, 'packages/sse-server/dist') }
  earlier = {
    id: 'earlier',
    label: `entitycast in ${checkout}`,
    asking: {},
    start: (options) => startNode('entitycast', options, env),
  }
}

/** Those that were named, in the order of the table, and can take part. */
export function contestants(ids: readonly string[] | 'all'): Contestant[] {
  const chosen = ALL.filter(
    ({ id, missing }) => (ids === 'all' ? id !== 'entitycast-lean' : ids.includes(id)) && missing === undefined,
  )
  return earlier ? [...chosen, earlier] : chosen
}

/** Who is not here, and how to get them. */
export function absent(): string[] {
  return ALL.flatMap(({ label, missing }) => (missing === undefined ? [] : [`${label} (${missing})`]))
}
