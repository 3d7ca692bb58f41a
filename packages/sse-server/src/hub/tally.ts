import type { ClosingReason, ResyncReason } from '@entitycast/sse-protocol'
import type { HubErrorCode } from './error'

/** What a hub has done and holds, as plain JSON without names of users or projects. Counts are since the hub was made. */
export interface HubStats {
  readonly adapter: string
  /** The adapter's broker cannot be reached: streams stay open, and what they miss meanwhile is repaired, or resynced, afterwards. */
  readonly degraded: boolean
  /** False once `close` was called: new streams are refused. */
  readonly accepting: boolean
  readonly uptimeMs: number
  /** Open streams. */
  readonly connections: number
  /** Open streams whose socket is full. */
  readonly lagging: number
  /** Projects with an open feed, and the bytes of events that the feeds hold. */
  readonly projects: number
  readonly retainedBytes: number
  /** Events that the log accepted, and publishes that were refused or failed. */
  readonly published: number
  readonly publishFailures: number
  /** Writes to connections, and their bytes: as they go out, where `compression` is on; before it, where a middleware compresses. */
  readonly writes: number
  readonly bytesWritten: number
  /** Streams opened, and ended by reason; `peer` is the other side. */
  readonly opened: number
  readonly closed: Readonly<Partial<Record<ClosingReason | 'peer', number>>>
  /** Resyncs sent, by reason. */
  readonly resyncs: Readonly<Partial<Record<ResyncReason, number>>>
  /** Requests that were refused, by code; `OTHER` is every code that an application made up. */
  readonly refused: Readonly<Partial<Record<HubErrorCode | 'OTHER', number>>>
}

/** The counters behind `stats()`. */
export class Tally {
  published = 0
  publishFailures = 0
  writes = 0
  bytesWritten = 0
  opened = 0
  readonly closed: Partial<Record<ClosingReason | 'peer', number>> = {}
  readonly resyncs: Partial<Record<ResyncReason, number>> = {}
  readonly refused: Partial<Record<HubErrorCode | 'OTHER', number>> = {}
}

/** What `stats()` says of a hub that counts here and has these streams and feeds. */
export function readStats(
  { closed, resyncs, refused, ...counts }: Tally,
  registry: Iterable<{ readonly full: boolean }> & { readonly size: number },
  feeds: { readonly size: number; readonly bytes: number },
  rest: Pick<HubStats, 'adapter' | 'degraded' | 'accepting' | 'uptimeMs'>,
): HubStats {
  let lagging = 0
  for (const { full } of registry) if (full) lagging++
  return {
    ...rest,
    connections: registry.size,
    lagging,
    projects: feeds.size,
    retainedBytes: feeds.bytes,
    ...counts,
    closed: { ...closed },
    resyncs: { ...resyncs },
    refused: { ...refused },
  }
}

export function count<Name extends string>(counts: Partial<Record<Name, number>>, name: Name): void {
  counts[name] = (counts[name] ?? 0) + 1
}
