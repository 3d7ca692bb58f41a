import type { Scheduler } from './scheduler'

/**
 * A process in virtual time: the server's, or a browser tab's. It can be stopped for a while (its tasks then run late, all at once) and
 * killed (they never run).
 */
export class Process {
  alive = true
  /** Timers that are set. */
  timers = 0
  /** Since when it has run without being stopped. */
  runsSince: number
  /** What its own wall clock is off by, and how often that has changed. */
  #wallOffset = 0
  jumps = 0
  /** What came due while it is stopped, in order; undefined while it runs. */
  #late: (() => void)[] | undefined
  #wakeAt = 0

  constructor(readonly scheduler: Scheduler) {
    this.runsSince = scheduler.time
  }

  /** Whether it stands still. */
  get stopped(): boolean {
    return this.#late !== undefined
  }

  /** Its wall clock is set to another time. */
  jump(ms: number): void {
    this.#wallOffset += ms
    this.jumps++
  }

  /** Stops it for a while. */
  freeze(ms: number): void {
    this.#late ??= []
    const wakeAt = this.scheduler.time + ms
    if (wakeAt <= this.#wakeAt) return
    this.#wakeAt = wakeAt
    this.scheduler.at(wakeAt, () => {
      if (this.#wakeAt === wakeAt) this.wake()
    })
  }

  /** It runs again: first what is late, and whatever comes meanwhile waits behind that. */
  wake(): void {
    this.#wakeAt = 0
    const next = () => {
      const task = this.#late?.shift()
      if (this.#late?.length === 0) {
        this.#late = undefined
        this.runsSince = this.scheduler.time
      }
      task?.()
      if (this.#late && this.#wakeAt === 0) this.scheduler.at(this.scheduler.time, next)
    }
    this.scheduler.at(this.scheduler.time, next)
  }

  kill(): void {
    this.alive = false
  }

  now(): number {
    return Math.round(this.scheduler.wallOffset + this.#wallOffset + this.scheduler.time)
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

  /** Runs `task` now, or when the process runs again. */
  enter(task: () => void): void {
    if (this.#late)
      this.#late.push(() => {
        if (this.alive) task()
      })
    else if (this.alive) task()
  }

  /** Runs `task` after `delayMs`, when the process runs again, if it is alive then. */
  run(delayMs: number, task: () => void): () => void {
    let cancelled = false
    const due = () => {
      if (this.alive && !cancelled) task()
    }
    const cancel = this.scheduler.after(delayMs, () => {
      if (this.#late) this.#late.push(due)
      else due()
    })
    return () => {
      cancelled = true
      cancel()
    }
  }
}
