import { EventHub, type EventHubOptions } from '@entitycast/sse-server'
import { PostgresAdapter, type PostgresAdapterOptions } from '@entitycast/sse-server/postgres'
import type pg from 'pg'
import { expect } from 'vitest'
import { emit, eventually, stream, told } from './broker-hub'
import type { PostgresServer } from './postgres'
import type { TestStream } from './stream'

/** A hub on a PostgreSQL, quick to notice what happens to it. */
export interface PostgresHub {
  readonly hub: EventHub
  readonly adapter: PostgresAdapter
}

let prefixes = 0

/** Hubs as the processes of one application would have them, over tables of their own; `end` closes all that is left. */
export class PostgresHubs {
  prefix = 'entitycast_'
  readonly #hubs: EventHub[] = []
  readonly #pools: pg.Pool[] = []
  /** Clients of these that somebody has. */
  readonly #taken = new Set<pg.PoolClient>()

  /** Tables that nobody has written to. */
  async migrate(server: PostgresServer): Promise<string> {
    this.prefix = `t${++prefixes}_`
    await server.ask(PostgresAdapter.sql({ prefix: this.prefix }))
    return this.prefix
  }

  add(
    server: PostgresServer,
    { pool, ...options }: Partial<PostgresAdapterOptions> = {},
    hubOptions: EventHubOptions = {},
  ): PostgresHub {
    const adapter = new PostgresAdapter({
      pool: pool ?? this.pool(server),
      prefix: this.prefix,
      pollIntervalMs: 250,
      ...options,
    })
    const hub = new EventHub({ logger: false, heartbeatIntervalMs: 5_000, ...hubOptions, adapter })
    this.#hubs.push(hub)
    return { hub, adapter }
  }

  /** The application's own pool. */
  pool(server: Pick<PostgresServer, 'pool'>, config: pg.PoolConfig = {}): pg.Pool {
    const pool = server.pool(config)
    pool.on('acquire', (client) => this.#taken.add(client))
    pool.on('release', (_, client) => this.#taken.delete(client))
    this.#pools.push(pool)
    return pool
  }

  async end(): Promise<void> {
    await Promise.all(this.#hubs.splice(0).map((hub) => hub.close()))
    // Of a test that has failed: a pool waits for them without end.
    for (const client of [...this.#taken]) client.release(true)
    await Promise.all(this.#pools.splice(0).map((pool) => pool.ended || pool.end()))
  }
}

/** Publishes these numbers, one after the other. */
export async function fill(hub: PostgresHub, from: number, to: number): Promise<void> {
  for (let n = from; n <= to; n++) await emit(hub, n)
}

/**
 * A page: a stream that comes back where it was when the hub asks it to. A hub that may have missed what others revoked, because the log of that
 * is another one too, begins all its streams anew.
 */
export class Page {
  readonly #streams: TestStream[] = []

  private constructor(
    readonly hub: PostgresHub,
    readonly projectId: string,
  ) {}

  static async open(hub: PostgresHub, projectId: string, lastEventId?: string): Promise<Page> {
    const page = new Page(hub, projectId)
    // It asks again where it is refused: at its start too, a hub may hear that the log of what others revoked is another one.
    await eventually(async () => {
      const first = await stream(hub, projectId, lastEventId)
      expect(first.status).toBe(200)
      page.#streams.push(first)
    })
    return page
  }

  get told(): unknown[] {
    return this.#streams.flatMap(told)
  }

  get resyncs(): string[] {
    return this.#streams.flatMap(({ resyncs }) => resyncs)
  }

  /** The last cursor that it was given. */
  get cursor(): string | undefined {
    return this.#streams.findLast(({ lastEventId }) => lastEventId !== undefined)?.lastEventId
  }

  /** What was told before the first resync. */
  get before(): unknown[] {
    const frames = this.#streams.flatMap(({ frames }) => frames)
    const end = frames.findIndex(({ type }) => type === 'resync')
    return frames.slice(0, end).flatMap(({ data }) => data?.data ?? [])
  }

  /** Waits for a state of the page, which comes back meanwhile whenever it was asked to. */
  async until(check: (page: Page) => void): Promise<void> {
    await eventually(async () => {
      if (this.#streams.at(-1)?.closed) {
        const next = await stream(this.hub, this.projectId, this.cursor)
        if (next.status === 200) this.#streams.push(next)
      }
      check(this)
    })
  }
}

/** Runs `work` on a client with a transaction open, and ends that as it says. */
export async function transaction<Result>(
  pool: pg.Pool,
  end: 'COMMIT' | 'ROLLBACK',
  work: (client: pg.PoolClient) => Promise<Result>,
  begin = 'BEGIN',
): Promise<Result> {
  const client = await pool.connect()
  try {
    await client.query(begin)
    const result = await work(client)
    await client.query(end)
    return result
  } finally {
    client.release()
  }
}
