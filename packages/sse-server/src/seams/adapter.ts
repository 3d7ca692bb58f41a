import type { Cursor, ResyncReason } from '@entitycast/sse-protocol'

/*
 * The adapter contract: a log for each project. A hub runs on any implementation of it, and nothing else in an application changes.
 *
 * What an adapter guarantees:
 * - ORDER. A project's records have the offsets 1, 2, 3 … without a hole, and every instance sees them in that one order.
 * - ACCEPTED MEANS KEPT. `append` resolves once the records are in the log: each later `read` from before them either returns
 *   them or says `gap`. It rejects otherwise; a rejected append may still have happened, and is then seen like any other.
 * - NO SILENT HOLE. Live records reach the listener in log order, each once. Where one may have been missed, the adapter repairs
 *   it from the log or calls `doubt`; it never goes on as if nothing had happened.
 * - EPOCH. A log's epoch is unguessable, is used by one project only, and is new whenever offsets may have been lost or used twice.
 * - ITS ENGINE'S ABSENCE IS SEEN. While a broker is away calls wait for a bounded time and reject with a coded error that holds no
 *   credentials, `status` says `degraded`, and listeners stay: on return they are told what they missed, or `doubt`.
 * - ISOLATION. Project ids are any text the protocol allows, and those of the hub's own logs: U+0001 and up to 265 bytes more (`logName`
 *   writes both in a plain alphabet). No project id, however chosen, reaches another project's log.
 * - NOTHING IS KEPT WITHOUT END. What lies far beyond the retention is let go in a while, by age, number and bytes, and is answered as a gap.
 * - RECORDS ARE OPAQUE. They come back as they were given, to the last character.
 */

/** An event in a log. All text: what the wire carries is fixed before the log sees it. */
export interface LogRecord {
  /** The `event:` line. */
  readonly type: string
  /** The text of the `data:` line. */
  readonly data: string
  /** The channel, `default` where the publisher named none. */
  readonly channel: string
  /** Only these users may see it; absent: everyone in the project. */
  readonly users?: readonly string[]
  /** Records of one key may be merged into the last of them for readers who are behind. Absent: a fact, never merged. */
  readonly key?: string
}

/** A record at its place in the log. */
export interface LogEntry {
  readonly offset: number
  readonly record: LogRecord
}

/** What an adapter tells an instance that has opened a project. Never called before `open` has resolved, nor after `close`. */
export interface LogListener {
  /** New records, in log order, without a hole after the head that `open` returned or the last call. */
  entries(entries: readonly LogEntry[]): void
  /**
   * Something may have been missed, or the log is another one: continuity ends here and goes on at `head`.
   * The hub tells every reader to resync.
   */
  doubt(head: Cursor, reason: Extract<ResyncReason, 'epoch' | 'broker-gap'>): void
}

/** A project that an instance listens to. */
export interface OpenLog {
  /** The log's end at the moment the listener began: everything after it reaches the listener. */
  readonly head: Cursor
  /** Stops the listener. The log itself stays. */
  close(): void
}

/** Records after a cursor, oldest first; empty at the head. Or the reason why they cannot all be given. */
export type LogPage = { readonly entries: readonly LogEntry[] } | { readonly gap: 'epoch' | 'expired' | 'ahead' }

/** What an adapter survives, in words for the README's table. */
export interface AdapterManifest {
  readonly name: string
  /** What is left after this process, or the broker, was killed. */
  readonly durability: 'none' | 'broker-memory' | 'broker-disk'
  /** Whether several hubs see one log. */
  readonly shared: boolean
  /** The largest record, in bytes of `data`. */
  readonly maxRecordBytes: number
}

/** How much of a log is kept for readers who come back: whichever ends first. */
export interface Retention {
  /** Age of the oldest event, in milliseconds. Default 300,000 (5 min). */
  readonly ageMs: number
  /** Events a project. Default 1,000. */
  readonly events: number
  /** Bytes a project. Default 1,048,576 (1 MiB). */
  readonly bytes: number
}

/** Whether a log can be reached. */
export type AdapterStatus = 'ok' | 'degraded'

export interface Adapter {
  readonly manifest: AdapterManifest
  /** Called once by the hub, before anything else. */
  start(retention: Retention): void
  /** Adds records at the end, contiguous and in order. Resolves with the cursor of the last one once they are in the log. */
  append(projectId: string, records: readonly LogRecord[]): Promise<Cursor>
  /**
   * For engines with transactions: the same inside of one that the caller has begun, on the caller's client. The records are in the log if
   * and only if it commits. Resolves with a cursor that lies before them, once they are part of the transaction. Absent: `publish` with a
   * `client` rejects.
   */
  appendIn?(client: object, projectId: string, records: readonly LogRecord[]): Promise<Cursor>
  /**
   * Begins to listen, making the log where there is none. Must settle: requests wait 10 s for it and are refused, and until it has
   * settled it is not called again for this project.
   */
  open(projectId: string, listener: LogListener): Promise<OpenLog>
  /** At most `limit` records after a cursor; fewer where they are large, and none only at the head. */
  read(projectId: string, after: Cursor, limit: number): Promise<LogPage>
  /** `degraded` while the log cannot be reached, or perhaps not. Asked at any time, answered at once. Absent: always `ok`. */
  status?(): AdapterStatus
  /** Lets go of everything. Calls after it reject. */
  close(): Promise<void>
}
