import { quote } from '@entitycast/sse-protocol'
import { HubError } from '@entitycast/sse-server'
import { readSettings } from '../seams/adapter-settings'
import type { PostgresNames } from './postgres-sql'

/** A `Pool` of `pg`, or of what is made like it. */
export interface PgPoolLike {
  readonly options: object
  connect(): Promise<unknown>
}

export interface PostgresAdapterOptions extends PostgresNames {
  /**
   * The application's own pool: a pattern, not a source of connections. Two connections are made with its settings and its `Client`, and none
   * of its own is taken, so that a pool whose every client is in a transaction cannot hold us up. It must lead to the database directly, or
   * through a proxy that pools sessions.
   */
  pool: PgPoolLike
  /**
   * Say `true` only where a failover loses nothing: synchronous replicas, or storage that is shared. Then streams resume across it. Default
   * `false`: a replica that is promoted may lack the newest events, so each project gets a new epoch and each client one resync. A restart
   * alone never costs one.
   */
  durable?: boolean
  /** How long a statement may take, connecting included, before a call rejects, in milliseconds. Default 5,000. */
  timeoutMs?: number
  /** Appends that may wait at a time; more are refused with `UNAVAILABLE`. Default 10,000. */
  maxPendingAppends?: number
  /** How often the database is asked for what no notification has told, in milliseconds: the latest that anything is seen. Default 2,000. */
  pollIntervalMs?: number
  /** A project that nobody listens to and nobody publishes to is forgotten after this, in milliseconds. Default 86,400,000 (a day). */
  idleProjectTtlMs?: number
}

export type PostgresSettings = Required<Omit<PostgresAdapterOptions, 'pool'>>

/** The names with their defaults. @throws HubError `INVALID_OPTION` */
export function readNames({ schema = 'public', prefix = 'entitycast_' }: PostgresNames): Required<PostgresNames> {
  // Together they name a channel, which has 63 bytes.
  for (const [name, value] of Object.entries({ schema, prefix })) {
    if (typeof value !== 'string' || !/^[a-z_][a-z0-9_]{0,29}$/.test(value)) {
      throw invalid(
        `${name} is ${quote(value)}; it must be 1 to 30 lower-case letters, digits and underscores, with no digit first`,
      )
    }
  }
  return { schema, prefix }
}

/** @throws HubError `INVALID_OPTION` */
export function readOptions({ pool, ...options }: PostgresAdapterOptions): PostgresSettings {
  if (typeof (pool as { Client?: unknown } | undefined)?.Client !== 'function' || typeof pool?.options !== 'object') {
    throw invalid('pool is no Pool of pg; give what new Pool() of pg returns')
  }
  const settings = readSettings(options, {
    adapter: 'PostgresAdapter',
    required: ['pool'],
    defaults: {
      schema: 'public',
      prefix: 'entitycast_',
      durable: false,
      timeoutMs: 5_000,
      maxPendingAppends: 10_000,
      pollIntervalMs: 2_000,
      idleProjectTtlMs: 86_400_000,
    },
    ranges: [
      ['timeoutMs', 50, 60_000],
      ['maxPendingAppends', 1, 1_000_000],
      ['pollIntervalMs', 50, 600_000],
      ['idleProjectTtlMs', 1_000, 31_536_000_000],
    ],
    invalid,
  })
  readNames(settings)
  if (typeof settings.durable !== 'boolean') {
    throw invalid(`durable is ${quote(settings.durable)}; it must be true or false`)
  }
  return settings
}

export function invalid(message: string): HubError {
  return new HubError('INVALID_OPTION', message)
}
