import type { SubscriberError } from './error'
import type { ConnectionState } from './phase'

/** Everything that a UI shows of a connection, at one moment. It never changes: another moment is another object. */
export interface ConnectionSnapshot {
  readonly state: ConnectionState
  /** Which attempt this is, or which comes after the wait: 1 for the first, and for the first after a stream that has held for 10 s. 0 before. */
  readonly attempt: number
  /** When the next attempt is due, in milliseconds since 1970. Only while it is waited for. */
  readonly nextRetryAt: number | undefined
  /**
   * When handlers were last given an event, in milliseconds since 1970, as it was when the rest of the snapshot last changed: events
   * alone make no new snapshot, so that a busy stream renders nothing. `subscriber.lastEventAt` is always exact.
   */
  readonly lastEventAt: number | undefined
  /** What the connection last failed with, until it is live again or `connect()` is called. A handler that throws is not among it. */
  readonly error: SubscriberError | undefined
  /** Nothing comes before `connect()`: it was not called yet, or `close()` was, or the server has stopped it. False while it is only paused. */
  readonly closed: boolean
  /** `single`: this subscriber has the stream to itself. `leader` and `follower`: it shares one with other tabs. */
  readonly role: 'single' | 'leader' | 'follower'
}

/** The one before, for as long as it says the same. */
export function nextSnapshot(last: ConnectionSnapshot | undefined, now: ConnectionSnapshot): ConnectionSnapshot {
  const names = Object.keys(now) as (keyof ConnectionSnapshot)[]
  const isSame = last && names.every((name) => name === 'lastEventAt' || last[name] === now[name])
  return isSame ? last : Object.freeze(now)
}
