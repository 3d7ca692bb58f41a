import type { Clock } from '@entitycast/sse-client'

/** Lets everything run that waits for promises only. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 100; turn++) await undefined
}

interface Timer {
  readonly dueAt: number
  readonly task: () => void
}

/** Time that passes only when a test says so. */
export class VirtualClock implements Clock {
  #now = Date.UTC(2026, 0, 1)
  /** What timers run by: it stands still while the machine sleeps. */
  #awakeMs = 0
  /** In the order of their making, which decides between two that are due together. */
  readonly #timers = new Set<Timer>()

  /** How many timers wait. */
  get pending(): number {
    return this.#timers.size
  }

  now(): number {
    return this.#now
  }

  after(delayMs: number, task: () => void): () => void {
    const timer = { dueAt: this.#awakeMs + delayMs, task }
    this.#timers.add(timer)
    return () => this.#timers.delete(timer)
  }

  /** Lets the time pass, and runs whatever is due in it. */
  async advance(ms: number): Promise<void> {
    await settle()
    const end = this.#awakeMs + ms
    for (;;) {
      const due = [...this.#timers].filter(({ dueAt }) => dueAt <= end)
      const next = due.sort((a, b) => a.dueAt - b.dueAt)[0]
      const to = next?.dueAt ?? end
      this.#now += to - this.#awakeMs
      this.#awakeMs = to
      if (!next) return
      this.#timers.delete(next)
      next.task()
      await settle()
    }
  }

  /** The time on the wall passes, and no timer runs. */
  sleep(ms: number): void {
    this.#now += ms
  }
}
