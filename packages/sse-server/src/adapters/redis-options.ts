import { quote } from '@entitycast/sse-protocol'
import { HubError } from '@entitycast/sse-server'
import { readSettings } from '../seams/adapter-settings'

export interface RedisAdapterOptions {
  /** What every key and channel begins with, after the client's own `keyPrefix`. No braces. Default `entitycast:`. */
  keyPrefix?: string
  /**
   * Say `true` only of a Redis that loses nothing when it is killed or fails over: `appendonly yes`, `appendfsync always`, and no failover
   * to an asynchronous replica. Then streams resume across its restart. Default `false`: a restart or a failover may have lost
   * the newest events, so each project gets a new epoch and each client one resync.
   */
  durable?: boolean
  /** How long a call waits for Redis, connecting included, before it rejects, in milliseconds. Default 5,000. */
  timeoutMs?: number
  /** Appends that may wait for Redis at a time; more are refused with `UNAVAILABLE`. Default 10,000. */
  maxPendingAppends?: number
  /** Projects that nothing has been heard of are compared with Redis this often, in milliseconds; so is the connection. Default 5,000. */
  checkIntervalMs?: number
  /** A project that nobody listens to and nobody publishes to is forgotten after this, in milliseconds; at least ten times `checkIntervalMs`. Default 86,400,000 (a day). */
  idleProjectTtlMs?: number
  /** Redis Cluster before version 7 has no sharded channels: `false` for one of those. Default `true` for clusters. */
  sharded?: boolean
}

/** @throws HubError `INVALID_OPTION` */
export function readOptions(options: RedisAdapterOptions, cluster: boolean): Required<RedisAdapterOptions> {
  const settings = readSettings(options, {
    adapter: 'RedisAdapter',
    defaults: {
      keyPrefix: 'entitycast:',
      durable: false,
      timeoutMs: 5_000,
      maxPendingAppends: 10_000,
      checkIntervalMs: 5_000,
      idleProjectTtlMs: 86_400_000,
      sharded: cluster,
    },
    ranges: [
      ['timeoutMs', 50, 60_000],
      ['maxPendingAppends', 1, 1_000_000],
      ['checkIntervalMs', 50, 600_000],
      ['idleProjectTtlMs', 1_000, 31_536_000_000],
    ],
    invalid,
  })
  const { keyPrefix, durable, sharded } = settings
  if (typeof keyPrefix !== 'string' || /[{}]/.test(keyPrefix)) {
    throw invalid(
      `keyPrefix is ${quote(keyPrefix)}; it must be text without braces, which choose the node of a cluster`,
    )
  }
  if (typeof durable !== 'boolean') throw invalid(`durable is ${quote(durable)}; it must be true or false`)
  if (typeof sharded !== 'boolean' || (sharded && !cluster)) {
    throw invalid(`sharded is ${quote(sharded)}; it must be true or false, and true for the client of a cluster only`)
  }
  return settings
}

function invalid(message: string): HubError {
  return new HubError('INVALID_OPTION', message)
}
