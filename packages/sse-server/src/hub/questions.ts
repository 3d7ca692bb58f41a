import { Addresses } from '../registry/addresses'
import type { Addressed } from '../seams/exchange'
import type { Clock } from '../seams/ports'

/** An answer may take this long, in milliseconds. */
const TIMEOUT_MS = 10_000

/** Who waits for the answer to a question. Of the two exactly one is called, once. */
export interface Waiting<Answer> {
  readonly from: Addressed
  answered(answer: Answer): void
  /** Also where the answer takes too long. */
  failed(error: unknown): void
}

/** A question that has not been answered. */
class Question {
  constructor(
    /** Any answer is one's own: nobody is told what somebody else has asked for. */
    readonly waiting: Waiting<never>,
    readonly askedAt: number,
    readonly late: () => Error,
  ) {}
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
    this.#addresses = new Addresses(this.#open, perIp, ({ waiting }) => waiting.from)
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
    return new Promise((answered, failed) => this.tell(answer, { from, answered, failed }, late))
  }

  /** The same without a promise: one each, for thousands who come at once. */
  tell<Answer>(answer: Promise<Answer>, waiting: Waiting<Answer>, late: () => Error): void {
    // Other libraries' may throw here, or hold another promise. Of the language's own it is the very same.
    const coming = Promise.resolve(answer)
    const question = new Question(waiting, this.clock.monotonic(), late)
    this.#open.add(question)
    this.#addresses.add(question)
    this.#cancel ??= this.clock.after(TIMEOUT_MS, this.#look)
    coming.then(
      (given) => {
        if (this.#over(question)) waiting.answered(given)
      },
      (error) => {
        if (this.#over(question)) waiting.failed(error)
      },
    )
  }

  /** Whether it was waited for until now. */
  #over(question: Question): boolean {
    if (!this.#open.delete(question)) return false
    this.#addresses.remove(question)
    if (this.#open.size === 0) this.#stop()
    return true
  }

  #stop(): void {
    this.#cancel?.()
    this.#cancel = undefined
  }

  readonly #look = (): void => {
    this.#cancel = undefined
    const now = this.clock.monotonic()
    for (const question of this.#open) {
      const leftMs = question.askedAt + TIMEOUT_MS - now
      if (leftMs > 0) {
        // Who was told just now may have asked again.
        this.#stop()
        this.#cancel = this.clock.after(leftMs, this.#look)
        return
      }
      this.#over(question)
      question.waiting.failed(question.late())
    }
  }
}

/** Whether the answer is still to come. Any object with a `then` counts, as with `await`. */
export function isPromise<Answer>(answer: Answer | Promise<Answer>): answer is Promise<Answer> {
  return typeof (answer as Partial<Promise<unknown>> | null | undefined)?.then === 'function'
}
