import type { Cursor } from '@entitycast/sse-protocol'
import type { Adapter, LogEntry, LogListener, OpenLog } from '../seams/adapter'

/** What one of the hub's own logs tells. */
export interface Followed {
  /** It begins after `head`. */
  began?(head: Cursor): void
  /** Each entry once, in the log's order. */
  entry(entry: LogEntry): void
  /** The entries that came together have been told. */
  settled?(): void
  /** Something may have been missed; it goes on after `head`. */
  doubt(head: Cursor): void
}

/** Follows one of the hub's own logs, and holds the adapter to its word: a hole is a doubt. */
export class Follower implements LogListener {
  epoch = ''
  /** The offset of the last entry that was told. */
  last = 0
  #log: OpenLog | undefined
  #closed = false
  /** What the adapter told before the answer to `open` was here. */
  #early: (() => void)[] | undefined

  constructor(
    readonly adapter: Adapter,
    readonly logId: string,
    readonly followed: Followed,
  ) {}

  /** Begins at the head. Rejects where the log cannot be opened; may then be called again. */
  async open(): Promise<void> {
    this.#early = []
    const log = await this.adapter.open(this.logId, this)
    if (this.#closed) log.close()
    this.#log = log
    this.#restart(log.head)
    this.followed.began?.(log.head)
    const early = this.#early
    this.#early = undefined
    for (const told of early) told()
  }

  close(): void {
    this.#closed = true
    this.#log?.close()
  }

  entries(entries: readonly LogEntry[]): void {
    if (this.#closed) return
    if (this.#early) {
      this.#early.push(() => this.entries(entries))
      return
    }
    for (const entry of entries) {
      const { offset } = entry
      if (offset <= this.last) continue
      if (offset !== this.last + 1) {
        this.doubt({ epoch: this.epoch, offset })
        continue
      }
      this.last = offset
      this.followed.entry(entry)
    }
    this.followed.settled?.()
  }

  doubt(head: Cursor): void {
    if (this.#closed) return
    if (this.#early) {
      this.#early.push(() => this.doubt(head))
      return
    }
    this.#restart(head)
    this.followed.doubt(head)
  }

  #restart({ epoch, offset }: Cursor): void {
    this.epoch = epoch
    this.last = offset
  }
}
