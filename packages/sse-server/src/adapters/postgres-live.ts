import type { LogRecord } from '@entitycast/sse-server'
import { FollowedLog } from '../seams/followed-log'
import { type Found, foundIn, type Seen } from '../seams/record-text'
import { closed } from './postgres-link'
import type { Row } from './postgres-session'

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

/**
 * One project's log as this process follows it. A notification says that there is something; what it is, the log says. What this process has
 * appended itself is told without asking, where it fits onto what was seen.
 */
export class LiveLog extends FollowedLog {
  #seen: Seen | undefined

  constructor(
    /** Asks the log what lies after a place, and whether that place is still in it. */
    readonly ask: (seen: Seen) => Promise<Found>,
    oddities: Oddities,
  ) {
    // The connection that is asked is the one that listens, for all projects.
    super({ ready: async () => {}, oddities, closed })
  }

  protected override get end(): Seen | undefined {
    return this.#seen
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

  protected override async compare(): Promise<number> {
    for (let found = 0; ; ) {
      const asked = this.#seen ?? { epoch: '', offset: 0, tag: '-' }
      const { what, epoch, last, tag, seen, records } = await this.ask(asked)
      if (this.isClosed) return found
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
    if (reason) this.doubt(seen, reason)
  }

  #accept({ epoch, first, tag, records }: Appended): void {
    const offset = first + records.length - 1
    this.#seen = { epoch, offset, tag }
    this.tell(first, records)
  }
}

/** What a read has found. */
export function decodeFound({ what, epoch, head, tag, seen, records }: Row): Found {
  const found = { what: what as Found['what'], epoch: epoch ?? '', last: Number(head), tag: tag ?? '' }
  return foundIn({ ...found, seen: seen ?? found.tag }, `[${records}]`)
}
