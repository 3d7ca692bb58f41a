import type { ResyncReason } from '@entitycast/sse-protocol'
import type { Clock } from '../seams/ports'

/** Why the data must be loaded again: the server's word, or `identity`: the option of that name says that somebody else looks at the page now. */
export type ResyncCause = ResyncReason | 'identity'

/** What `onResync` handlers are given. */
export interface Resync {
  readonly reason: ResyncCause
}

/** What a gate does. */
export interface GateListener {
  /** Tells the application. Where it takes time, the result settles when it is done; it never rejects. */
  tell(reason: ResyncCause): Promise<unknown> | undefined
  /** Nothing is waited for any more: events may pass. */
  opened(): void
  /** One resync after the other. */
  looping(): void
}

const MIN_INTERVAL_MS = 2_000
const MAX_INTERVAL_MS = 60_000
/** This many resyncs that had to wait for the one before are a loop. */
const LOOP = 4

/**
 * Tells resyncs, and keeps events back meanwhile. While handlers run, and until 2 s have passed since the last resync, the next one waits;
 * those that come meanwhile are one with it. Each that had to wait doubles the time, up to a minute, so that a server which cannot do
 * otherwise makes nobody load everything all the time.
 */
export class ResyncGate {
  readonly #clock: Clock
  readonly #timeoutMs: number
  readonly #to: GateListener
  #waiting: ResyncCause | undefined
  /** Of the resync whose handlers run: who is done with an older one opens nothing. */
  #running: object | undefined
  #told: ResyncCause | undefined
  #cancel: (() => void) | undefined
  #lastAt = Number.NEGATIVE_INFINITY
  #intervalMs = MIN_INTERVAL_MS
  #delayed = 0

  constructor(clock: Clock, timeoutMs: number, to: GateListener) {
    this.#clock = clock
    this.#timeoutMs = timeoutMs
    this.#to = to
  }

  /** Events must wait. */
  get shut(): boolean {
    return this.#running !== undefined || this.#waiting !== undefined
  }

  /** A resync is due: now, or as soon as it may be. */
  ask(reason: ResyncCause): void {
    const alone = !this.shut
    this.#waiting = reason
    if (alone) this.#next(false)
  }

  /** Takes back what has not been told yet: without a stream there is no place that it could be told for. Handlers that run, run on. */
  recall(): ResyncCause | undefined {
    const reason = this.#waiting
    this.#waiting = undefined
    if (reason && !this.#running) {
      this.#cancel?.()
      this.#cancel = undefined
      // It has waited once, and will be asked for again.
      this.#intervalMs = Math.max(this.#intervalMs / 2, MIN_INTERVAL_MS)
      this.#delayed--
    }
    return reason
  }

  /** Ends it without another word. The result is what must be told again before anything else is. */
  stop(): ResyncCause | undefined {
    const owed = this.#waiting ?? (this.#running && this.#told)
    this.#cancel?.()
    this.#cancel = this.#waiting = this.#running = undefined
    return owed
  }

  #next(delayed: boolean): void {
    this.#cancel?.()
    this.#cancel = undefined
    const reason = this.#waiting
    if (!reason) {
      this.#to.opened()
      return
    }
    const now = this.#clock.now()
    // A clock that was set back must not make anybody wait for longer.
    const waitMs = Math.min(this.#lastAt + this.#intervalMs - now, this.#intervalMs)
    if (waitMs > 0 && !delayed) {
      this.#intervalMs = Math.min(this.#intervalMs * 2, MAX_INTERVAL_MS)
      this.#cancel = this.#clock.after(waitMs, () => this.#next(true))
      if (++this.#delayed === LOOP) this.#to.looping()
      return
    }
    if (!delayed) {
      this.#intervalMs = MIN_INTERVAL_MS
      this.#delayed = 0
    }
    this.#waiting = undefined
    this.#told = reason
    const mine = {}
    this.#running = mine
    const running = this.#to.tell(reason)
    // A handler may have closed.
    if (this.#running !== mine) return
    const done = () => {
      if (this.#running !== mine) return
      this.#running = undefined
      this.#lastAt = this.#clock.now()
      this.#next(false)
    }
    if (!running) done()
    else {
      this.#cancel = this.#clock.after(this.#timeoutMs, done)
      void running.then(done)
    }
  }
}
