import { EventHub, type EventHubOptions } from '@entitycast/sse-server'
import { RedisAdapter, type RedisAdapterOptions } from '@entitycast/sse-server/redis'
import { expect } from 'vitest'
import { eventually, stream } from './broker-hub'
import { type ClientName, clients, type RedisServer } from './redis'
import type { TestStream } from './stream'

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
    const adapter = new RedisAdapter(client, { checkIntervalMs: 250, ...options })
    const hub = new EventHub({ logger: false, heartbeatIntervalMs: 5_000, ...hubOptions, adapter })
    this.#hubs.push(hub)
    return { hub, adapter }
  }

  async end(): Promise<void> {
    await Promise.all(this.#hubs.splice(0).map((hub) => hub.close()))
  }
}

/**
 * A client that comes back where it was when its stream is rotated, as ours does: a hub whose Redis has lost what others revoked begins
 * all streams anew. It looks after itself whenever somebody looks at it.
 */
export class ReturningClient {
  readonly #streams: TestStream[] = []
  #opening = false

  private constructor(
    readonly hub: RedisHub,
    readonly projectId: string,
  ) {}

  static async open(hub: RedisHub, projectId: string): Promise<ReturningClient> {
    const client = new ReturningClient(hub, projectId)
    await eventually(async () => {
      client.#streams.length = 0
      await client.#open()
      // From where it is refused at first nothing is told.
      expect(client.#streams[0]?.status).toBe(200)
    })
    return client
  }

  get events() {
    return this.#all((each) => each.events)
  }

  get resyncs(): string[] {
    return this.#all((each) => each.resyncs)
  }

  /** How often it had to come back. */
  get returns(): number {
    return this.#streams.length - 1
  }

  get lastEventId(): string | undefined {
    return this.#streams.findLast(({ lastEventId }) => lastEventId !== undefined)?.lastEventId
  }

  #all<Item>(of: (each: TestStream) => Item[]): Item[] {
    const last = this.#streams.at(-1)
    if ((last?.closing === 'rotated' || last?.status === 503) && !this.#opening) void this.#open()
    return this.#streams.flatMap(of)
  }

  async #open(): Promise<void> {
    this.#opening = true
    this.#streams.push(await stream(this.hub, this.projectId, this.lastEventId))
    this.#opening = false
  }
}
