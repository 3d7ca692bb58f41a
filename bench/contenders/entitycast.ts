import { createServer } from 'node:http'
import type { EventHub } from '@entitycast/sse-server'
import type { Contender, ServerOptions } from './contender'
import { type BenchEvent, EVENT_NAME } from './event'
import { listening } from './listening'
import { verify } from './token'

const PROJECT = 'proj_123'

/** The package as it is published, or as another checkout has built it. */
async function load(): Promise<{
  EventHub: typeof EventHub
  eventStream: typeof import('@entitycast/sse-server/node').eventStream
}> {
  const dist = process.env.BENCH_SERVER_DIST
  if (!dist) return { ...(await import('@entitycast/sse-server')), ...(await import('@entitycast/sse-server/node')) }
  return { ...(await import(`${dist}/index.js`)), ...(await import(`${dist}/node.js`)) }
}

/** Ours, with everything on: cursors, retention, heartbeats, and limits that count but let the load in. */
export async function entitycast(): Promise<Contender> {
  const { EventHub, eventStream } = await load()
  let hub: EventHub
  return {
    listen({ heartbeatMs, authorize, compress }: ServerOptions) {
      hub = new EventHub({
        ...(heartbeatMs !== undefined && { heartbeatIntervalMs: heartbeatMs }),
        limits: {
          perUser: 100_000,
          perIp: 100_000,
          perProject: 100_000,
          perProcess: 100_000,
          connectsPerSecond: 100_000,
        },
      })
      return listening(
        createServer(
          eventStream(hub, {
            ...(compress && { compress }),
            authorize: async (req) => {
              if (!authorize) return { projectId: PROJECT, userId: 'bench' }
              const userId = await verify(req.headers.authorization as string | undefined)
              return userId === null ? null : { projectId: PROJECT, userId }
            },
          }),
        ),
      )
    },
    publish(events: readonly BenchEvent[]) {
      for (const { entity, id, data } of events) {
        void hub.publish({ type: EVENT_NAME, entity, id, projectId: PROJECT, data })
      }
    },
    get open() {
      return hub.stats().connections
    },
  }
}
