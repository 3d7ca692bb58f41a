import { createServer } from 'node:http'
import { EventHub } from '@entitycast/sse-server'
import { eventStream } from '@entitycast/sse-server/node'
import type { Contender, ServerOptions } from './contender'
import { type BenchEvent, EVENT_NAME } from './event'
import { listening } from './listening'
import { verify } from './token'

const PROJECT = 'proj_123'

/** Ours, with everything on: cursors, retention, heartbeats, and limits that count but let the load in. */
export function entitycast(): Contender {
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
