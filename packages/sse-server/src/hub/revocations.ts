import type { ConnectionFilter } from '../feed/connection'
import type { Grant } from './grant'

/** No request is asked about, granted and opened in more than this, in milliseconds. */
const KEPT_MS = 60_000

/**
 * Whose streams were ended lately, for good or not. A request that the application has granted, and that is not open yet, has no connection
 * that could be ended: it must not open.
 */
export class Revocations {
  /** By whom they mean, the oldest first: of several that mean the same the last one stands for all. */
  readonly #recent = new Map<string, { readonly moment: number; readonly at: number }>()
  #moment = 0
  /** The last of those that are remembered no more. */
  #forgotten = 0

  /** Later than every one before. Not a time: of two things in one tick of the clock it must be known which came first. */
  get moment(): number {
    return ++this.#moment
  }

  /** `now` is the monotonic clock's. */
  add({ projectId, userId, connectionId }: ConnectionFilter, now: number): void {
    for (const [key, { moment, at }] of this.#recent) {
      if (now - at < KEPT_MS) break
      this.#recent.delete(key)
      this.#forgotten = moment
    }
    // A connection's id is given when it opens: such a filter means no request on its way.
    if (connectionId !== undefined) return
    const key = keyOf(projectId, userId)
    this.#recent.delete(key)
    this.#recent.set(key, { moment: this.moment, at: now })
  }

  /** Whether a grant that the application was asked for at the moment `askedAt` may be older than what ended its streams. */
  undo({ projectId, userId }: Pick<Grant, 'projectId' | 'userId'>, askedAt: number): boolean {
    if (askedAt < this.#forgotten) return true
    if (this.#recent.size === 0) return false
    const keys = [keyOf(), keyOf(projectId)]
    if (userId !== undefined) keys.push(keyOf(undefined, userId), keyOf(projectId, userId))
    return keys.some((key) => (this.#recent.get(key)?.moment ?? 0) > askedAt)
  }
}

/** Ids are never empty, and hold no line break. */
function keyOf(projectId = '', userId = ''): string {
  return `${projectId}\n${userId}`
}
