import type { Clock } from '../seams/ports'

/** Nobody waits longer for the log, in milliseconds: requests must not hang with it. */
const PATIENCE_MS = 10_000

/** The answer, if it is in time; otherwise a rejection with what `late` gives. What comes after that is nobody's, also an error. */
export function inTime<Answer>(clock: Clock, answer: Promise<Answer>, late: () => Error): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const cancel = clock.after(PATIENCE_MS, () => reject(late()))
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
