import type { ResyncReason } from '@entitycast/sse-protocol'
import type { Ports } from '../seams/ports'

/** Why the data must be loaded again: the server's word, or `identity`: the option of that name says that somebody else looks at the page now. */
export type ResyncCause = ResyncReason | 'identity'

/** What `onResync` handlers are given. */
export interface Resync {
  readonly reason: ResyncCause
}

/** What a gate does. */
export interface GateListener {
  /** Tells the application. Where it takes time, the result settles when it is done; it never rejects. */
  tell(resync: Resync): Promise<unknown> | undefined
  /** Nothing is waited for any more: events may pass. */
  opened(): void
  /** One resync after the other. */
  looping(): void
}

export interface ResyncGate {
  /** Events must wait. */
  isShut(): boolean
  /** A resync is due: now, or as soon as it may be. */
  ask(reason: ResyncCause): void
  /**
   * Takes back what has not been told yet: without a stream there is no place that it could be told for. Handlers that run, run on; but
   * nobody waits for them once it is `closed`, and their resync is due again.
   *
   * @returns what must be told again before anything else is
   */
  recall(closed: boolean): ResyncCause | undefined
}

const MIN_INTERVAL_MS = 2_000
const MAX_INTERVAL_MS = 60_000
/** This many resyncs that had to wait for the one before are a loop. */
const LOOP = 4

/**
 * Tells resyncs, and keeps events back meanwhile. While handlers run, and until 2 s have passed since the last resync, the next one waits;
 * those that come meanwhile are one with it. Each that had to wait doubles the time, up to a minute, so that a server which cannot do
 * otherwise makes nobody load everything all the time; and by chance it is half as long or half as much again, since many pages are told at
 * the same moment.
 */
export function createResyncGate({ clock, random }: Ports, timeoutMs: number, to: GateListener): ResyncGate {
  let waiting: ResyncCause | undefined
  /** The resync whose handlers run: who is done with an older one opens nothing. */
  let running: Resync | undefined
  let cancel: (() => void) | undefined
  let lastAt = -MAX_INTERVAL_MS
  let intervalMs = MIN_INTERVAL_MS
  let delayed = 0

  const isShut = () => !!(running || waiting)

  function next(isDue?: boolean): void {
    cancel?.()
    if (!waiting) {
      to.opened()
      return
    }
    if (!isDue) {
      // A clock that was set back must not make anybody wait for longer.
      const waitMs = Math.min(lastAt + intervalMs - clock.now(), intervalMs)
      if (waitMs > 0) {
        intervalMs = Math.min(intervalMs * 2, MAX_INTERVAL_MS)
        cancel = clock.after(waitMs * (0.5 + random()), () => next(true))
        if (++delayed === LOOP) to.looping()
        return
      }
      intervalMs = MIN_INTERVAL_MS
      delayed = 0
    }
    const mine = { reason: waiting }
    running = mine
    waiting = undefined
    const told = to.tell(mine)
    const done = () => {
      if (running !== mine) return
      running = undefined
      lastAt = clock.now()
      next()
    }
    if (!told) done()
    // A handler may have closed.
    else if (running === mine) {
      cancel = clock.after(timeoutMs, done)
      void told.then(done)
    }
  }

  return {
    isShut,
    ask(reason) {
      const alone = !isShut()
      // What is shown is another user's: whatever else comes, that is what has to be told.
      if (waiting !== 'identity') waiting = reason
      if (alone) next()
    },
    recall(closed) {
      const reason = waiting
      waiting = undefined
      const told = running?.reason
      if (reason && !running) {
        cancel?.()
        // It has waited once, and will be asked for again.
        intervalMs = Math.max(intervalMs / 2, MIN_INTERVAL_MS)
        delayed--
      }
      if (!closed) return reason
      cancel?.()
      running = undefined
      return reason ?? told
    },
  }
}
