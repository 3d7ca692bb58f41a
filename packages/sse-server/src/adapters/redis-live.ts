import { FollowedLog } from '../seams/followed-log'
import { HeldMessages } from '../seams/held-messages'
import type { Found, Seen } from '../seams/record-text'
import { closed } from './redis-link'
import { decodeMessage, type Message } from './redis-script'

/** What came over the channels, besides records in their order. Counted, since each is mended and otherwise not seen. */
export interface Oddities {
  /** Messages that are none of ours. */
  garbage: number
  /** Messages that came again, or too late. */
  repeated: number
  /** Messages that did not fit onto what was seen: the log was asked. */
  holes: number
  /** Records that no message had told of, and that were found in the log. */
  repaired: number
  /** Times that continuity could not be shown, and listeners were told so. */
  doubts: number
}

/**
 * One project's log as this process follows it. Messages are for speed; the log decides. What does not fit onto what was seen is
 * read from there, and what cannot be read is told as doubt.
 */
export class LiveLog extends FollowedLog {
  /** Messages that are ahead of what was seen, by their first offset. */
  readonly #held: HeldMessages<Message>
  #seen: Seen | undefined
  /** Checks in a row that found what no message had told of. */
  #unheard = 0

  constructor(
    /** Resolves when its channel is listened to. */
    ready: Promise<unknown>,
    /** Asks the log what lies after a place, and whether that place is still in it. */
    readonly ask: (seen: Seen) => Promise<Found>,
    readonly oddities: Oddities,
    /** Records are in the log, and their messages do not come. */
    readonly deaf: () => void,
    /** What the log keeps, in bytes. */
    retainedBytes: number,
  ) {
    super({ ready: () => ready, oddities, closed })
    this.#held = new HeldMessages(retainedBytes)
  }

  protected override get end(): Seen | undefined {
    return this.#seen
  }

  override close(): void {
    super.close()
    this.#held.clear()
  }

  /** A text came over its channel: from us, or from anybody. */
  hear(text: string): void {
    const message = decodeMessage(text)
    if (!message) {
      this.oddities.garbage++
      return
    }
    const { epoch, first, before, records } = message
    const seen = this.#seen
    if (!seen) {
      // The log is being asked; what it answers may lie before this one.
      if (!this.#held.hold(first, message)) void this.check().catch(() => {})
      return
    }
    if (epoch === seen.epoch) {
      // The news that this log has begun.
      if (records.length === 0) return
      if (first + records.length - 1 <= seen.offset) {
        this.oddities.repeated++
        this.#unheard = 0
        return
      }
      if (first === seen.offset + 1 && before === seen.tag) {
        this.#unheard = 0
        this.#accept(message)
        this.#useHeld()
        return
      }
      if (first > seen.offset + 1) this.#held.hold(first, message)
    }
    this.oddities.holes++
    void this.check().catch(() => {})
  }

  protected override async compare(): Promise<number> {
    for (let found = 0; ; ) {
      const asked = this.#seen ?? { epoch: '', offset: 0, tag: '' }
      const { what, epoch, last, tag, seen, records } = await this.ask(asked)
      if (this.isClosed) return found
      // What was heard meanwhile fitted onto the place that is gone: nothing was missed, and the new place is asked about.
      if (what !== 'ok' && this.#seen && this.#seen !== asked) continue
      if (what !== 'ok') {
        this.#jump({ epoch, offset: last, tag }, this.#seen && (what === 'epoch' ? 'epoch' : 'broker-gap'))
        return found
      }
      const end = asked.offset + records.length
      const now = this.#seen as Seen
      // Meanwhile messages may have told some of it.
      if (end > now.offset) {
        const unheard = records.slice(now.offset - asked.offset)
        found += unheard.length
        this.#accept({ epoch, first: now.offset + 1, before: now.tag, tag: seen, records: unheard })
      }
      this.#useHeld()
      if (end < last) continue
      this.provenAt = performance.now()
      this.oddities.repaired += found
      this.#unheard = found > 0 ? this.#unheard + 1 : 0
      if (this.#unheard > 2) {
        this.#unheard = 0
        this.deaf()
      }
      return found
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
    const { epoch, offset } = this.#seen as Seen
    this.#held.drop((first, message) => message.epoch !== epoch || first <= offset)
    for (;;) {
      const seen = this.#seen as Seen
      const next = this.#held.get(seen.offset + 1)
      if (!next || next.before !== seen.tag) return
      this.#held.delete(next.first)
      this.#accept(next)
    }
  }

  #accept({ epoch, first, tag, records }: Message): void {
    const offset = first + records.length - 1
    this.#seen = { epoch, offset, tag }
    this.provenAt = performance.now()
    this.tell(first, records)
  }
}
