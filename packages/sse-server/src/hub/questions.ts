import { Addresses } from '../registry/addresses'
import type { Addressed } from '../seams/exchange'
import type { Clock } from '../seams/ports'

/** An answer may take this long, in milliseconds. */
const TIMEOUT_MS = 10_000

/** A question that has not been answered. */
interface Question {
  readonly from: Addressed
  readonly askedAt: number
  /** It is no longer waited for. */
  readonly late: () => void
}

/**
 * The questions that requests wait for before they have a grant. All have the same time, so the oldest is the first to be late, and one timer
 * is enough for all of them.
 */
export class Questions {
  readonly #open = new Set<Question>()
  readonly #addresses: Addresses<Question>
  #cancel: (() => void) | undefined

  constructor(
    readonly clock: Clock,
    perIp: number,
  ) {
    this.#addresses = new Addresses(this.#open, perIp, ({ from }) => from)
  }

  get size(): number {
    return this.#open.size
  }

  /** Whether as many as may be are asked from that address. */
  isFull(from: Addressed): boolean {
    return this.#addresses.isFull(from)
  }

  /** The answer, if it comes in time; otherwise a rejection with what `late` gives. */
  wait<Answer>(answer: Promise<Answer>, from: Addressed, late: () => Error): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const question: Question = {
        from,
        askedAt: this.clock.monotonic(),
        late: () => reject(late()),
      }
      this.#open.add(question)
      this.#addresses.add(question)
      this.#cancel ??= this.clock.after(TIMEOUT_MS, this.#look)
      // Other libraries' may throw here, or hold another promise. Of the language's own it is the very same.
      Promise.resolve(answer).then(
        (given) => {
          this.#over(question)
          resolve(given)
        },
        (error) => {
          this.#over(question)
          reject(error)
        },
      )
    })
  }

  #stop(): void {
    this.#cancel?.()
    this.#cancel = undefined
  }

  #over(question: Question): void {
    if (!this.#open.delete(question)) return
    this.#addresses.remove(question)
    if (this.#open.size === 0) this.#stop()
  }

  readonly #look = (): void => {
    this.#cancel = undefined
    const now = this.clock.monotonic()
    for (const question of this.#open) {
      const leftMs = question.askedAt + TIMEOUT_MS - now
      if (leftMs > 0) {
        this.#cancel = this.clock.after(leftMs, this.#look)
        return
      }
      this.#over(question)
      question.late()
    }
  }
}

/** Whether the answer is still to come. Any object with a `then` counts, as with `await`. */
export function isPromise<Answer>(answer: Answer | Promise<Answer>): answer is Promise<Answer> {
  return typeof (answer as Partial<Promise<unknown>> | null | undefined)?.then === 'function'
}
