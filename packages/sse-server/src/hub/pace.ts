import type { Clock } from '../seams/ports'

/** Publishes, and their bytes, that resolve in the turn of the event loop in which they were made. */
const EVENTS_A_TURN = 128
const BYTES_A_TURN = 262_144

/**
 * Where the log answers at once, a loop of `await hub.publish(…)` never leaves its turn of the event loop: no socket is read or written,
 * and every reader falls behind, however fast it is. So after some events a publish resolves with the next turn.
 */
export class Pace {
  #events = 0
  #bytes = 0
  #nextTurn: Promise<void> | undefined

  constructor(readonly clock: Clock) {}

  /** Counts an event. The result is to be waited for, where there is one. */
  take(bytes: number): Promise<void> | undefined {
    this.#nextTurn ??= new Promise((resolve) => {
      this.clock.defer(() => {
        this.#nextTurn = undefined
        this.#events = 0
        this.#bytes = 0
        resolve()
      })
    })
    this.#events++
    this.#bytes += bytes
    return this.#events > EVENTS_A_TURN || this.#bytes > BYTES_A_TURN ? this.#nextTurn : undefined
  }
}
