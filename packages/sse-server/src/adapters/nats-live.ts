import { FollowedLog } from '../seams/followed-log'
import { HeldMessages } from '../seams/held-messages'
import { type Found, type Seen, seenOf } from './nats-log'
import type { Stored } from './nats-message'
import { closed } from './nats-wire'

/** Tags of own appends that are remembered. */
const MOST_OWN = 1_000

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

/**
 * One project's log as this process follows it. Messages are for speed; the stream decides. What does not fit onto what was seen is
 * read from there, and what cannot be read is told as doubt.
 */
export class LiveLog extends FollowedLog {
  /** Messages that are ahead of what was seen, by the place of the one before them. */
  readonly #held: HeldMessages<Stored>
  /** Tags of what this process has appended, until it has heard of them. */
  readonly #own = new Set<string>()
  #seen: Seen | undefined
  /** Checks in a row that found what no message had told of. */
  #unheard = 0

  constructor(
    /** Resolves when its subject is listened to. */
    ready: () => Promise<unknown>,
    /** Asks the stream what lies after a place. Where that place is gone it begins an epoch, and that is the answer. */
    readonly ask: (seen: Seen | undefined) => Promise<Found & { last: Stored }>,
    readonly oddities: Oddities,
    /** Records are in the stream, and their messages do not come. */
    readonly deaf: () => void,
    /** What the log keeps, in bytes. */
    retainedBytes: number,
  ) {
    super({ ready, oddities, closed })
    this.#held = new HeldMessages(retainedBytes)
  }

  protected override get end(): Seen | undefined {
    return this.#seen
  }

  override close(): void {
    super.close()
    this.#held.clear()
  }

  /** This process has appended. */
  told(message: Stored): void {
    if (this.#own.size < MOST_OWN) this.#own.add(message.tag)
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

  #take(message: Stored): void {
    const { epoch, seq, before } = message
    const seen = this.#seen
    if (!seen) {
      // The log is being asked; what it answers may lie before this one.
      if (!this.#held.hold(before.seq, message)) void this.check().catch(() => {})
      return
    }
    if (epoch === seen.epoch) {
      if (seq <= seen.seq) return
      if (before.seq === seen.seq && before.tag === seen.tag) {
        this.#accept(message)
        this.#useHeld()
        return
      }
      if (before.seq > seen.seq) this.#held.hold(before.seq, message)
    }
    this.oddities.holes++
    void this.check().catch(() => {})
  }

  protected override async compare(): Promise<number> {
    for (let repaired = 0; ; ) {
      const asked = this.#seen
      const { what, last, messages } = await this.ask(asked)
      if (this.isClosed) return repaired
      // What this process has heard meanwhile fitted onto the place that is gone: nothing was missed, and the new place is asked about.
      if (what !== 'ok' && this.#seen !== asked) continue
      if (what !== 'ok' || !asked) {
        this.#jump(seenOf(last), asked && (what === 'epoch' ? 'epoch' : 'broker-gap'))
        return repaired
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
      return repaired
    }
  }

  /** Goes on at another place, which whoever listens is told. */
  #jump(seen: Seen, reason: 'epoch' | 'broker-gap' | undefined): void {
    this.#seen = seen
    this.provenAt = performance.now()
    if (reason) this.doubt(seen, reason)
    this.#useHeld()
  }

  /** Takes what was held and now fits; lets go of what will never fit. */
  #useHeld(): void {
    const { epoch, seq } = this.#seen as Seen
    this.#held.drop((before, message) => message.epoch !== epoch || before < seq)
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
    this.tell(first, records)
  }
}
