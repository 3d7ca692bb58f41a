import type { Rounds } from '../feed/rounds'

/** Publishes, and their bytes, between two rounds of writing that resolve at once. */
const EVENTS_A_ROUND = 128
const BYTES_A_ROUND = 262_144

/**
 * Where the log answers at once, a loop of `await hub.publish(…)` never leaves its turn of the event loop: no socket is read or written,
 * and every reader falls behind, however fast it is. So after some events a publish resolves with the next round of writing.
 */
export class Pace {
  #events = 0
  #bytes = 0
  #next: Promise<void> | undefined

  constructor(readonly rounds: Rounds) {}

  /** Counts an event. The result is to be waited for, where there is one. */
  take(bytes: number): Promise<void> | undefined {
    this.#next ??= this.rounds.next().then(() => {
      this.#next = undefined
      this.#events = 0
      this.#bytes = 0
    })
    this.#events++
    this.#bytes += bytes
    return this.#events > EVENTS_A_ROUND || this.#bytes > BYTES_A_ROUND ? this.#next : undefined
  }
}
