import type { Scheduler } from './scheduler'

/**
 * A process in virtual time: the server's, or a browser tab's. It can be stopped for a while (its tasks then run late, all at once) and
 * killed (they never run).
 */
export class Process {
  /** Until when it is stopped. */
  frozenUntil = 0
  alive = true
  /** Timers that are set. */
  timers = 0
  /** What its own wall clock is off by. */
  wallOffset = 0

  constructor(readonly scheduler: Scheduler) {}

  freeze(ms: number): void {
    this.frozenUntil = Math.max(this.frozenUntil, this.scheduler.time + ms)
  }

  kill(): void {
    this.alive = false
  }

  now(): number {
    return Math.round(this.scheduler.wallOffset + this.wallOffset + this.scheduler.time)
  }

  monotonic(): number {
    return this.scheduler.time
  }

  defer(task: () => void): void {
    this.run(0, task)
  }

  after(delayMs: number, task: () => void): () => void {
    this.timers++
    let open = true
    const done = () => {
      if (open) this.timers--
      open = false
    }
    const cancel = this.run(delayMs, () => {
      done()
      task()
    })
    return () => {
      done()
      cancel()
    }
  }

  /** Runs `task` after `delayMs`, when the process runs again, if it is alive then. */
  run(delayMs: number, task: () => void): () => void {
    let cancel = () => {}
    const attempt = () => {
      if (!this.alive) return
      if (this.scheduler.time < this.frozenUntil) cancel = this.scheduler.at(this.frozenUntil, attempt)
      else task()
    }
    cancel = this.scheduler.after(delayMs, attempt)
    return () => cancel()
  }
}
