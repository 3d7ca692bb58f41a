import type { Connection } from '../feed/connection'
import { TOGETHER } from '../feed/reader'
import type { Clock } from '../seams/ports'

/** What the caretaker looks after. */
export interface Charges {
  /** Those that are looked at each round. Whoever is quiet again is taken out. */
  readonly watched: Set<Connection>
  /** Those on their way out: each round too. */
  readonly leaving: Iterable<Connection>
  /** A heartbeat is due; without heartbeats, whatever else is done at their pace. */
  beat(connection: Connection): void
  /** Once a round, after the connections. Whether anything is left that needs another round. */
  tidy(now: number): boolean
}

/** Connections whose heartbeats are due together. */
interface Cohort {
  dueAt: number
  readonly members: Set<Connection>
}

/** How often `reauthorize` is asked where heartbeats are off, in milliseconds: as often as by default. */
const WITHOUT_HEARTBEATS_MS = 15_000
/** A timer may come a little early, and must not cost a whole round: this part of one. */
const EARLY = 1 / 16

/**
 * The one timer of a hub: heartbeats, expiry, stalled sockets, rotation and idle feeds, however many connections there are. One that is
 * quiet is touched only when its heartbeat is due: of thousands none is in the processor's cache, and a look is most of what it costs.
 */
export class Caretaker {
  #cancel: (() => void) | undefined
  #lastRound: number
  readonly #roundMs: number
  readonly #beatMs: number
  /** The next to be due comes first. */
  readonly #cohorts: Cohort[] = []

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

  /** Looks after one more connection, until it ends. Those that come within a round beat together, and share the frame. */
  take(connection: Connection, now: number): void {
    const dueAt = now + this.#beatMs
    let cohort = this.#cohorts.at(-1)
    if (!cohort || dueAt - cohort.dueAt >= this.#roundMs) {
      cohort = { dueAt, members: new Set() }
      this.#cohorts.push(cohort)
    }
    cohort.members.add(connection)
    connection.cohort = cohort.members
    if (!connection.isQuiet(this.#nextBeat(now))) this.charges.watched.add(connection)
    this.wake()
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

  /** When the next heartbeat is due at the latest. */
  #nextBeat(now: number): number {
    return now + this.#beatMs + this.#roundMs * 2
  }

  #schedule(): void {
    // What the last round took is a part of the time between them.
    const pauseMs = this.#lastRound + this.#roundMs - this.clock.monotonic()
    this.#cancel = this.clock.after(Math.max(this.#roundMs / 2, pauseMs), () => this.#round())
  }

  #round(): void {
    const now = this.clock.monotonic()
    // A process that was stopped must not blame its peers for the time in which it did not read.
    const sleptMs = Math.max(0, now - this.#lastRound - this.#roundMs * 2)
    this.#lastRound = now
    const { watched, leaving } = this.charges
    for (const connection of leaving) connection.check(now, this.stallTimeoutMs, sleptMs)
    for (const connection of watched) {
      connection.check(now, this.stallTimeoutMs, sleptMs)
      if (connection.isQuiet(this.#nextBeat(now))) watched.delete(connection)
    }
    this.#beat(this.#due(now), 0, now)
  }

  /** Those whose heartbeats are due. From now on they are one cohort. */
  #due(now: number): readonly Connection[] {
    let due: Cohort | undefined
    for (let next = this.#cohorts[0]; next && next.dueAt - now <= this.#roundMs * EARLY; next = this.#cohorts[0]) {
      this.#cohorts.shift()
      if (!due) due = next
      else {
        for (const connection of next.members) {
          due.members.add(connection)
          connection.cohort = due.members
        }
      }
    }
    if (!due || due.members.size === 0) return []
    due.dueAt = now + this.#beatMs
    this.#cohorts.push(due)
    return [...due.members]
  }

  /** Some in each turn of the event loop: between them sockets are read, and what is published goes out. */
  #beat(due: readonly Connection[], from: number, now: number): void {
    const to = from + TOGETHER
    const some = due.slice(from, to).filter((connection) => this.#look(connection, now))
    for (const connection of some) this.charges.beat(connection)
    if (to < due.length) {
      let goesOn = true
      this.#cancel = () => {
        goesOn = false
      }
      this.clock.defer(() => {
        if (goesOn) this.#beat(due, to, now)
      })
      return
    }
    this.#cancel = undefined
    if (this.charges.tidy(now)) this.#schedule()
  }

  /** Whether anything is to be done at its heartbeat. */
  #look(connection: Connection, now: number): boolean {
    if (!connection.isQuiet(this.#nextBeat(now)) && !connection.ended) {
      connection.check(now, this.stallTimeoutMs, 0)
      // Where the process stood still, this look may be its end; nobody would take it out again.
      if (!connection.ended) this.charges.watched.add(connection)
    }
    return connection.beats
  }
}
