import {
  type Adapter,
  type Clock,
  type Cursor,
  type LogListener,
  type LogPage,
  type LogRecord,
  MemoryAdapter,
  type OpenLog,
  type Retention,
} from '@entitycast/sse-server'

type Call = 'append' | 'open' | 'read'

/** The memory log behind a gate: answers wait, or fail, as a test says. What an answer says is fixed when it was asked for. */
export class GatedLog implements Adapter {
  readonly manifest
  /** Calls so far. */
  readonly calls: Record<Call, number> = { append: 0, open: 0, read: 0 }
  /** Whether the answer to this call, the nth of its kind, waits for `release`. */
  holds: (call: Call, nth: number) => boolean = () => false
  /** What this call fails with. */
  fails: (call: Call, nth: number) => Error | undefined = () => undefined
  /** What the hub listens with, by project. */
  readonly listeners = new Map<string, LogListener>()
  readonly #memory: MemoryAdapter
  #waiting: (() => void)[] = []

  constructor(clock?: Clock) {
    this.#memory = new MemoryAdapter(clock ? { clock } : {})
    this.manifest = { ...this.#memory.manifest, name: 'gated' }
  }

  /** Lets every answer out that waits, and those to come. */
  release(): void {
    this.holds = () => false
    for (const go of this.#waiting) go()
    this.#waiting = []
  }

  start(retention: Retention): void {
    this.#memory.start(retention)
  }

  append(projectId: string, records: readonly LogRecord[]): Promise<Cursor> {
    return this.#gate('append', () => this.#memory.append(projectId, records))
  }

  open(projectId: string, listener: LogListener): Promise<OpenLog> {
    this.listeners.set(projectId, listener)
    return this.#gate('open', () => this.#memory.open(projectId, listener))
  }

  read(projectId: string, after: Cursor, limit: number): Promise<LogPage> {
    return this.#gate('read', () => this.#memory.read(projectId, after, limit))
  }

  close(): Promise<void> {
    return this.#memory.close()
  }

  async #gate<Answer>(call: Call, ask: () => Promise<Answer>): Promise<Answer> {
    const nth = ++this.calls[call]
    const error = this.fails(call, nth)
    if (error) throw error
    const answer = await ask()
    if (this.holds(call, nth)) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    return answer
  }
}
