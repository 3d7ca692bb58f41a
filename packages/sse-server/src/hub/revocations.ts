import type { ConnectionFilter } from '../feed/connection'
import type { Grant } from './grant'

/** No request is asked about, granted and opened in more than this, in milliseconds. */
const KEPT_MS = 60_000

/**
 * Whose streams were ended lately, for good or not. A request that the application has granted, and that is not open yet, has no connection
 * that could be ended: it must not open.
 */
export class Revocations {
  #recent: { readonly moment: number; readonly at: number; readonly filter: ConnectionFilter }[] = []
  #moment = 0
  /** The last of those that are remembered no more. */
  #forgotten = 0

  /** Later than every one before. Not a time: of two things in one tick of the clock it must be known which came first. */
  get moment(): number {
    return ++this.#moment
  }

  /** `now` is the monotonic clock's. */
  add(filter: ConnectionFilter, now: number): void {
    this.#recent = this.#recent.filter(({ at, moment }) => {
      const isRecent = now - at < KEPT_MS
      if (!isRecent) this.#forgotten = moment
      return isRecent
    })
    // A connection's id is given when it opens: such a filter means no request on its way.
    if (filter.connectionId !== undefined) return
    this.#recent.push({ moment: this.moment, at: now, filter: { ...filter } })
  }

  /** Whether a grant that the application was asked for at the moment `askedAt` may be older than what ended its streams. */
  undo({ projectId, userId }: Grant, askedAt: number): boolean {
    if (askedAt < this.#forgotten) return true
    return this.#recent.some(
      ({ moment, filter }) =>
        moment > askedAt &&
        (filter.projectId === undefined || filter.projectId === projectId) &&
        (filter.userId === undefined || filter.userId === userId),
    )
  }
}
