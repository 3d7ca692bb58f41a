import type { Clock } from '@entitycast/sse-server'

interface Timer {
  readonly dueAt: number
  readonly order: number
  readonly task: () => void
}

/**
 * Time that moves only when a test says so. What is due runs in order of its time, and promises settle between any two tasks, so
 * that a test sees what a process with nothing else to do would see.
 */
export class VirtualClock implements Clock {
  #monotonic = 1_000
  #wall = Date.UTC(2026, 0, 31, 9, 30)
  #order = 0
  readonly #timers = new Set<Timer>()
  #deferred: (() => void)[] = []

  now(): number {
    return this.#wall
  }

  monotonic(): number {
    return this.#monotonic
  }

  defer(task: () => void): void {
    this.#deferred.push(task)
  }

  after(delayMs: number, task: () => void): () => void {
    const timer = { dueAt: this.#monotonic + Math.max(0, delayMs), order: this.#order++, task }
    this.#timers.add(timer)
    return () => {
      this.#timers.delete(timer)
    }
  }

  /** Timers that are set. */
  get timers(): number {
    return this.#timers.size
  }

  /** Lets every promise settle and runs what was deferred, until nothing is left. No time passes. */
  async settle(): Promise<void> {
    for (;;) {
      await microtasks()
      const tasks = this.#deferred
      if (tasks.length === 0) return
      this.#deferred = []
      for (const task of tasks) {
        task()
        await microtasks()
      }
    }
  }

  /** Lets time pass, on both clocks. */
  async advance(ms: number): Promise<void> {
    await this.settle()
    const end = this.#monotonic + ms
    for (let next = this.#next(end); next; next = this.#next(end)) {
      this.#pass(next.dueAt)
      this.#timers.delete(next)
      next.task()
      await this.settle()
    }
    this.#pass(end)
  }

  /** The system's clock is set forward or back; nothing else has happened. */
  jump(ms: number): void {
    this.#wall += ms
  }

  /** The process is stopped and goes on `ms` later, when everything that came due meanwhile is late. */
  async freeze(ms: number): Promise<void> {
    this.#pass(this.#monotonic + ms)
    await this.advance(0)
  }

  /** Time passes and timers run, and what was deferred still waits: an event loop runs timers first. */
  async elapse(ms: number): Promise<void> {
    await microtasks()
    const end = this.#monotonic + ms
    for (let next = this.#next(end); next; next = this.#next(end)) {
      this.#pass(next.dueAt)
      this.#timers.delete(next)
      next.task()
      await microtasks()
    }
    this.#pass(end)
  }

  #pass(to: number): void {
    if (to <= this.#monotonic) return
    this.#wall += to - this.#monotonic
    this.#monotonic = to
  }

  #next(end: number): Timer | undefined {
    let next: Timer | undefined
    for (const timer of this.#timers) {
      if (timer.dueAt > end) continue
      if (!next || timer.dueAt < next.dueAt || (timer.dueAt === next.dueAt && timer.order < next.order)) next = timer
    }
    return next
  }
}

/** Resolves when no microtask is left: the event loop has then come round once. */
function microtasks(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}
