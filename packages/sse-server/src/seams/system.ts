import { randomFillSync } from 'node:crypto'
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

const ID_BYTES = 12
/** Asked for in stock: the system's source costs the same for many ids as for one. */
const stock = Buffer.alloc(ID_BYTES * 256)
let used = stock.length

/** 96 random bits as 16 letters, digits, `-` and `_`: for epochs and connection ids, which nobody may guess. */
export function systemRandomId(): string {
  if (used === stock.length) {
    randomFillSync(stock)
    used = 0
  }
  used += ID_BYTES
  return stock.toString('base64url', used - ID_BYTES, used)
}
