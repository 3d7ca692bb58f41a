import { createServer } from 'node:http'
import type { EventHub } from '@entitycast/sse-server'
import type { eventStream, leanStreams } from '@entitycast/sse-server/node'
import type { Contender, ServerOptions } from './contender'
import { type BenchEvent, EVENT_NAME } from './event'
import { listening } from './listening'
import { verify } from './token'

const PROJECT = 'proj_123'

/** With `projects`: so many, each with channels of its own, and so many users on each channel. */
export const PROJECTS = 100
export const CHANNELS = 2
export const USERS = 25

/** The channel of a project, and its users: streams are numbered through. */
export function groupOf(group: number): { projectId: string; channel: string; users: string[] } {
  const first = group * USERS
  return {
    projectId: `proj_${Math.floor(group / CHANNELS)}`,
    channel: `channel_${group % CHANNELS}`,
    users: Array.from({ length: USERS }, (_, i) => `u${String(first + i).padStart(8, '0')}`),
  }
}

/** The package as it is published, or as another checkout has built it. */
async function load(): Promise<{
  EventHub: typeof EventHub
  eventStream: typeof eventStream
  leanStreams?: typeof leanStreams
}> {
  const dist = process.env.BENCH_SERVER_DIST
  if (!dist) return { ...(await import('@entitycast/sse-server')), ...(await import('@entitycast/sse-server/node')) }
  return { ...(await import(`${dist}/index.js`)), ...(await import(`${dist}/node.js`)) }
}

/** Ours, with everything on: cursors, retention, heartbeats, and limits that count but let the load in. */
export async function entitycast(): Promise<Contender> {
  const { EventHub, eventStream, leanStreams } = await load()
  let hub: EventHub
  let groups: { projectId: string; channel: string; audiences: { users: string[] }[] }[] | undefined
  return {
    listen({ heartbeatMs, authorize, compress, projects, lean }: ServerOptions) {
      if (projects) {
        groups = Array.from({ length: PROJECTS * CHANNELS }, (_, group) => {
          const { users, ...names } = groupOf(group)
          const halves = [0, 1].map((half) => ({ users: users.filter((_, i) => i % 2 === half) }))
          return { ...names, audiences: halves }
        })
      }
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
      const server = createServer(
        eventStream(hub, {
          ...(compress && { compression: 'gzip' as const }),
          authorize: async (req) => {
            if (projects) {
              const { 'x-project': projectId, 'x-user': userId, 'x-channel': channel } = req.headers
              return { projectId: String(projectId), userId: String(userId), channels: [String(channel)] }
            }
            if (!authorize) return { projectId: PROJECT, userId: 'bench' }
            const userId = await verify(req.headers.authorization as string | undefined)
            return userId === null ? null : { projectId: PROJECT, userId }
          },
        }),
      )
      if (lean) leanStreams?.(server)
      return listening(server)
    },
    publish(events: readonly BenchEvent[]) {
      for (const { entity, id, data, number } of events) {
        if (groups) {
          for (const { projectId, channel, audiences } of groups) {
            const event = { type: EVENT_NAME, entity, id, projectId, channel, data } as const
            // Every other turn each half of the users gets an event of its own.
            if (number % 2 === 0) void hub.publish(event)
            else for (const audience of audiences) void hub.publish(event, { audience })
          }
          continue
        }
        void hub.publish({ type: EVENT_NAME, entity, id, projectId: PROJECT, data })
      }
    },
    cursor: () => hub.cursor(PROJECT),
    get open() {
      return hub.stats().connections
    },
  }
}
