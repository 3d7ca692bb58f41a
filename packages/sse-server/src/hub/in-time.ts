import type { Clock } from '../seams/ports'
import { HubError } from './error'

/** Nobody waits longer for an answer of the application, or of the log, in milliseconds: requests must not hang with them. */
const PATIENCE_MS = 10_000
/** Who was refused so is to come back after this, in milliseconds. */
const RETRY_AFTER_MS = 5_000

/**
 * The answer, if it is in time. What comes late is nobody's, also an error.
 *
 * @throws HubError `UNAVAILABLE`, as a rejection
 */
export function inTime<Answer>(clock: Clock, answer: PromiseLike<Answer>, late: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const cancel = clock.after(PATIENCE_MS, () =>
      reject(new HubError('UNAVAILABLE', late, { retryAfterMs: RETRY_AFTER_MS })),
    )
    answer.then(
      (value) => {
        cancel()
        resolve(value)
      },
      (error) => {
        cancel()
        reject(error)
      },
    )
  })
}
