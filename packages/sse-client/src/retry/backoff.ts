import type { Random } from '../seams/ports'

const BASE_MS = 1_000
const CAP_MS = 30_000
const FLOOR_MS = 100
/** A thousand clients whose streams are rotated together still come back one after the other. */
const SOON_MS = 500
/** The longest that a server may keep us away. */
const LONGEST_MINIMUM_MS = 300_000

/**
 * How long to wait before the next attempt: full jitter over 1, 2, 4 … 30 s, on top of the minimum that the server asked for.
 * A minimum without jitter would bring all clients back in the same millisecond.
 */
export class Backoff {
  readonly #random: Random
  #failures = 0
  #hurried = false

  constructor(random: Random) {
    this.#random = random
  }

  /** The next delay. The window doubles with each call, until `reset`. */
  next(minimumMs: number): number {
    const windowMs = Math.min(CAP_MS, BASE_MS * 2 ** this.#failures++)
    return clampMinimum(minimumMs) + Math.max(FLOOR_MS, windowMs * this.#random())
  }

  /** A short delay where the server wants us back, once until `reset`: one that ends every stream at once gets the growing delays. */
  soon(): number {
    if (this.#hurried) return this.next(0)
    this.#hurried = true
    return SOON_MS * this.#random()
  }

  /** After a stream that has held. */
  reset(): void {
    this.#failures = 0
    this.#hurried = false
  }
}

/** A minimum from `Retry-After` or `retry:`, bounded to 5 minutes: a hostile one cannot freeze the page. */
export function clampMinimum(minimumMs: number): number {
  return Math.min(minimumMs, LONGEST_MINIMUM_MS)
}
