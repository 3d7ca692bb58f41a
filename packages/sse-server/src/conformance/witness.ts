import assert from 'node:assert/strict'
import type { Cursor, LogEntry, LogListener, LogPage, LogRecord } from '@entitycast/sse-server'

/** What every instance agrees on: which record is at which place. Whoever sees another one there has found a fork. */
export class Ledger {
  readonly #records = new Map<string, string>()

  /** Somebody saw this record at this place. */
  note(epoch: string, offset: number, { type, data, channel, users, key }: LogRecord): void {
    const place = `${epoch}.${offset}`
    const record = JSON.stringify([type, data, channel, users ?? null, key ?? null])
    const known = this.#records.get(place)
    if (known === undefined) this.#records.set(place, record)
    else if (known !== record)
      assert.fail(`two records at ${place}: ${known.slice(0, 200)} and ${record.slice(0, 200)}`)
  }
}

/** A listener that remembers, and knows at once when it is told something that must not be. */
export class Witness implements LogListener {
  readonly entriesSeen: LogEntry[] = []
  /** Entries since the last doubt. */
  since: LogEntry[] = []
  readonly doubts: { head: Cursor; reason: string }[] = []
  /** What was told that must not be. */
  readonly faults: string[] = []
  onEntry: (entry: LogEntry) => void = () => {}
  #head: Cursor | undefined
  #early: (() => void)[] = []
  #closed = false
  #wake: () => void = () => {}

  constructor(
    readonly ledger: Ledger,
    readonly patienceMs: number,
  ) {}

  /** Where continuity goes on. */
  get head(): Cursor {
    assert(this.#head, 'it is open')
    return this.#head
  }

  /** `open` has resolved. */
  opened(head: Cursor): void {
    this.#head = head
    for (const told of this.#early) told()
  }

  closed(): void {
    this.#closed = true
  }

  entries(entries: readonly LogEntry[]): void {
    if (!this.#head) {
      // A promise's answer is seen a moment after it was given.
      this.#early.push(() => this.entries(entries))
      return
    }
    this.#claim(!this.#closed, 'entries came after close')
    this.#claim(entries.length > 0, 'entries was called with none')
    for (const entry of entries) {
      const { epoch, offset } = this.head
      this.#claim(entry.offset === offset + 1, `after ${offset} came ${entry.offset}`)
      this.#head = { epoch, offset: entry.offset }
      try {
        this.ledger.note(epoch, entry.offset, entry.record)
      } catch (error) {
        this.faults.push((error as Error).message)
      }
      this.entriesSeen.push(entry)
      this.since.push(entry)
      this.onEntry(entry)
    }
    this.#wake()
  }

  doubt(head: Cursor, reason: string): void {
    if (!this.#head) {
      this.#early.push(() => this.doubt(head, reason))
      return
    }
    this.#claim(!this.#closed, 'doubt came after close')
    this.#claim(reason === 'epoch' || reason === 'broker-gap', `the reason of a doubt is ${reason}`)
    this.#claim(
      reason !== 'epoch' || head.epoch !== this.#head.epoch,
      'doubt said that the epoch is new, and it is not',
    )
    this.#head = head
    this.since = []
    this.doubts.push({ head, reason })
    this.#wake()
  }

  /** Resolves when `count` entries have come in all. */
  async until(count: number): Promise<LogEntry[]> {
    await this.when(
      () => this.entriesSeen.length >= count,
      () => `only ${this.entriesSeen.length} of ${count} live entries came`,
    )
    return this.entriesSeen
  }

  /** Resolves when it has seen all up to this place. */
  async reaches({ epoch, offset }: Cursor): Promise<void> {
    await this.when(
      () => this.head.epoch === epoch && this.head.offset >= offset,
      () => `it is at ${this.head.epoch}.${this.head.offset}, and ${epoch}.${offset} was accepted`,
    )
  }

  async when(condition: () => boolean, why: () => string): Promise<void> {
    const deadline = Date.now() + this.patienceMs
    while (!condition()) {
      assert.deepEqual(this.faults, [])
      const left = deadline - Date.now()
      assert(left > 0, why())
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left)
        this.#wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  }

  #claim(condition: boolean, fault: string): void {
    if (!condition) this.faults.push(fault)
  }
}

export function record(data: unknown, more: Partial<LogRecord> = {}): LogRecord {
  return { type: 'note:added', data: JSON.stringify({ data }), channel: 'default', ...more }
}

/** What `record` was made with. */
export function dataOf({ record: { data } }: LogEntry): unknown {
  return JSON.parse(data).data
}

export function entriesOf(page: LogPage): readonly LogEntry[] {
  if ('gap' in page) assert.fail(`a gap (${page.gap}) where there is none`)
  return page.entries
}

export const offsets = (entries: readonly { offset: number }[]) => entries.map(({ offset }) => offset)
export const upTo = (last: number, first = 1) =>
  Array.from({ length: Math.max(0, last - first + 1) }, (_, n) => first + n)
