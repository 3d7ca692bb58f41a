import type { LogEntry, Retention } from './adapter'

/**
 * The newest entries of a log, contiguous, as far back as the retention reaches. The memory adapter's log and a feed's
 * retained frames are both one of these.
 */
export class RetentionWindow<Entry extends LogEntry> {
  #entries: (Entry | undefined)[] = []
  #times: number[] = []
  /** Where the window begins in the arrays: what lies before is trimmed, and cut off now and then. */
  #start = 0
  #bytes = 0

  constructor(
    readonly retention: Retention,
    /** Offset of the newest entry, also when it is no longer kept. */
    public last: number,
  ) {}

  /** Offset of the oldest entry kept; `last + 1` when there is none. */
  get first(): number {
    return this.last - this.size + 1
  }

  get size(): number {
    return this.#entries.length - this.#start
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Adds the entry after `last`. */
  push(entry: Entry, now: number): void {
    this.#entries.push(entry)
    this.#times.push(now)
    this.#bytes += bytesOf(entry)
    this.last = entry.offset
    this.trim(now)
  }

  /** Lets go of what the retention no longer covers. The newest entry goes by age alone, however large it is. */
  trim(now: number): void {
    const { ageMs, events, bytes } = this.retention
    const oldest = now - ageMs
    const end = this.#entries.length
    while (
      this.#start < end &&
      (end - this.#start > events ||
        (this.#bytes > bytes && end - this.#start > 1) ||
        (this.#times[this.#start] as number) < oldest)
    ) {
      this.#bytes -= bytesOf(this.#entries[this.#start] as Entry)
      // The array is cut now and then; what it held is let go at once.
      this.#entries[this.#start] = undefined
      this.#start++
    }
    if (this.#start === end) this.#cut()
    else if (this.#start >= 512 && this.#start * 2 >= end) this.#cut()
  }

  /** Whether everything after `offset` is here. */
  reaches(offset: number): boolean {
    return offset >= this.first - 1 && offset <= this.last
  }

  /** Entries after `offset`, oldest first. Only where `reaches(offset)`. */
  *after(offset: number): Generator<Entry, void, undefined> {
    for (let i = this.#start + (offset - this.first + 1); i < this.#entries.length; i++) yield this.#entries[i] as Entry
  }

  #cut(): void {
    this.#entries = this.#entries.slice(this.#start)
    this.#times = this.#times.slice(this.#start)
    this.#start = 0
  }
}

function bytesOf({ record: { data, type, key, users } }: LogEntry): number {
  let bytes = data.length + type.length + (key?.length ?? 0)
  if (users) for (const user of users) bytes += user.length
  return bytes
}
