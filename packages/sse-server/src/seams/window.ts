import type { LogEntry, Retention } from './adapter'
import { weightOf } from './record-text'

/** Places that a window has at first; twice as many whenever they do not suffice. */
const LEAST_PLACES = 16

/**
 * The newest entries of a log, contiguous, as far back as the retention reaches. The memory adapter's log and a feed's
 * retained frames are both one of these.
 */
export class RetentionWindow<Entry extends LogEntry> {
  /** A ring: the entry of an offset lies at its remainder. A full log takes no new memory, and what goes is not looked at once more. */
  #entries: (Entry | undefined)[] = []
  #sizes: number[] = []
  #times: number[] = []
  #size = 0
  #bytes = 0

  constructor(
    readonly retention: Retention,
    /** Offset of the newest entry, also when it is no longer kept. */
    public last: number,
  ) {}

  /** Offset of the oldest entry kept; `last + 1` when there is none. */
  get first(): number {
    return this.last - this.#size + 1
  }

  get size(): number {
    return this.#size
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Adds the entry after `last`; `bytes` is what it weighs. */
  push(entry: Entry, now: number, bytes = weightOf(entry.record)): void {
    if (this.#size === this.#entries.length) this.#lay(Math.max(LEAST_PLACES, this.#size * 2))
    const place = entry.offset & (this.#entries.length - 1)
    this.#entries[place] = entry
    this.#sizes[place] = bytes
    this.#times[place] = now
    this.#size++
    this.#bytes += bytes
    this.last = entry.offset
    this.trim(now)
  }

  /** Lets go of what the retention no longer covers. The newest entry goes by age alone, however large it is. */
  trim(now: number): void {
    const { ageMs, events, bytes } = this.retention
    const oldest = now - ageMs
    const mask = this.#entries.length - 1
    while (this.#size > 0) {
      const place = this.first & mask
      const goes =
        this.#size > events || (this.#bytes > bytes && this.#size > 1) || (this.#times[place] as number) < oldest
      if (!goes) break
      this.#bytes -= this.#sizes[place] as number
      this.#entries[place] = undefined
      this.#size--
    }
    if (this.#size === 0 && mask > 0) this.#lay(0)
    else if (this.#size * 4 <= mask && mask >= LEAST_PLACES) this.#lay((mask + 1) / 2)
  }

  /** Whether everything after `offset` is here. */
  reaches(offset: number): boolean {
    return offset >= this.first - 1 && offset <= this.last
  }

  /** The entry of an offset from `first` on; nothing after `last`. */
  at(offset: number): Entry | undefined {
    return offset <= this.last ? this.#entries[offset & (this.#entries.length - 1)] : undefined
  }

  /** Makes room for so many, a power of two, or none. */
  #lay(places: number): void {
    const entries = this.#entries
    const sizes = this.#sizes
    const times = this.#times
    this.#entries = new Array(places).fill(undefined)
    this.#sizes = new Array(places).fill(0)
    this.#times = new Array(places).fill(0)
    for (let offset = this.first; offset <= this.last; offset++) {
      const from = offset & (entries.length - 1)
      const to = offset & (places - 1)
      this.#entries[to] = entries[from]
      this.#sizes[to] = sizes[from] as number
      this.#times[to] = times[from] as number
    }
  }
}
