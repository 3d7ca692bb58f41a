import type { Adapter, Cursor, LogEntry, LogListener, LogPage, LogRecord, Retention } from '@entitycast/sse-server'

/* What the checks of the adapter suite are written with: a listener that remembers, and assertions that need no test runner. */

/** What a suite needs of an author. */
export interface AdapterUnderTest {
  /** A new adapter over a log that nobody has written to, not yet started. */
  create(): Adapter | Promise<Adapter>
  /** Lets time pass, or waits for it, until events of this age are too old. */
  expire(ageMs: number): Promise<void>
  /** How long a live record may take, in milliseconds. Default 10,000. */
  readonly patienceMs?: number
}

export const RETENTION: Retention = { ageMs: 2_000, events: 50, bytes: 100_000 }
export function record(data: unknown, more: Partial<LogRecord> = {}): LogRecord {
  return { type: 'note:added', data: JSON.stringify({ data }), channel: 'default', ...more }
}

export class Listener implements LogListener {
  readonly entriesSeen: LogEntry[] = []
  readonly doubts: Cursor[] = []
  #opened = false
  #closed = false
  #wake: () => void = () => {}
  onEntry: (entry: LogEntry) => void = () => {}

  constructor(readonly patienceMs = 10_000) {}

  opened(): void {
    this.#opened = true
  }

  closed(): void {
    this.#closed = true
  }

  entries(entries: readonly LogEntry[]): void {
    if (this.#closed) throw new Error('entries came after close')
    ok(entries.length > 0, 'entries was called with none')
    for (const entry of entries) {
      this.entriesSeen.push(entry)
      this.onEntry(entry)
    }
    if (this.#opened) this.#wake()
  }

  doubt(head: Cursor): void {
    this.doubts.push(head)
    this.#wake()
  }

  /** Resolves when `count` entries have come. */
  async until(count: number): Promise<LogEntry[]> {
    const deadline = Date.now() + this.patienceMs
    while (this.entriesSeen.length < count) {
      const left = deadline - Date.now()
      ok(left > 0, `only ${this.entriesSeen.length} of ${count} live entries came`)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left)
        this.#wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
    return this.entriesSeen
  }
}

export function ok(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(message)
}

export function same(actual: unknown, expected: unknown, what: string): void {
  const [a, b] = [JSON.stringify(actual), JSON.stringify(expected)]
  ok(a === b, `${what}: ${a?.slice(0, 400)} instead of ${b?.slice(0, 400)}`)
}

export function entriesOf(page: LogPage): readonly LogEntry[] {
  ok('entries' in page, `a gap (${'gap' in page && page.gap}) where there is none`)
  return page.entries
}

export async function rejects(call: () => Promise<unknown>, what: string): Promise<void> {
  let rejected = false
  await call().catch(() => {
    rejected = true
  })
  ok(rejected, `${what} did not reject`)
}

export type Open = (projectId: string) => Promise<{ listener: Listener; head: Cursor; close(): void }>

export async function withAdapter(
  subject: AdapterUnderTest,
  use: (adapter: Adapter, open: Open) => Promise<void>,
): Promise<void> {
  const adapter = await subject.create()
  adapter.start(RETENTION)
  try {
    await use(adapter, opener(adapter, subject.patienceMs))
  } finally {
    await adapter.close()
  }
}

export function opener(adapter: Adapter, patienceMs: number | undefined): Open {
  return async (projectId) => {
    const listener = new Listener(patienceMs)
    const log = await adapter.open(projectId, listener)
    listener.opened()
    return {
      listener,
      head: log.head,
      close: () => {
        listener.closed()
        log.close()
      },
    }
  }
}

export const offsets = (entries: readonly LogEntry[]) => entries.map(({ offset }) => offset)
export const upTo = (last: number, first = 1) => Array.from({ length: last - first + 1 }, (_, n) => first + n)
