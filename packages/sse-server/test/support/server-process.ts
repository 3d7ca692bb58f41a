import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { EventHub, type EventHubOptions, type HubStats } from '@entitycast/sse-server'
import { eventStream } from '@entitycast/sse-server/node'
import { answerMessages } from './answer-messages'
import { CountingClock } from './counting-clock'

/*
 * A server in a process of its own, whose memory, timers and handles are nobody else's.
 */

export type ServerMessage =
  | { do: 'start'; options: EventHubOptions }
  /** Publishes events of about `bytes` each to the project `p`; answers with the offset of the last. */
  | { do: 'publish'; count: number; bytes: number }
  | { do: 'figures' }
  | { do: 'close' }

export interface ServerFigures {
  port: number
  offset: number
  cursor: string
  stats: HubStats
  memory: { rss: number; heapUsed: number; external: number; arrayBuffers: number }
  /** Timers of the hub, and what keeps the process alive by kind. */
  timers: number
  resources: Record<string, number>
  /** Listeners on the server and on the process. */
  listeners: number
  unhandled: number
}

declare const gc: () => void

const clock = new CountingClock()
let hub: EventHub
let server: Server
let cursor = ''
let unhandled = 0
process.on('unhandledRejection', () => unhandled++)

/** `?hold`: the application answers only after the client has left. `?from=`: a cursor. */
async function authorize({ url = '/', socket }: IncomingMessage) {
  if (url.includes('hold')) await new Promise((resolve) => socket.once('close', resolve))
  return { projectId: 'p', userId: `u${url.length}` }
}

function start({ options }: ServerMessage & { do: 'start' }): Promise<void> {
  hub = new EventHub({ ...options, logger: false, ports: { clock } })
  server = createServer(eventStream(hub, { authorize }))
  return new Promise((resolve) => {
    server.listen({ port: 0, host: '127.0.0.1', backlog: 4_096 }, () => resolve())
  })
}

async function publish({ count, bytes }: ServerMessage & { do: 'publish' }): Promise<void> {
  const text = 'x'.repeat(bytes)
  for (let n = 0; n < count; n++) cursor = await hub.project('p').updated('document', `d${n % 1_000}`, { n, text })
}

function listenersOf(emitter: NodeJS.EventEmitter): number {
  return emitter.eventNames().reduce((sum, name) => sum + emitter.listenerCount(name), 0)
}

async function figures(): Promise<ServerFigures> {
  // What was let go in this turn is collected in the next.
  for (let n = 0; n < 3; n++) {
    gc()
    await new Promise((resolve) => setImmediate(resolve))
  }
  const { rss, heapUsed, external, arrayBuffers } = process.memoryUsage()
  const resources: Record<string, number> = {}
  // Pipes and terminals are the process's own input and output.
  const names = process.getActiveResourcesInfo().filter((name) => name !== 'PipeWrap' && name !== 'TTYWrap')
  for (const name of names) resources[name] = (resources[name] ?? 0) + 1
  return {
    port: (server.address() as AddressInfo | null)?.port ?? 0,
    offset: Number(cursor.split('.')[1] ?? 0),
    cursor,
    stats: hub.stats(),
    memory: { rss, heapUsed, external, arrayBuffers },
    timers: clock.timers,
    resources,
    listeners: listenersOf(server) + listenersOf(process),
    unhandled,
  }
}

answerMessages<ServerMessage>(async (message) => {
  if (message.do === 'start') await start(message)
  else if (message.do === 'publish') await publish(message)
  else if (message.do === 'close') {
    await hub.close()
    await new Promise<void>((resolve) => server.close(() => resolve()))
  }
  return figures()
})
