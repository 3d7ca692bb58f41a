import type { Connection } from '../feed/connection'
import type { Clock } from '../seams/ports'

/** What the caretaker looks after. */
export interface Charges {
  /** Those that are open, and those on their way out. */
  connections(): Iterable<Connection>[]
  /** A heartbeat is due. */
  beat(connection: Connection): void
  /** Once a round, after the connections. Whether anything is left that needs another round. */
  tidy(now: number): boolean
}

/**
 * The one timer of a hub: heartbeats, expiry, stalled sockets, rotation and idle feeds, however many connections there are.
 */
export class Caretaker {
  #cancel: (() => void) | undefined
  #lastRound: number
  readonly #roundMs: number

  constructor(
    readonly clock: Clock,
    readonly heartbeatMs: number,
    readonly stallTimeoutMs: number,
    readonly charges: Charges,
    longestRoundMs = 1_000,
  ) {
    this.#roundMs = Math.max(20, Math.min(longestRoundMs, (heartbeatMs || 1_000) / 4, stallTimeoutMs / 4))
    this.#lastRound = clock.monotonic()
  }

  /** Starts the timer, which a hub with nothing open does not need. */
  wake(): void {
    if (this.#cancel) return
    this.#lastRound = this.clock.monotonic()
    this.#schedule()
  }

  stop(): void {
    this.#cancel?.()
    this.#cancel = undefined
  }

  #schedule(): void {
    this.#cancel = this.clock.after(this.#roundMs, () => {
      this.#cancel = undefined
      this.#round()
    })
  }

  #round(): void {
    const now = this.clock.monotonic()
    // A process that was stopped must not blame its peers for the time in which it did not read.
    const sleptMs = Math.max(0, now - this.#lastRound - this.#roundMs * 2)
    this.#lastRound = now
    for (const connections of this.charges.connections()) {
      for (const connection of connections) this.#look(connection, now, sleptMs)
    }
    if (this.charges.tidy(now)) this.#schedule()
  }

  #look(connection: Connection, now: number, sleptMs: number): void {
    connection.check(now, this.stallTimeoutMs, sleptMs)
    if (this.heartbeatMs === 0 || now < connection.beatAt || connection.ended) return
    connection.beatAt = now + this.heartbeatMs
    this.charges.beat(connection)
  }
}
