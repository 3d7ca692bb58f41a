import type { Cursor } from '@entitycast/sse-protocol'
import { Follower } from '../peers/follower'
import type { Adapter, LogEntry } from '../seams/adapter'
import type { Clock } from '../seams/ports'
import { decodePresence, type PresenceMessage, type StatePart } from './message'
import { Roster } from './roster'

/** Records before the head that one who comes reads: among them there is a state, unless they have expired. */
const TAIL = [400, 20] as const
const READ_LIMIT = 1_000
/** What one who does not know the state keeps for it at most. */
const MAX_BUFFER = 20_000

type Told = { readonly offset: number; readonly message: PresenceMessage }
type Spoken = Exclude<PresenceMessage, { kind: 'state' }>

/** What a reader of the presence log wants to know beside the roster. */
export interface JournalListener {
  /** A record that has been taken in; only while the roster is known. `isNew`: it has just been said, and was not read up on. */
  heard(message: PresenceMessage, offset: number, isNew: boolean): void
  /** The roster is known, or another one is: what this instance holds must be said again where it is not in it. */
  synced(): void
  /** What comes together has been taken in. */
  settled(): void
  /** Something may have been missed: what was known is not any more. */
  doubted(): void
}

/** Reads a project's presence log, and knows the roster: from the log's beginning, or from a state in it. */
export class Journal {
  /** As of the last record; before `isSynced`, what was known before something may have been missed. */
  roster = new Roster()
  isSynced = false
  /** A leader has been heard at this offset, while the roster was not known. */
  leadHeardAt = 0
  readonly #follower: Follower
  /** The log is known after this offset: `#buffer` begins there. */
  #start = 0
  #buffer: Told[] = []
  /** The epoch in which the roster was last known. */
  #syncedEpoch: string | undefined
  readonly #parts = new Map<string, { readonly parts: StatePart[]; readonly valid: boolean }>()

  constructor(
    readonly adapter: Adapter,
    readonly logId: string,
    readonly clock: Clock,
    readonly listener: JournalListener,
  ) {
    this.#follower = new Follower(adapter, logId, {
      began: (head) => this.#forget(head.offset),
      entry: (entry) => this.#take(entry, true),
      settled: () => listener.settled(),
      doubt: (head) => {
        this.#forget(head.offset)
        listener.doubted()
      },
    })
  }

  /** The last offset that was heard. */
  get last(): number {
    return this.#follower.last
  }

  get epoch(): string {
    return this.#follower.epoch
  }

  open(): Promise<void> {
    return this.#follower.open()
  }

  close(): void {
    this.#follower.close()
  }

  /** Tries to learn the roster from what the log still holds. Rejects where the log cannot be read. */
  async lookBack(): Promise<void> {
    const { epoch } = this
    const start = this.#start
    for (const length of TAIL) {
      const from = Math.max(0, start - length)
      const entries = await this.#read({ epoch, offset: from }, start)
      if (this.isSynced || this.epoch !== epoch || this.#start !== start) return
      if (!entries) continue
      const heard = this.#buffer
      this.#forget(from)
      for (const entry of entries) this.#take(entry, false)
      for (const { offset, message } of heard) this.#hear(message, offset, false)
      // The whole log: nobody was there before it. Unless it is another one, and what was known before is all that is known.
      const isAnother = this.#syncedEpoch !== undefined && this.#syncedEpoch !== epoch && this.roster.users.size > 0
      if (!this.isSynced && from === 0 && !isAnother) this.#sync(new Roster(), 0)
      return
    }
  }

  async #read(after: Cursor, to: number): Promise<LogEntry[] | undefined> {
    const entries: LogEntry[] = []
    for (let { offset } = after; offset < to; ) {
      const page = await this.adapter.read(this.logId, { ...after, offset }, READ_LIMIT)
      if ('gap' in page || page.entries.length === 0) return undefined
      entries.push(...page.entries)
      offset += page.entries.length
    }
    return entries.filter(({ offset }) => offset <= to)
  }

  #take({ offset, record }: LogEntry, isNew: boolean): void {
    const message = decodePresence(record)
    if (message) this.#hear(message, offset, isNew)
  }

  #hear(message: PresenceMessage, offset: number, isNew: boolean): void {
    if (!this.isSynced) {
      this.#buffer.push({ offset, message })
      if (message.kind === 'lead' || message.kind === 'resign') this.leadHeardAt = offset
      if (this.#buffer.length > MAX_BUFFER) {
        this.#forget(offset)
        return
      }
    }
    if (message.kind === 'state') this.#collect(message, offset)
    else if (this.isSynced) this.roster.apply(message as Spoken, offset, this.clock.monotonic())
    if (this.isSynced) this.listener.heard(message, offset, isNew)
  }

  /** Puts the parts of a state together. */
  #collect(state: StatePart, offset: number): void {
    const { id, part, of, takeover } = state
    if (part === 0) {
      const leadAt = this.isSynced ? this.roster.leadAt : this.leadHeardAt
      this.#parts.set(id, { parts: [], valid: takeover === undefined || leadAt <= takeover })
    }
    const collected = this.#parts.get(id)
    collected?.parts.push(state)
    if (part < of - 1) return
    this.#parts.delete(id)
    if (!collected?.valid || collected.parts.length !== of) return
    if (takeover !== undefined) {
      const roster = Roster.of(collected.parts, this.clock.monotonic())
      roster.leader = state.from
      roster.leadAt = offset
      this.#sync(roster, offset)
    } else if (!this.isSynced && state.asOf !== undefined && state.asOf >= this.#start) {
      this.#sync(Roster.of(collected.parts, this.clock.monotonic()), state.asOf)
    }
  }

  /** The roster is known as of an offset; what has been heard after it is made up for. */
  #sync(roster: Roster, asOf: number): void {
    const later = this.#buffer.filter(({ offset }) => offset > asOf)
    this.roster = roster
    this.isSynced = true
    this.#syncedEpoch = this.epoch
    this.#buffer = []
    for (const { offset, message } of later) {
      if (message.kind !== 'state') roster.apply(message, offset, this.clock.monotonic())
      this.listener.heard(message, offset, false)
    }
    this.listener.synced()
  }

  #forget(start: number): void {
    this.isSynced = false
    this.leadHeardAt = 0
    this.#start = start
    this.#buffer = []
    this.#parts.clear()
  }
}
