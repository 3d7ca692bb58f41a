import type { Random } from '../seams/ports'

const BASE_MS = 1_000
const CAP_MS = 30_000
const FLOOR_MS = 100
/** A thousand clients whose streams are rotated together still come back one after the other. */
const SOON_MS = 500
/** The longest that a server may keep us away. */
const LONGEST_MINIMUM_MS = 300_000

export interface Backoff {
  /** The next delay. The window doubles with each call, until `reset`. */
  next(): number
  /** A short delay where the server wants us back, once until `reset`: one that ends every stream at once gets the growing delays. */
  soon(): number
  /** After a stream that has held. */
  reset(): void
}

/**
 * How long to wait before the next attempt: full jitter over 1, 2, 4 … 30 s. It comes on top of the minimum that the server asked for,
 * which without jitter would bring all clients back in the same millisecond.
 */
export function createBackoff(random: Random): Backoff {
  let failures = 0
  let hurried = false
  const next = () => Math.max(FLOOR_MS, Math.min(CAP_MS, BASE_MS * 2 ** failures++) * random())
  return {
    next,
    soon() {
      if (hurried) return next()
      hurried = true
      return SOON_MS * random()
    },
    reset() {
      failures = 0
      hurried = false
    },
  }
}

/** A minimum from `Retry-After` or `retry:`, bounded to 5 minutes: a hostile one cannot freeze the page. */
export function clampMinimum(minimumMs: number): number {
  return Math.min(minimumMs, LONGEST_MINIMUM_MS)
}
