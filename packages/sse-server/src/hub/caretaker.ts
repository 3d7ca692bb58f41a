import type { Connection } from '../feed/connection'
import type { Clock } from '../seams/ports'

/** What the caretaker looks after. */
export interface Charges {
  /** Those that are open, and those on their way out. */
  connections(): Iterable<Connection>[]
  /** A heartbeat is due; without heartbeats, whatever else is done at their pace. */
  beat(connection: Connection): void
  /** Once a round, after the connections. Whether anything is left that needs another round. */
  tidy(now: number): boolean
}

/** How often `reauthorize` is asked where heartbeats are off, in milliseconds: as often as by default. */
const WITHOUT_HEARTBEATS_MS = 15_000

/**
 * The one timer of a hub: heartbeats, expiry, stalled sockets, rotation and idle feeds, however many connections there are.
 */
export class Caretaker {
  #cancel: (() => void) | undefined
  #lastRound: number
  readonly #roundMs: number
  readonly #beatMs: number

  constructor(
    readonly clock: Clock,
    readonly heartbeatMs: number,
    readonly stallTimeoutMs: number,
    readonly charges: Charges,
    longestRoundMs = 1_000,
  ) {
    this.#roundMs = Math.max(20, Math.min(longestRoundMs, (heartbeatMs || 1_000) / 4, stallTimeoutMs / 4))
    this.#beatMs = heartbeatMs || WITHOUT_HEARTBEATS_MS
    this.#lastRound = clock.monotonic()
  }

  /** When the next heartbeat of a connection is due. */
  beatAfter(now: number): number {
    return now + this.#beatMs
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
    if (now < connection.beatAt || connection.ended) return
    // Those that came in one moment beat in one moment, and share the frame.
    connection.beatAt = this.beatAfter(now)
    this.charges.beat(connection)
  }
}
