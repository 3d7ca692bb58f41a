import type { Cursor, LogEntry, LogListener } from '@entitycast/sse-server'
import { type Found, type Seen, seenOf } from './nats-log'
import type { Stored } from './nats-message'
import { closed } from './nats-wire'

/** Messages kept because one before them has not come yet. More are read from the stream instead. */
const MOST_HELD = 1_000

/** What came over the live subjects, besides records in their order. Counted, since each is mended and otherwise not seen. */
export interface Oddities {
  /** Messages that are none of ours. */
  garbage: number
  /** Messages that came again, or too late. An instance hears of its own appends twice: those are not counted. */
  repeated: number
  /** Messages that did not fit onto what was seen: the stream was asked. */
  holes: number
  /** Records that no message had told of, and that were found in the stream. */
  repaired: number
  /** Times that continuity could not be shown, and listeners were told so. */
  doubts: number
}

interface Listening {
  readonly listener: LogListener
  /** The head when it began, or since its last doubt. */
  after: number
}

/**
 * One project's log as this process follows it. Messages are for speed; the stream decides. What does not fit onto what was seen is
 * read from there, and what cannot be read is told as doubt.
 */
export class LiveLog {
  /** Who has it open, or is about to. */
  users = 0
  /** When it last proved to be whole, by the monotonic clock. */
  provenAt = 0
  readonly #listeners = new Set<Listening>()
  /** Messages that are ahead of what was seen, by the place of the one before them. */
  readonly #held = new Map<number, Stored>()
  /** Tags of what this process has appended, until it has heard of them. */
  readonly #own = new Set<string>()
  #seen: Seen | undefined
  #checking: Promise<void> | undefined
  #again = false
  #closed = false
  /** Checks in a row that found what no message had told of. */
  #unheard = 0

  constructor(
    /** Asks the stream what lies after a place. Where that place is gone it begins an epoch, and that is the answer. */
    readonly ask: (seen: Seen | undefined) => Promise<Found & { last: Stored }>,
    readonly oddities: Oddities,
    /** Records are in the stream, and their messages do not come. */
    readonly deaf: () => void,
  ) {}

  /** Where it ends, as far as this process knows. Asks the stream the first time. */
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
    this.#held.clear()
  }

  /** This process has appended. */
  told(message: Stored): void {
    if (this.#own.size < MOST_HELD) this.#own.add(message.tag)
    this.#take(message)
  }

  /** A message came over its subject: from us, or from anybody. */
  hear(message: Stored | undefined): void {
    if (!message) {
      this.oddities.garbage++
      return
    }
    const { epoch, seq, tag } = message
    if (this.#own.delete(tag)) this.#unheard = 0
    else if (this.#seen && epoch === this.#seen.epoch && seq <= this.#seen.seq) this.oddities.repeated++
    this.#take(message)
  }

  /** Compares what was seen with the stream, and mends the difference. One at a time; asked for meanwhile, it runs once more. */
  check(): Promise<void> {
    this.#again = true
    this.#checking ??= this.#checkAll().finally(() => {
      this.#checking = undefined
    })
    return this.#checking
  }

  #take(message: Stored): void {
    const { epoch, seq, before } = message
    const seen = this.#seen
    if (!seen) {
      this.#hold(message)
      return
    }
    if (epoch === seen.epoch) {
      if (seq <= seen.seq) return
      if (before.seq === seen.seq && before.tag === seen.tag) {
        this.#accept(message)
        this.#useHeld()
        return
      }
      if (before.seq > seen.seq) this.#hold(message)
    }
    this.oddities.holes++
    void this.check().catch(() => {})
  }

  async #checkAll(): Promise<void> {
    while (this.#again && !this.#closed) {
      this.#again = false
      try {
        await this.#checkOnce()
      } catch (error) {
        // The next round tries again, whenever it was proven last.
        this.provenAt = 0
        throw error
      }
    }
  }

  async #checkOnce(): Promise<void> {
    for (let repaired = 0; ; ) {
      const asked = this.#seen
      const { what, last, messages } = await this.ask(asked)
      if (this.#closed) return
      // What this process has heard meanwhile fitted onto the place that is gone: nothing was missed, and the new place is asked about.
      if (what !== 'ok' && this.#seen !== asked) continue
      if (what !== 'ok' || !asked) {
        this.#jump(seenOf(last), asked && (what === 'epoch' ? 'epoch' : 'broker-gap'))
        return
      }
      for (const message of messages) {
        // Meanwhile messages may have told some of it.
        if (message.seq <= (this.#seen as Seen).seq) continue
        repaired += message.records.length
        this.#accept(message)
      }
      this.#useHeld()
      if ((this.#seen as Seen).seq < last.seq) continue
      this.provenAt = performance.now()
      this.oddities.repaired += repaired
      this.#unheard = repaired > 0 ? this.#unheard + 1 : 0
      if (this.#unheard > 2) {
        this.#unheard = 0
        this.deaf()
      }
      return
    }
  }

  /** Goes on at another place, which whoever listens is told. */
  #jump(seen: Seen, reason: 'epoch' | 'broker-gap' | undefined): void {
    this.#seen = seen
    this.provenAt = performance.now()
    if (reason) {
      this.oddities.doubts++
      const { epoch, offset } = seen
      for (const listening of [...this.#listeners]) {
        listening.after = offset
        if (this.#listeners.has(listening)) listening.listener.doubt({ epoch, offset }, reason)
      }
    }
    this.#useHeld()
  }

  #hold(message: Stored): void {
    if (this.#held.size < MOST_HELD) this.#held.set(message.before.seq, message)
  }

  /** Takes what was held and now fits; lets go of what will never fit. */
  #useHeld(): void {
    const { epoch } = this.#seen as Seen
    for (const [before, message] of this.#held) {
      if (message.epoch !== epoch || before < (this.#seen as Seen).seq) this.#held.delete(before)
    }
    for (;;) {
      const seen = this.#seen as Seen
      const next = this.#held.get(seen.seq)
      if (!next || next.before.tag !== seen.tag) return
      this.#held.delete(seen.seq)
      this.#accept(next)
    }
  }

  #accept(message: Stored): void {
    const { first, records } = message
    this.#seen = seenOf(message)
    this.provenAt = performance.now()
    if (records.length === 0) return
    const entries = records.map((record, i): LogEntry => ({ offset: first + i, record }))
    for (const listening of [...this.#listeners]) {
      const { listener, after } = listening
      const later = first > after ? entries : entries.filter((entry) => entry.offset > after)
      // One of them may have closed another meanwhile.
      if (later.length > 0 && this.#listeners.has(listening)) listener.entries(later)
    }
  }
}
