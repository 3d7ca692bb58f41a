import { randomBytes } from 'node:crypto'
import type { Clock, Random } from './ports'

/** The process's own clock. Its timers never keep the process alive. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  defer: (task) => {
    setImmediate(task)
  },
  after: (delayMs, task) => {
    const timer = setTimeout(task, delayMs)
    timer.unref()
    return () => clearTimeout(timer)
  },
}

export const systemRandom: Random = Math.random

/** 96 random bits as 16 letters, digits, `-` and `_`: for epochs and connection ids, which nobody may guess. */
export function systemRandomId(): string {
  return randomBytes(12).toString('base64url')
}
