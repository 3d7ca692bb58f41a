import type { Clock } from '../seams/ports'

/** A machine that sleeps stops its timers: a long wait looks at the clock this often, in milliseconds. */
const SLICE_MS = 5_000

/**
 * One wait, by the clock instead of by a timer: time asleep counts, and a clock that is set back costs a slice at most.
 * It can begin anew as often as bytes arrive, without touching a timer.
 */
export class Alarm {
  readonly #clock: Clock
  readonly delayMs: number
  readonly #task: () => void
  #passedMs = 0
  #seenAt: number
  #cancel: () => void

  constructor(clock: Clock, delayMs: number, task: () => void) {
    this.#clock = clock
    this.delayMs = delayMs
    this.#task = task
    this.#seenAt = clock.now()
    this.#cancel = this.#sleep()
  }

  /** Milliseconds since it was made or restarted. */
  get passedMs(): number {
    return this.#passedMs + Math.max(0, this.#clock.now() - this.#seenAt)
  }

  restart(): void {
    this.#passedMs = 0
    this.#seenAt = this.#clock.now()
  }

  cancel(): void {
    this.#cancel()
  }

  #sleep(): () => void {
    // Whole milliseconds: less than one may be nothing to a clock, and would be waited for again and again.
    const sliceMs = Math.ceil(Math.min(this.delayMs - this.#passedMs, SLICE_MS))
    return this.#clock.after(sliceMs, () => {
      const now = this.#clock.now()
      this.#passedMs += now < this.#seenAt ? sliceMs : now - this.#seenAt
      this.#seenAt = now
      if (this.#passedMs >= this.delayMs) this.#task()
      else this.#cancel = this.#sleep()
    })
  }
}
