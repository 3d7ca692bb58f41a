import type { Clock } from '../../src/seams/ports'

/** Lets everything run that waits for promises only. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await undefined
}

interface Timer {
  readonly at: number
  readonly number: number
  readonly task: () => void
}

/** Time that passes only when a test says so. Timers run in the order of their times, then of their making. */
export class VirtualClock implements Clock {
  #now = Date.UTC(2026, 0, 1)
  /** The machine's own count, by which timers run: it stands still while the machine sleeps. */
  #awake = 0
  #made = 0
  readonly #timers = new Set<Timer>()

  /** How many timers wait. */
  get pending(): number {
    return this.#timers.size
  }

  now(): number {
    return this.#now
  }

  after(delayMs: number, task: () => void): () => void {
    const timer = { at: this.#awake + delayMs, number: this.#made++, task }
    this.#timers.add(timer)
    return () => this.#timers.delete(timer)
  }

  /** Lets `ms` pass, with whatever is due in between. */
  async advance(ms: number): Promise<void> {
    await settle()
    const end = this.#awake + ms
    for (;;) {
      const next = [...this.#timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at || a.number - b.number)[0]
      const to = next?.at ?? end
      this.#now += to - this.#awake
      this.#awake = to
      if (!next) break
      this.#timers.delete(next)
      next.task()
      await settle()
    }
  }

  /** The machine sleeps: the clock on the wall goes on, timers do not. A negative time sets the clock back. */
  sleep(ms: number): void {
    this.#now += ms
  }
}
