import type { Cursor } from '@entitycast/sse-protocol'
import type { LogEntry, LogListener, LogRecord, OpenLog } from './adapter'

interface Listening {
  readonly listener: LogListener
  /** The head when it began, or since its last doubt. */
  after: number
}

export interface FollowedLogOptions {
  /** Resolves when what is appended from now on will be heard. Asked by each who opens it. */
  readonly ready: () => Promise<unknown>
  /** `doubts` counts the times that continuity could not be shown, and listeners were told so. */
  readonly oddities: { doubts: number }
  readonly closed: () => Error
}

/**
 * One project's log as a process follows it: who listens to it, what they are told, and one comparison with the broker at a time. How a broker tells
 * of records, and what proves that they go on from what was seen, is each adapter's own.
 */
export abstract class FollowedLog {
  /** When it last proved to be whole, by the monotonic clock; 0 where that failed. */
  provenAt = 0
  readonly #listeners = new Set<Listening>()
  /** Who has it open, or is about to. */
  #users = 0
  #checking: Promise<number> | undefined
  #again = false
  #isClosed = false

  constructor(readonly options: FollowedLogOptions) {}

  /** Where it ends, as far as this process has seen. */
  protected abstract get end(): Cursor | undefined

  /** Compares what was seen with the log, and mends the difference. Resolves with how many records were found. */
  protected abstract compare(): Promise<number>

  get isClosed(): boolean {
    return this.#isClosed
  }

  /** Begins to tell one more what comes. `left` is called when nobody has it open any longer. */
  async open(listener: LogListener, left: () => void): Promise<OpenLog> {
    this.#users++
    let isOpen = true
    let stop = () => {}
    const close = () => {
      if (!isOpen) return
      isOpen = false
      stop()
      if (--this.#users === 0) left()
    }
    try {
      await this.options.ready()
      const head = await this.head()
      if (this.#isClosed) throw this.options.closed()
      stop = this.listen(listener)
      return { head, close }
    } catch (error) {
      close()
      throw error
    }
  }

  /** Where it ends, as far as this process knows. Asks the broker the first time. */
  async head(): Promise<Cursor> {
    if (!this.end) await this.check()
    if (!this.end) throw this.options.closed()
    const { epoch, offset } = this.end
    return { epoch, offset }
  }

  /** Begins to tell a listener what comes after the head. The result ends that. */
  listen(listener: LogListener): () => void {
    const listening = { listener, after: this.end?.offset ?? 0 }
    this.#listeners.add(listening)
    return () => {
      this.#listeners.delete(listening)
    }
  }

  close(): void {
    this.#isClosed = true
    this.#listeners.clear()
  }

  /** Compares with the log. One at a time; asked for meanwhile, it runs once more. Resolves with how many records were found. */
  check(): Promise<number> {
    this.#again = true
    this.#checking ??= this.#compareAll()
    return this.#checking
  }

  /** Tells all of the records from this offset on. */
  protected tell(first: number, records: readonly LogRecord[]): void {
    if (records.length === 0) return
    const entries = records.map((record, i): LogEntry => ({ offset: first + i, record }))
    for (const listening of [...this.#listeners]) {
      const { listener, after } = listening
      const later = first > after ? entries : entries.filter((entry) => entry.offset > after)
      // One of them may have closed another meanwhile.
      if (later.length > 0 && this.#listeners.has(listening)) listener.entries(later)
    }
  }

  /** Tells all that it goes on at another place. */
  protected doubt({ epoch, offset }: Cursor, reason: 'epoch' | 'broker-gap'): void {
    this.options.oddities.doubts++
    for (const listening of [...this.#listeners]) {
      listening.after = offset
      if (this.#listeners.has(listening)) listening.listener.doubt({ epoch, offset }, reason)
    }
  }

  async #compareAll(): Promise<number> {
    let found = 0
    try {
      while (this.#again && !this.#isClosed) {
        this.#again = false
        found += await this.compare()
      }
      return found
    } catch (error) {
      // The next round tries again, whenever it was proven last.
      this.provenAt = 0
      throw error
    } finally {
      // In the same step as the last look at `again`: whoever asks a moment later is not told of this one.
      this.#checking = undefined
    }
  }
}
