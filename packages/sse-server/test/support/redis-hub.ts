import { EventHub, type EventHubOptions } from '@entitycast/sse-server'
import { RedisAdapter, type RedisAdapterOptions } from '@entitycast/sse-server/redis'
import { expect, vi } from 'vitest'
import { type ClientName, clients, type RedisServer } from './redis'
import { open, type TestStream } from './stream'

/** A hub on a Redis, quick to notice what happens to it. */
export interface RedisHub {
  readonly hub: EventHub
  readonly adapter: RedisAdapter
}

/** Hubs as the processes of one application would have them; `end` closes those that are left. */
export class RedisHubs {
  readonly #hubs: EventHub[] = []

  add(
    name: ClientName,
    server: RedisServer,
    options: RedisAdapterOptions = {},
    hubOptions: EventHubOptions = {},
    client = clients[name](server.port),
  ): RedisHub {
    const adapter = new RedisAdapter(client, { timeoutMs: 1_000, checkIntervalMs: 250, ...options })
    const hub = new EventHub({ logger: false, heartbeatIntervalMs: 5_000, ...hubOptions, adapter })
    this.#hubs.push(hub)
    return { hub, adapter }
  }

  async end(): Promise<void> {
    await Promise.all(this.#hubs.splice(0).map((hub) => hub.close()))
  }
}

/** Waits for a state of the real world. */
export const eventually = <Result>(check: () => Result | Promise<Result>): Promise<Result> =>
  vi.waitFor(check, { timeout: 20_000, interval: 10 })

/** Resolves when the hub can reach its log. */
export const ready = ({ hub }: RedisHub) => eventually(() => expect(hub.status()).toBe('ok'))

export const degraded = ({ hub }: RedisHub) => eventually(() => expect(hub.stats().degraded).toBe(true))

/** A stream of a project, as a client has it. */
export function stream({ hub }: RedisHub, projectId: string, lastEventId?: string): Promise<TestStream> {
  return open(hub, { projectId }, { lastEventId })
}

/** What a stream was told in named events, in order. */
export const told = ({ events }: TestStream): unknown[] => events.map(({ data }) => data.data)
