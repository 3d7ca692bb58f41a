import type { Cursor, LogEntry, LogListener } from '@entitycast/sse-server'
import type { Found } from './cluster-wire'

interface Listening {
  readonly listener: LogListener
  /** The head when it began, or since its last doubt. */
  after: number
}

/** One project's log as a worker follows it. What does not fit onto what was seen is asked for, and what cannot be had is told as doubt. */
export class LiveLog {
  /** Who has it open, or is about to. */
  users = 0
  /** Resolves when it is known where the log ends. */
  readonly ready: Promise<void>
  readonly #listeners = new Set<Listening>()
  #seen: Cursor | undefined
  /** Something is missing, and the primary is to say what. Pages are not looked at meanwhile: what is in them is told again. */
  #isDoubtful = false
  #isAsking = false

  constructor(
    /** Asks for what comes after a place, the head where there is none, and has the rest come as pages. */
    readonly ask: (
      after: Cursor | undefined,
      answered: (found: Found) => void,
      refused: (error: Error) => void,
    ) => void,
  ) {
    this.ready = new Promise((resolve, reject) => {
      ask(
        undefined,
        ({ epoch, offset }) => {
          this.#seen = { epoch, offset }
          resolve()
          this.mend()
        },
        reject,
      )
    })
  }

  /** Begins to tell a listener what comes after the head. */
  listen(listener: LogListener): { head: Cursor; stop(): void } {
    const head = this.#seen as Cursor
    const listening = { listener, after: head.offset }
    this.#listeners.add(listening)
    return { head, stop: () => void this.#listeners.delete(listening) }
  }

  close(): void {
    this.#listeners.clear()
  }

  /** What the primary tells by itself. */
  page(found: Found): void {
    const seen = this.#seen
    if (!seen || this.#isDoubtful) return
    const isAfter = found.epoch === seen.epoch && found.offset <= seen.offset
    if (found.gap || isAfter) this.#take(found)
    else this.missed()
  }

  /** Something may have been missed. */
  missed(): void {
    this.#isDoubtful = true
    this.mend()
  }

  /** Asks for what is missing, unless nothing is. Where that was refused, it is to be tried again. */
  mend(): void {
    if (!this.#isDoubtful || this.#isAsking || !this.#seen) return
    this.#isAsking = true
    this.ask(
      this.#seen,
      (found) => {
        this.#isAsking = false
        this.#isDoubtful = false
        this.#take(found)
      },
      () => {
        this.#isAsking = false
      },
    )
  }

  #take({ gap, epoch, offset, records }: Found): void {
    const seen = this.#seen as Cursor
    if (gap) {
      this.#seen = { epoch, offset }
      for (const listening of [...this.#listeners]) {
        listening.after = offset
        const reason = epoch === seen.epoch ? 'broker-gap' : 'epoch'
        if (this.#listeners.has(listening)) listening.listener.doubt({ epoch, offset }, reason)
      }
      return
    }
    const entries: LogEntry[] = []
    records.forEach((record, i) => {
      if (offset + i + 1 > seen.offset) entries.push({ offset: offset + i + 1, record })
    })
    const last = entries.at(-1)
    if (!last) return
    this.#seen = { epoch, offset: last.offset }
    for (const listening of [...this.#listeners]) {
      const { listener, after } = listening
      const later = (entries[0] as LogEntry).offset > after ? entries : entries.filter((entry) => entry.offset > after)
      // One of them may have closed another meanwhile.
      if (later.length > 0 && this.#listeners.has(listening)) listener.entries(later)
    }
  }
}
