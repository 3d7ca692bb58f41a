import type { Peers } from '../peers/peers'
import type { Adapter } from '../seams/adapter'
import { presenceLog } from '../seams/log-name'
import type { Ports } from '../seams/ports'
import { Journal } from './journal'
import { LocalUsers } from './local-users'
import { encodePresence, type PresenceMessage, type StatePart, type Telling } from './message'
import type { PresenceHost, PresentUser } from './present-user'
import type { Entry } from './roster'
import { Speech } from './speech'
import { Teller } from './teller'

/** Whoever asks for the state and is not answered for so long, in milliseconds, begins anew: nobody is there who knows it. */
const PATIENCE_MS = 5_000
/** Where the leader does not answer for so long, in milliseconds, another one who knows does. */
const SECOND_MS = 1_000
/** A room that nobody is in and nobody asks about is left after this, in milliseconds. */
const IDLE_MS = 60_000
/** A state is written again after so many records, so that one who comes finds one. */
const RECORDS_A_STATE = 100
/** What this instance holds is said again at most so often where the log says otherwise, in milliseconds. */
const AGAIN_MS = 1_000
/** What could not be done is tried again after this, in milliseconds. */
const RETRY_MS = 500
/** Events that are published together at most. */
const MAX_TELLING = 200

/** What all rooms of a hub have in common. */
export interface RoomSurroundings {
  readonly adapter: Adapter
  readonly ports: Ports
  readonly peers: Peers
  readonly host: PresenceHost
  readonly graceMs: number
  readonly channel: string
  /** The age at which records expire, in milliseconds. */
  readonly retentionMs: number
}

/**
 * Presence in one project, as one instance has a part in it. All instances say in the project's presence log which users they hold, and one
 * of them, the leader, publishes what comes of it: first it says in that log what it is about to tell, then it does, then it says that it
 * has. Who leads is decided by the log's order, so that there is one; where it is gone, the next one finishes what it has begun.
 */
export class Room {
  readonly users = new LocalUsers()
  /** Streams of this instance, with or without a user: they are told of the others' users. */
  streams = 0
  readonly #journal: Journal
  readonly #teller: Teller
  readonly #speech: Speech
  #isOpen = false
  #isWorking = false
  /** Something has happened while it was working. */
  #workAgain = false
  #isClosed = false
  /** What this instance holds must be said as a whole. */
  #mustList = false
  /** The end of what this instance has said last: nothing more is decided before that has been heard. */
  #saidTo = 0
  /** It is on its way into the log. */
  #isSaying = false
  #listedAt = Number.NEGATIVE_INFINITY
  #helloAt: number | undefined
  #helloOffset = 0
  /** Who asks for the state, since when, and from where on. */
  readonly #asking = new Map<string, { readonly offset: number; readonly at: number }>()
  /** What this instance has said it is about to tell, when that was heard. */
  #own: { readonly telling: Telling; readonly heardAt: number } | undefined
  #recordsSinceState = 0
  #stateAt: number
  #usedAt: number
  readonly #waiting = new Set<() => void>()
  #retryAt = 0

  constructor(
    readonly projectId: string,
    readonly around: RoomSurroundings,
  ) {
    const { adapter, ports } = around
    this.#usedAt = this.#stateAt = ports.clock.monotonic()
    this.#teller = new Teller(adapter, projectId, around.channel)
    this.#speech = new Speech(this.#me, adapter.manifest.maxRecordBytes, () =>
      new Date(ports.clock.now()).toISOString(),
    )
    this.#journal = new Journal(adapter, presenceLog(projectId), ports.clock, {
      heard: (message, offset, isNew) => {
        if (isNew) around.peers.heard(message.from)
        if (isNew && message.from === this.#me && !this.#isSaying && offset > this.#saidTo) this.#mustList = true
        this.#heard(message, offset)
      },
      synced: () => {
        this.#mustList = true
      },
      settled: () => this.work(),
      doubted: () => {
        this.#saidTo = 0
        this.#helloAt = undefined
        this.#own = undefined
        this.#retryAt = 0
        this.work()
      },
    })
  }

  /** Who is there. Rejects where that is not known within the time. */
  async present(timeoutMs: number): Promise<PresentUser[]> {
    const { clock } = this.around.ports
    this.#usedAt = clock.monotonic()
    const deadline = this.#usedAt + timeoutMs
    this.work()
    while (!this.#isCurrent) {
      const leftMs = deadline - clock.monotonic()
      if (leftMs <= 0 || this.#isClosed) throw this.around.host.unavailable()
      await new Promise<void>((resolve) => {
        const wake = () => {
          cancel()
          this.#waiting.delete(wake)
          resolve()
        }
        const cancel = clock.after(leftMs, wake)
        this.#waiting.add(wake)
      })
    }
    const { peers } = this.around
    const now = clock.monotonic()
    const isThere = ({ holders, until }: Entry) =>
      holders.length > 0 ? !holders.every((holder) => peers.isGone(holder)) : until > now
    return [...this.#journal.roster.users]
      .flatMap(([userId, entry]) => (isThere(entry) ? { userId, since: entry.since } : []))
      .sort((a, b) => (a.since < b.since ? -1 : a.since > b.since ? 1 : 0))
  }

  /** Once a round of the hub's one timer. Whether the room may be left. */
  tick(now: number): boolean {
    this.users.tick(now)
    if (this.streams + this.users.size > 0) this.#usedAt = now
    const isIdle = now - this.#usedAt > IDLE_MS && !this.#isWorking && !this.users.changed && this.#mayLeave
    if (!isIdle) this.work()
    return isIdle
  }

  /** Does what there is to do, one thing after the other, each only when the one before is in the log. */
  work(): void {
    if (this.#isClosed) return
    if (this.#isWorking) {
      this.#workAgain = true
      return
    }
    this.#isWorking = true
    this.#workAgain = false
    // What else happens in this turn goes with it.
    this.around.ports.clock.defer(() => void this.#work())
  }

  /** Says that nobody is here any more, and what it knows where it is the one who knows. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#wake()
    const journal = this.#journal
    try {
      if (!this.#isOpen) return
      const leads = journal.isSynced && journal.roster.leader === this.#me
      const messages = this.#list([])
      if (leads) messages.push({ kind: 'resign', from: this.#me }, ...this.#state({ asOf: journal.last }))
      if (leads || this.users.size > 0 || journal.roster.held.has(this.#me)) await this.#append(messages)
    } finally {
      journal.close()
    }
  }

  get #me(): string {
    return this.around.peers.instanceId
  }

  /** Whether the roster is known, and holds all that this instance has to say. */
  get #isCurrent(): boolean {
    const { isSynced } = this.#journal
    return this.#isOpen && isSynced && this.#hasHeardItself && !this.#isSaying && !this.#mustList && !this.users.changed
  }

  get #hasHeardItself(): boolean {
    return this.#journal.last >= this.#saidTo
  }

  /** Whether nobody needs this instance here: it does not lead, or all is told, or another one can. */
  get #mayLeave(): boolean {
    const { roster, isSynced } = this.#journal
    if (!isSynced || roster.leader !== this.#me || roster.users.size === 0) return true
    return [...roster.held.keys()].some((holder) => holder !== this.#me && !this.around.peers.isGone(holder))
  }

  async #work(): Promise<void> {
    const { clock } = this.around.ports
    try {
      while (!this.#isClosed && clock.monotonic() >= this.#retryAt && (await this.#step()));
    } catch (error) {
      this.#pause()
      this.around.host.failed(error)
    } finally {
      this.#isWorking = false
      this.#wake()
      if (this.#workAgain && clock.monotonic() >= this.#retryAt) this.work()
    }
  }

  /** One step. Whether there may be another one. */
  async #step(): Promise<boolean> {
    const { users } = this
    if (!this.#isOpen) {
      await this.#journal.open()
      this.#isOpen = true
      await this.#journal.lookBack()
      return true
    }
    if (this.#mustList) {
      this.#mustList = false
      this.#listedAt = this.around.ports.clock.monotonic()
      users.take()
      if (users.size > 0 || this.#journal.roster.held.has(this.#me)) await this.#say(this.#list(users.ids()))
      return true
    }
    if (users.changed) {
      const { in: entered, out } = users.take()
      await this.#say(this.#speech.changes(entered, out))
      return true
    }
    if (!this.#hasHeardItself) return false
    return this.#journal.isSynced ? this.#duties() : this.#sync()
  }

  /** Asks for the state, or begins anew where nobody has it. */
  async #sync(): Promise<boolean> {
    const { ports, peers } = this.around
    const now = ports.clock.monotonic()
    if (this.#helloAt === undefined) {
      await this.#journal.lookBack()
      if (this.#journal.isSynced) return true
      await this.#append([{ kind: 'hello', from: this.#me }])
      this.#helloOffset = this.#saidTo
      this.#helloAt = now
      return true
    }
    const isPatient = now - this.#helloAt < PATIENCE_MS
    if (isPatient && !peers.alone) return false
    if (this.#journal.leadHeardAt > this.#helloOffset && isPatient) return false
    this.#helloAt = this.#journal.leadHeardAt > this.#helloOffset ? undefined : now
    if (this.#helloAt !== undefined) await this.#append(this.#state({ takeover: this.#journal.last }))
    return true
  }

  /** What one who knows the roster has to do. */
  async #duties(): Promise<boolean> {
    const { peers, host, retentionMs, ports } = this.around
    const { roster, last } = this.#journal
    const now = ports.clock.monotonic()
    const { leader, telling } = roster
    // Something that was given up for lost is in the log after all, and says what is not so any more.
    if ((roster.held.get(this.#me) ?? 0) !== this.users.size && now - this.#listedAt >= AGAIN_MS) {
      this.#mustList = true
      return true
    }
    if (leader === undefined || peers.isGone(leader)) {
      if (roster.users.size === 0 && !telling) return this.#answer(now, 0)
      await this.#append([{ kind: 'lead', from: this.#me, after: roster.leadAt }])
      return true
    }
    if (leader !== this.#me) return this.#answer(now, SECOND_MS)
    if (await this.#answer(now, 0)) return true
    if (telling) {
      const isFresh = this.#own?.telling === telling && now - this.#own.heardAt < peers.ttlMs / 2
      host.published(await this.#teller.publish(telling, isFresh))
      await this.#append([{ kind: 'told', from: this.#me }])
      return true
    }
    for (const holder of roster.held.keys()) {
      if (!peers.isGone(holder)) continue
      const graceMs = Math.max(0, this.around.graceMs - (now - peers.heardAt(holder)))
      await this.#append(this.#speech.list([], graceMs, holder))
      return true
    }
    const due = this.#due(now)
    if (due) {
      const { epoch, offset } = await host.head(this.projectId)
      await this.#append([{ kind: 'tell', from: this.#me, at: this.#speech.now(), epoch, offset, ...due }])
      return true
    }
    // Before it expires, and before the log as a whole does, because nobody has written to it for long.
    const isOld = roster.users.size > 0 && now - this.#stateAt > retentionMs / 2
    if (this.#recordsSinceState < RECORDS_A_STATE && !isOld) return false
    await this.#append(this.#state({ asOf: last }))
    return true
  }

  /** Gives the state to those who have waited for so long. */
  async #answer(now: number, afterMs: number): Promise<boolean> {
    for (const { at } of this.#asking.values()) {
      if (now - at < afterMs) continue
      await this.#append(this.#state({ asOf: this.#journal.last }))
      return true
    }
    return false
  }

  /** Who is to be told of now. */
  #due(now: number): Pick<Telling, 'joined' | 'left'> | undefined {
    const { roster } = this.#journal
    const joined: [string, string][] = []
    const left: string[] = []
    for (const userId of roster.unsettled) {
      const entry = roster.users.get(userId)
      if (!entry) continue
      if (entry.holders.length > 0) joined.push([userId, entry.since])
      else if (entry.until <= now) left.push(userId)
      if (joined.length + left.length >= MAX_TELLING) break
    }
    return joined.length + left.length > 0 ? { joined, left } : undefined
  }

  #heard(message: PresenceMessage, offset: number): void {
    const now = this.around.ports.clock.monotonic()
    const { roster } = this.#journal
    this.#recordsSinceState++
    if (message.kind === 'hello' && message.from !== this.#me) this.#asking.set(message.from, { offset, at: now })
    else if (message.kind === 'state' && message.part === message.of - 1) {
      this.#recordsSinceState = 0
      this.#stateAt = now
      const asOf = message.asOf ?? offset
      for (const [from, asked] of this.#asking) if (asked.offset <= asOf) this.#asking.delete(from)
    } else if (message.kind === 'tell' && message.from === this.#me && roster.telling === (message as Telling)) {
      this.#own = { telling: roster.telling, heardAt: now }
    } else if (message.kind === 'here' && message.who === this.#me && message.from !== this.#me) {
      // Somebody took this instance for gone.
      this.#mustList = true
    }
  }

  #list(userIds: readonly string[]): PresenceMessage[] {
    return this.#speech.list(userIds, this.around.graceMs)
  }

  #state(as: Pick<StatePart, 'asOf' | 'takeover'>): PresenceMessage[] {
    const { clock, randomId } = this.around.ports
    return this.#speech.state(this.#journal.roster, randomId(), clock.monotonic(), as)
  }

  /** Says what this instance holds. Where that fails it may have been heard or not: the whole is said then. */
  async #say(messages: readonly PresenceMessage[]): Promise<void> {
    try {
      await this.#append(messages)
    } catch (error) {
      this.#mustList = true
      throw error
    }
  }

  async #append(messages: readonly PresenceMessage[]): Promise<void> {
    const { adapter } = this.around
    this.#isSaying = true
    try {
      const { epoch, offset } = await adapter.append(presenceLog(this.projectId), messages.map(encodePresence))
      if (epoch === this.#journal.epoch) this.#saidTo = offset
      // The log is another one, and that has not been heard: until it is, the same would be said over and over.
      else this.#pause()
    } finally {
      this.#isSaying = false
    }
  }

  #pause(): void {
    this.#retryAt = this.around.ports.clock.monotonic() + RETRY_MS
  }

  #wake(): void {
    for (const wake of [...this.#waiting]) wake()
  }
}
