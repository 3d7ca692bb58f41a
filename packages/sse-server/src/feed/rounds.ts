import type { Clock } from '../seams/ports'

/** Shortest and longest pause between two rounds, in milliseconds. What would be shorter is none: a timer would make it longer. */
const MIN_PAUSE_MS = 1
const MAX_PAUSE_MS = 50

/**
 * When connections are written to. What is published in one turn of the event loop goes out together, at the end of it. And writing
 * takes at most half of the time: the next round begins no sooner than as long after the last one as that one took, and takes along what was
 * published meanwhile. So a hub under load joins events instead of falling behind, and one with little to do waits for nothing.
 */
export class Rounds {
  #tasks = new Set<() => void>()
  #waiting: (() => void)[] = []
  #scheduled = false
  #resumeAt = Number.NEGATIVE_INFINITY

  constructor(readonly clock: Clock) {}

  /** Runs the task in the next round, once. */
  join(task: () => void): void {
    this.#tasks.add(task)
    if (this.#scheduled) return
    this.#scheduled = true
    const { clock } = this
    const pauseMs = this.#resumeAt - clock.monotonic()
    if (pauseMs >= MIN_PAUSE_MS) clock.after(pauseMs, this.#run)
    else clock.defer(this.#run)
  }

  /** Resolves after the next round; where none is due, with the next turn. */
  next(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#scheduled) this.#waiting.push(resolve)
      else this.clock.defer(resolve)
    })
  }

  readonly #run = (): void => {
    const tasks = this.#tasks
    const waiting = this.#waiting
    this.#tasks = new Set()
    this.#waiting = []
    this.#scheduled = false
    const began = this.clock.monotonic()
    try {
      for (const task of tasks) {
        tasks.delete(task)
        task()
      }
    } finally {
      // Only where one of them has thrown: the others are not to blame.
      for (const task of tasks) this.join(task)
      const ended = this.clock.monotonic()
      this.#resumeAt = ended + Math.min(ended - began, MAX_PAUSE_MS)
      for (const resolve of waiting) resolve()
    }
  }
}
