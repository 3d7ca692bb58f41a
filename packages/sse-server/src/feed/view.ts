import type { LogRecord } from '../seams/adapter'
import type { Chunk } from '../seams/sink'

/** What lies after a place in the log, for one kind of reader, as far as one write carries it. */
export interface Page {
  /** The reader's place before. */
  readonly from: number
  /** The reader's place after: also past events that it may not see. */
  readonly to: number
  readonly conflated: boolean
  /** Nothing where the reader may see none of it. */
  readonly chunk: Chunk | undefined
}

/** Pages of one view that are kept for the next reader at the same place. */
const KEPT_PAGES = 64

/** Readers who asked for the same channels: they see the same events, but for those with an audience, and share the very same chunks. */
export class View {
  /** The last page that was made for a live reader: nearly always what the next one wants. */
  live: Page | undefined
  /** Connections that have this view. */
  readers = 0
  readonly #pages = new Map<string, Page>()

  constructor(
    readonly key: string,
    /** `undefined`: every channel. */
    readonly channels: ReadonlySet<string> | undefined,
  ) {}

  static key(channels: readonly string[] | undefined): string {
    return channels ? [...new Set(channels)].sort().join(',') : '*'
  }

  /** Whether a reader with this user id may see the record. */
  covers(record: LogRecord, userId: string | undefined): boolean {
    if (this.channels && !this.channels.has(record.channel)) return false
    return record.users === undefined || (userId !== undefined && record.users.includes(userId))
  }

  page(key: string): Page | undefined {
    return this.#pages.get(key)
  }

  keep(key: string, page: Page): void {
    // A page that nobody else can ask for would only take memory, once for each connection.
    if (this.readers < 2) return
    if (this.#pages.size >= KEPT_PAGES) this.#pages.clear()
    this.#pages.set(key, page)
  }

  /** The log's head has moved: pages that ended there would now end later. */
  forget(): void {
    this.live = undefined
    if (this.#pages.size > 0) this.#pages.clear()
  }
}
