import type { ConnectionFilter } from '../feed/connection'
import type { Grant } from './grant'

/** No request is asked about, granted and opened in more than this, in milliseconds. */
const KEPT_MS = 60_000

/**
 * What was revoked lately. A request that the application has granted, and that is not open yet, has no connection that could be ended:
 * it must not open.
 */
export class Revocations {
  #recent: { readonly at: number; readonly filter: ConnectionFilter }[] = []

  /** `now` is the monotonic clock's. */
  add(filter: ConnectionFilter, now: number): void {
    this.#recent = this.#recent.filter(({ at }) => now - at < KEPT_MS)
    // A connection's id is given when it opens: such a filter means no request on its way.
    if (filter.connectionId === undefined) this.#recent.push({ at: now, filter: { ...filter } })
  }

  /** Whether a grant that the application was asked for at `askedAt` may be older than a revocation of it. */
  undo({ projectId, userId }: Grant, askedAt: number): boolean {
    return this.#recent.some(
      ({ at, filter }) =>
        at >= askedAt &&
        (filter.projectId === undefined || filter.projectId === projectId) &&
        (filter.userId === undefined || filter.userId === userId),
    )
  }
}
