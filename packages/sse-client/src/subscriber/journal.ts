import type { SubscriberErrorCode } from './error'
import type { Phase, Signal } from './phase'

/** One step of the connection, as `dump()` shows it: no event, no header, no address, no text of the server's. */
export interface Transition {
  /** Milliseconds since 1970. */
  readonly at: number
  readonly from: Phase
  readonly signal: Signal
  readonly to: Phase
  readonly attempt: number
  /** What had gone wrong last. */
  readonly error?: SubscriberErrorCode
  readonly status?: number
}

const KEPT = 100

/** The last transitions, for bug reports. */
export class Journal {
  readonly #entries: Transition[] = []

  add(entry: Transition): void {
    this.#entries.push(entry)
    if (this.#entries.length > KEPT) this.#entries.shift()
  }

  get entries(): Transition[] {
    return [...this.#entries]
  }
}
