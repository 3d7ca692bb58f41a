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

/** So many of the last steps are kept, for bug reports. */
export const KEPT_TRANSITIONS = 100
