import type { Cursor, LogEntry, LogListener, LogRecord } from '@entitycast/sse-server'
import { closed } from './postgres-link'
import type { Found, Seen } from './postgres-record'

/** What went wrong on the way and was mended. */
export interface Oddities {
  /** Notifications that are none of ours. */
  garbage: number
  /** Records that no notification had told of, and that were found by asking. */
  repaired: number
  /** Times that continuity could not be shown, and listeners were told so. */
  doubts: number
}

/** Records that this process has appended. */
export interface Appended {
  readonly epoch: string
  /** Offset of the first. */
  readonly first: number
  /** The tag of the append before, and of this one. */
  readonly before: string
  readonly tag: string
  readonly records: readonly LogRecord[]
}

interface Listening {
  readonly listener: LogListener
  /** The head when it began, or since its last doubt. */
  after: number
}

/**
 * One project's log as this process follows it. A notification says that there is something; what it is, the log says. What this process has
 * appended itself is told without asking, where it fits onto what was seen.
 */
export class LiveLog {
  /** Who has it open, or is about to. */
  users = 0
  readonly #listeners = new Set<Listening>()
  #seen: Seen | undefined
  #checking: Promise<number> | undefined
  #again = false
  #closed = false

  constructor(
    /** Asks the log what lies after a place, and whether that place is still in it. */
    readonly ask: (seen: Seen) => Promise<Found>,
    readonly oddities: Oddities,
  ) {}

  /** Where it ends, as far as this process knows. Asks the log the first time. */
  async head(): Promise<Cursor> {
    if (!this.#seen) await this.check()
    if (!this.#seen) throw closed()
    const { epoch, offset } = this.#seen
    return { epoch, offset }
  }

  /** Begins to tell a listener what comes after the head. The result ends that. */
  listen(listener: LogListener): () => void {
    const listening = { listener, after: this.#seen?.offset ?? 0 }
    this.#listeners.add(listening)
    return () => {
      this.#listeners.delete(listening)
    }
  }

  close(): void {
    this.#closed = true
    this.#listeners.clear()
  }

  /** A notification came: with the new head, or, where only the log knows it, without. */
  wake(head?: number): void {
    if (this.#seen && head !== undefined && head <= this.#seen.offset) return
    this.check().catch(() => {})
  }

  /** This process has appended. */
  hear(appended: Appended): void {
    const { epoch, first, before, records } = appended
    const seen = this.#seen
    if (seen && epoch === seen.epoch) {
      if (first + records.length - 1 <= seen.offset) return
      if (first === seen.offset + 1 && before === seen.tag) {
        this.#accept(appended)
        return
      }
    }
    this.check().catch(() => {})
  }

  /** Whether the log's end is where this process has seen it. */
  isAt({ epoch, offset, tag }: Seen): boolean {
    const seen = this.#seen
    return seen?.epoch === epoch && seen.offset === offset && seen.tag === tag
  }

  /**
   * Compares what was seen with the log, and mends the difference. One at a time; asked for meanwhile, it runs once more.
   *
   * @returns how many records were found
   */
  check(): Promise<number> {
    this.#again = true
    this.#checking ??= this.#checkAll().finally(() => {
      this.#checking = undefined
    })
    return this.#checking
  }

  async #checkAll(): Promise<number> {
    let found = 0
    while (this.#again && !this.#closed) {
      this.#again = false
      // Where that fails the next round finds the difference still there.
      found += await this.#checkOnce()
    }
    return found
  }

  async #checkOnce(): Promise<number> {
    for (let found = 0; ; ) {
      const asked = this.#seen ?? { epoch: '', offset: 0, tag: '-' }
      const { what, epoch, last, tag, seen, records } = await this.ask(asked)
      if (this.#closed) return found
      // What this process has appended meanwhile fitted onto the place that is gone: nothing was missed, and the new place is asked about.
      if (what === 'expired' && this.#seen && this.#seen !== asked) continue
      if (what !== 'ok') {
        this.#jump({ epoch, offset: last, tag }, this.#seen && (what === 'epoch' ? 'epoch' : 'broker-gap'))
        return found
      }
      const end = asked.offset + records.length
      const now = this.#seen as Seen
      if (end > now.offset) {
        const unheard = records.slice(now.offset - asked.offset)
        found += unheard.length
        this.#accept({ epoch, first: now.offset + 1, before: now.tag, tag: seen, records: unheard })
      }
      if (end >= last) return found
    }
  }

  /** Goes on at another place, which whoever listens is told. */
  #jump(seen: Seen, reason: 'epoch' | 'broker-gap' | undefined): void {
    this.#seen = seen
    if (!reason) return
    this.oddities.doubts++
    const { epoch, offset } = seen
    for (const listening of [...this.#listeners]) {
      listening.after = offset
      if (this.#listeners.has(listening)) listening.listener.doubt({ epoch, offset }, reason)
    }
  }

  #accept({ epoch, first, tag, records }: Appended): void {
    const offset = first + records.length - 1
    this.#seen = { epoch, offset, tag }
    const entries = records.map((record, i): LogEntry => ({ offset: first + i, record }))
    for (const listening of [...this.#listeners]) {
      const { listener, after } = listening
      const later = first > after ? entries : entries.filter((entry) => entry.offset > after)
      // One of them may have closed another meanwhile.
      if (later.length > 0 && this.#listeners.has(listening)) listener.entries(later)
    }
  }
}
