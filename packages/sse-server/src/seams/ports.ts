/**
 * Time and chance, as arguments: the hub owns neither, so that a simulation can run it in virtual time from a seed.
 */
export interface Clock {
  /** Milliseconds since 1970, as the system's clock has it: it may jump. Only for what people read, and for `expiresAt`. */
  now(): number
  /** Milliseconds that never go back. */
  monotonic(): number
  /** Runs `task` once, after everything that is already due in this turn of the event loop. */
  defer(task: () => void): void
  /** Runs `task` after `delayMs`; the result cancels it. A timer never keeps a process alive. */
  after(delayMs: number, task: () => void): () => void
}

/** A number from 0 (inclusive) to 1 (exclusive). */
export type Random = () => number

/** What a hub is given instead of the system's, all or some. */
export interface Ports {
  readonly clock: Clock
  readonly random: Random
  /** Text that nobody can guess, of `A-Z a-z 0-9 _ -`, 8 to 64 long. */
  readonly randomId: () => string
}

/** The part of `console`, pino and others that the hub calls. Never given a payload or a token. */
export interface Logger {
  warn(message: string, details?: object): void
  error(message: string, details?: object): void
}
