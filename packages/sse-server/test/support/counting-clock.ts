import type { Clock } from '@entitycast/sse-server'

/** The process's own clock, which knows how many timers are set. */
export class CountingClock implements Clock {
  timers = 0
  /** Tasks that were deferred so far. */
  deferred = 0

  now(): number {
    return Date.now()
  }

  monotonic(): number {
    return performance.now()
  }

  defer(task: () => void): void {
    this.deferred++
    setImmediate(task)
  }

  after(delayMs: number, task: () => void): () => void {
    this.timers++
    let set = true
    const done = () => {
      if (set) this.timers--
      set = false
    }
    const timer = setTimeout(() => {
      done()
      task()
    }, delayMs)
    timer.unref()
    return () => {
      done()
      clearTimeout(timer)
    }
  }
}
