import type { ConnectionFilter } from '../feed/connection'
import { HubError } from '../hub/error'
import type { HubStats } from '../hub/tally'
import type { Adapter, LogEntry } from '../seams/adapter'
import { CONTROL_LOG } from '../seams/log-name'
import type { Ports } from '../seams/ports'
import { assertTimeoutMs, type ClusterStats, clusterStats, type InstanceStats } from './cluster-stats'
import { Follower } from './follower'
import { type ControlMessage, decodeMessage, encodeMessage } from './message'

/** The hub that is one of the peers. */
export interface Peer {
  /** Another instance ends streams: here too. */
  end(filter: unknown, reason: 'rotated' | 'revoked'): void
  /** What others ended may have been missed: nobody can tell who may still be here. */
  missed(): void
  stats(): HubStats
  /** The control log cannot be reached. */
  failed(error: unknown): void
}

interface Member {
  /** By this process's monotonic clock. */
  heardAt: number
  gone: boolean
  /** It said goodbye. */
  left: boolean
}

/** One that is gone is remembered for this long, in milliseconds, and at most so many are. */
const GONE_MS = 600_000
const MAX_MEMBERS = 10_000
/** A beat may be late, or two: an instance that was not heard for three is gone. */
const BEATS = 3

/**
 * The hubs on one adapter, as one of them sees it. They speak to each other by records in a log like any other, so each sees what all say in
 * one order, and knows when it may have missed something. With an adapter that is not shared there is nobody to speak to, and nothing is sent.
 */
export class Peers {
  readonly shared: boolean
  #instanceId: string | undefined
  readonly #follower: Follower
  readonly #members = new Map<string, Member>()
  readonly #questions = new Map<string, (answer: InstanceStats) => void>()
  #opening: Promise<void> | undefined
  #opened = false
  #greetedAt = 0
  /** When this instance said what it has last heard of itself. */
  #selfHeardAt = Number.NEGATIVE_INFINITY
  /** Since when it has heard each of its own beats. */
  #steadySince = 0
  #greeted = false
  #beatAt = 0
  #failing = false
  #closed = false

  constructor(
    readonly adapter: Adapter,
    readonly ports: Ports,
    /** Whoever was not heard for so long is gone, in milliseconds. */
    readonly ttlMs: number,
    readonly peer: Peer,
  ) {
    this.shared = adapter.manifest.shared
    this.#follower = new Follower(adapter, CONTROL_LOG, {
      entry: (entry) => this.#hear(entry),
      doubt: () => {
        this.#greeted = false
        peer.missed()
      },
    })
  }

  /** Random, and new with each start. */
  get instanceId(): string {
    this.#instanceId ??= `inst_${this.ports.randomId()}`
    return this.#instanceId
  }

  /**
   * Resolves when this instance hears what others end; no stream may open before. Rejects where the log cannot be opened, and the next call
   * tries again. Nothing where there is nothing to wait for.
   */
  ready(): Promise<void> | undefined {
    if (!this.shared || this.#opened) return undefined
    this.#opening ??= this.#open().finally(() => {
      this.#opening = undefined
    })
    return this.#opening
  }

  /** Beats, and tries again what failed. Called by the hub's one timer; `now` is the monotonic clock's. */
  tick(now: number): void {
    if (!this.shared || this.#closed) return
    if (!this.#opened) {
      this.ready()?.catch(() => {})
      return
    }
    if (!this.#greeted) this.#greet()
    else if (now >= this.#beatAt) {
      this.#beatAt = now + this.ttlMs / BEATS
      this.#say({ kind: 'alive', at: now })
    }
  }

  /** Whether an instance is gone: it said so, or was not heard for its time to live. One that is not known yet is given that time. */
  isGone(instanceId: string): boolean {
    if (instanceId === this.instanceId) return false
    return this.#member(instanceId).gone
  }

  /** An instance has said something in another log: it is there. */
  heard(instanceId: string): void {
    if (instanceId === this.instanceId) return
    const member = this.#member(instanceId)
    if (member.left) return
    member.heardAt = this.ports.clock.monotonic()
    member.gone = false
  }

  /** When an instance was last heard, by the monotonic clock. */
  heardAt(instanceId: string): number {
    return this.#member(instanceId).heardAt
  }

  /** Whether there is nobody else, as far as this instance can know: those who are there have had the time to answer its hello. */
  get alone(): boolean {
    if (!this.shared) return true
    const now = this.ports.clock.monotonic()
    const hearsItself = now - this.#selfHeardAt < this.ttlMs / 2
    return this.#greeted && hearsItself && now - this.#greetedAt >= 1_000 && this.#others().length === 0
  }

  /**
   * Has the others end their streams too. Resolves when that is in the log, and so will be seen by each.
   *
   * @throws HubError `UNAVAILABLE`, `CLOSED`
   */
  async end(filter: ConnectionFilter, reason: 'rotated' | 'revoked'): Promise<void> {
    if (!this.shared) return
    await this.#send({ kind: 'end', filter, reason })
  }

  /**
   * Asks every instance, and waits for those that are known for at most `timeoutMs`.
   *
   * @throws HubError `INVALID_OPTION`, `UNAVAILABLE`, `CLOSED`
   */
  async stats(timeoutMs: number): Promise<ClusterStats> {
    assertTimeoutMs(timeoutMs)
    const answers = new Map([[this.instanceId, this.peer.stats()]])
    const result = (missing: readonly string[]) =>
      clusterStats(
        [...answers].map(([instanceId, stats]) => ({ instanceId, stats })),
        missing,
      )
    if (!this.shared) return result([])
    const missing = () => this.#others().filter((instanceId) => !answers.has(instanceId))
    const question = this.ports.randomId()
    let cancel = () => {}
    try {
      const done = new Promise<void>((resolve) => {
        cancel = this.ports.clock.after(timeoutMs, resolve)
        this.#questions.set(question, ({ instanceId, stats }) => {
          answers.set(instanceId, stats)
          if (missing().length === 0) resolve()
        })
      })
      // A log that does not answer is not waited for any longer.
      await Promise.race([this.#send({ kind: 'ask', question }), done])
      // One that does not know of anybody yet waits too: whoever is there may only just not have been heard.
      if (!this.alone) await done
      return result(missing())
    } finally {
      cancel()
      this.#questions.delete(question)
    }
  }

  /** Says goodbye. Not to be waited for too long. */
  async close(): Promise<void> {
    const opened = this.#opened
    this.#closed = true
    this.#opened = false
    this.#follower.close()
    if (opened && this.adapter.status?.() !== 'degraded') await this.#append({ kind: 'bye' }).catch(() => {})
  }

  async #open(): Promise<void> {
    try {
      if (this.#closed) throw new HubError('CLOSED', 'The hub is closed')
      await this.#follower.open()
      if (this.#closed) throw new HubError('CLOSED', 'The hub is closed')
      this.#opened = true
      // What was ended before could not be heard here: it undoes whatever was granted before.
      this.peer.missed()
      this.#failing = false
      this.#greet()
    } catch (error) {
      // What a hub that ends does not open is no failure.
      if (!this.#failing && !this.#closed) this.peer.failed(error)
      this.#failing = true
      throw coded(error)
    }
  }

  #greet(): void {
    this.#greeted = true
    this.#greetedAt = this.ports.clock.monotonic()
    this.#beatAt = this.#greetedAt + this.ttlMs / BEATS
    this.#append({ kind: 'hello', at: this.#greetedAt }).catch(() => {
      this.#greeted = false
    })
  }

  /** Says what may as well be lost. */
  #say(message: Said): void {
    this.#append(message).catch(() => {})
  }

  async #send(message: Said): Promise<void> {
    if (this.#closed) throw new HubError('CLOSED', 'The hub is closed')
    try {
      await this.#append(message)
    } catch (error) {
      throw coded(error)
    }
  }

  async #append(message: Said): Promise<void> {
    await this.adapter.append(CONTROL_LOG, [encodeMessage({ ...message, from: this.instanceId } as ControlMessage)])
  }

  #hear({ record }: LogEntry): void {
    const message = decodeMessage(record) as ControlMessage | undefined
    if (!message) {
      // It may have been somebody's revocation.
      this.peer.missed()
      return
    }
    const { from } = message
    if (from === this.instanceId) {
      if ((message.kind === 'alive' || message.kind === 'hello') && typeof message.at === 'number') {
        this.#judge(message.at)
      }
      return
    }
    const member = this.#member(from)
    member.heardAt = this.ports.clock.monotonic()
    member.left = message.kind === 'bye'
    member.gone = member.left
    if (message.kind === 'hello') this.#say({ kind: 'alive' })
    else if (message.kind === 'end') this.peer.end(message.filter, message.reason)
    else if (message.kind === 'ask') {
      this.#say({ kind: 'answer', question: message.question, stats: this.peer.stats() })
    } else if (message.kind === 'answer') {
      this.#questions.get(message.question)?.({ instanceId: from, stats: message.stats ?? {} })
    }
  }

  /**
   * This instance's own beat has come back through the log: all that others said before it has been heard. So whoever has not been heard
   * is not here, and it is not this process that was cut off, or stood still. Only time in which its own beats came back counts: after the
   * log itself was away everybody is given the time to come back to it.
   */
  #judge(sentAt: number): void {
    // A beat is late by a round of the timer at most; here one is missing.
    if (sentAt - this.#selfHeardAt > this.ttlMs * 0.6) this.#steadySince = sentAt
    this.#selfHeardAt = sentAt
    for (const [instanceId, member] of this.#members) {
      if (Math.max(member.heardAt, this.#steadySince) < sentAt - this.ttlMs) member.gone = true
      if (member.heardAt < sentAt - this.ttlMs - GONE_MS) this.#members.delete(instanceId)
    }
  }

  #member(instanceId: string): Member {
    let member = this.#members.get(instanceId)
    if (!member) {
      member = { heardAt: this.ports.clock.monotonic(), gone: false, left: false }
      this.#members.set(instanceId, member)
      const [oldest] = this.#members.keys()
      if (this.#members.size > MAX_MEMBERS && oldest !== undefined) this.#members.delete(oldest)
    }
    return member
  }

  #others(): string[] {
    return [...this.#members].flatMap(([instanceId, { gone }]) => (gone ? [] : [instanceId]))
  }
}

type Said = ControlMessage extends infer Message
  ? Message extends { from: string }
    ? Omit<Message, 'from'>
    : never
  : never

/** An error that callers can tell by its code. */
function coded(error: unknown): Error {
  if (error instanceof Error && typeof (error as Partial<HubError>).code === 'string') return error
  return new HubError('UNAVAILABLE', 'The log cannot be reached', { cause: error, retryAfterMs: 1_000 })
}
