import { quote } from '@entitycast/sse-protocol'
import { HubError } from '@entitycast/sse-server'
import type { NatsConnection } from '@nats-io/transport-node'
import { readSettings } from '../seams/adapter-settings'

/** What the stream and its subjects are called. */
export interface NatsNames {
  /** The stream that holds the logs of all projects. Default `ENTITYCAST`. */
  stream?: string
  /** What our subjects begin with: letters, digits, `_`, `-` and dots. Default `entitycast`. */
  subjectPrefix?: string
}

export interface NatsAdapterOptions extends NatsNames {
  /**
   * Connects to NATS, with whatever your application needs for that: addresses, credentials, TLS. Called when the hub is made, and again whenever
   * that connection is lost: the connection is ours alone, and is closed by us.
   */
  connect: () => Promise<NatsConnection>
  /** Copies of the log, where the stream is made by us: 3 in a cluster, so that no single server's end loses anything. Default 1. */
  replicas?: number
  /** How long a call waits for NATS, connecting included, before it rejects, in milliseconds. Default 5,000. */
  timeoutMs?: number
  /** Appends that may wait for NATS at a time; more are refused with `UNAVAILABLE`. Default 10,000. */
  maxPendingAppends?: number
  /** Projects that nothing has been heard of are compared with the stream this often, in milliseconds; so is the connection. Default 5,000. */
  checkIntervalMs?: number
  /** A project that nobody listens to and nobody publishes to is forgotten after this, in milliseconds; at least ten times `checkIntervalMs`. Default 86,400,000 (a day). */
  idleProjectTtlMs?: number
}

export type NatsSettings = Required<Omit<NatsAdapterOptions, 'connect'>>

/** The names with their defaults. @throws HubError `INVALID_OPTION` */
export function readNames({ stream = 'ENTITYCAST', subjectPrefix = 'entitycast' }: NatsNames): Required<NatsNames> {
  if (typeof stream !== 'string' || !/^[\w-]{1,100}$/.test(stream)) {
    throw invalid(`stream is ${quote(stream)}; it must be 1 to 100 letters, digits, - and _`)
  }
  if (typeof subjectPrefix !== 'string' || !/^[\w-]{1,50}(\.[\w-]{1,50}){0,5}$/.test(subjectPrefix)) {
    throw invalid(
      `subjectPrefix is ${quote(subjectPrefix)}; it must be letters, digits, - and _, in parts with dots between`,
    )
  }
  return { stream, subjectPrefix }
}

/** @throws HubError `INVALID_OPTION` */
export function readOptions({ connect, ...options }: NatsAdapterOptions): NatsSettings {
  if (typeof connect !== 'function') {
    throw invalid('connect is no function; give one that connects, such as () => connect({ servers })')
  }
  const settings = readSettings(options, {
    adapter: 'NatsAdapter',
    required: ['connect'],
    defaults: {
      stream: 'ENTITYCAST',
      subjectPrefix: 'entitycast',
      replicas: 1,
      timeoutMs: 5_000,
      maxPendingAppends: 10_000,
      checkIntervalMs: 5_000,
      idleProjectTtlMs: 86_400_000,
    },
    ranges: [
      ['replicas', 1, 5],
      ['timeoutMs', 50, 60_000],
      ['maxPendingAppends', 1, 1_000_000],
      ['checkIntervalMs', 50, 600_000],
      ['idleProjectTtlMs', 1_000, 31_536_000_000],
    ],
    invalid,
  })
  readNames(settings)
  return settings
}

export function invalid(message: string): HubError {
  return new HubError('INVALID_OPTION', message)
}
