import type { Random } from '../seams/ports'
import { HubError } from './error'

/** Whoever is refused because something is away or late is to come back after about this, in milliseconds. */
const RETRY_AFTER_MS = 5_000

const LOG_AWAY = 'The event log cannot be reached'

/** Refusals that ask to come back: each names another time, so that those who are refused together do not come back together. */
export class Refusals {
  constructor(readonly random: Random) {}

  /** `retryAfterMs` is the middle of what is told. */
  comeBack(code: HubError['code'], message: string, retryAfterMs: number): HubError {
    return new HubError(code, message, { retryAfterMs: this.#spread(retryAfterMs) })
  }

  late(message: string): HubError {
    return this.comeBack('UNAVAILABLE', message, RETRY_AFTER_MS)
  }

  /**
   * What an adapter fails with says the same to all who wait for it, and names what an operator has to mend: of that the client is told
   * the code, and the log the rest.
   */
  ofLog(thrown: unknown): HubError {
    if (!isOurs(thrown)) return this.#failed(LOG_AWAY, thrown)
    const { code, status } = thrown
    const isPassing = isExpected(code)
    const { cause = isPassing ? undefined : thrown, retryAfterMs = isPassing ? RETRY_AFTER_MS : undefined } = thrown
    const told = { status, ...(retryAfterMs !== undefined && { retryAfterMs: this.#spread(retryAfterMs) }) }
    return new HubError(code, LOG_AWAY, cause === undefined ? told : { ...told, cause })
  }

  /** What was thrown on the way to an answer. An application that says itself when to come back is taken at its word. */
  ofRequest(thrown: unknown): HubError {
    return isOurs(thrown) ? thrown : this.#failed('The server could not authorize the request', thrown)
  }

  #failed(message: string, cause: unknown): HubError {
    return new HubError('UNAVAILABLE', message, { cause, retryAfterMs: this.#spread(RETRY_AFTER_MS) })
  }

  /** Half to one and a half of it. */
  #spread(ms: number): number {
    return Math.round(ms * (0.5 + this.random()))
  }
}

/** Nobody has to mend anything: it passes, and is not reported for each request. */
export function isExpected(code: HubError['code']): boolean {
  return code === 'UNAVAILABLE' || code === 'CLOSED'
}

/** By name: other libraries' errors have a code and a status too, and a message that is not for clients. One that throws as it is read is not ours. */
function isOurs(thrown: unknown): thrown is HubError {
  if (!(thrown instanceof Error)) return false
  try {
    const { name, code, status, message, retryAfterMs = 0 } = thrown as Partial<HubError>
    return (
      name === 'HubError' &&
      typeof code === 'string' &&
      typeof message === 'string' &&
      Number.isFinite(retryAfterMs) &&
      typeof status === 'number' &&
      status >= 400 &&
      status <= 599
    )
  } catch {
    return false
  }
}
