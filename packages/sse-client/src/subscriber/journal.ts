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
  readonly error?: SubscriberErrorCode | undefined
  readonly status?: number | undefined
}

const KEPT = 100

/** Adds to the last transitions, for bug reports. */
export function note(journal: Transition[], entry: Transition): void {
  if (journal.push(entry) > KEPT) journal.shift()
}
