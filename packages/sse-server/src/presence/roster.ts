import type { PresenceMessage, StatePart, Telling, UserState } from './message'

/** A user of a project, as all instances that read its presence log see it. */
export interface Entry {
  since: string
  /** `user:joined` was published, and `user:left` was not. */
  told: boolean
  /** The instances that have a stream of the user, or had one a moment ago. */
  holders: string[]
  /** Where nobody holds the user: when the grace time is over, by this process's monotonic clock. */
  until: number
}

/**
 * Who is present in a project: what the records of its presence log come to, one after the other. Every instance that has the same records
 * has the same roster, but for the times in it.
 */
export class Roster {
  readonly users = new Map<string, Entry>()
  /** Users of whom something must be told now, or when their grace time is over. */
  readonly unsettled = new Set<string>()
  /** How many users each instance holds. */
  readonly held = new Map<string, number>()
  /** Who publishes. */
  leader: string | undefined
  /** Where in the log the leadership last changed. */
  leadAt = 0
  telling: Telling | undefined
  readonly #telling = { joined: new Set<string>(), left: new Set<string>() }
  /** Parts of an instance's list that is not complete yet. */
  readonly #lists = new Map<string, string[]>()

  /** Takes in a record; `now` is the monotonic clock's. States are not for this. */
  apply(message: Exclude<PresenceMessage, { kind: 'state' }>, offset: number, now: number): void {
    const { kind, from } = message
    if (kind === 'change') {
      for (const userId of message.in) this.#enter(userId, from, message.at)
      for (const userId of message.out) this.#leave(userId, from, now)
    } else if (kind === 'here') {
      if (message.who === from || this.leader === from) this.#list(message, now)
    } else if (kind === 'lead') {
      if (this.leadAt > message.after) return
      this.leader = from
      this.leadAt = offset
    } else if (kind === 'resign') {
      if (this.leader !== from) return
      this.leader = undefined
      this.leadAt = offset
    } else if (kind === 'tell') {
      if (this.leader === from && !this.telling) this.#tell(message)
    } else if (kind === 'told') {
      if (this.leader === from) this.#told()
    }
  }

  /** All that is known, in parts of about so many bytes; `now` is the monotonic clock's. */
  state(now: number): { instances: string[]; users: UserState[] } {
    const numbers = new Map<string, number>()
    const users: UserState[] = []
    for (const [userId, { since, told, holders, until }] of this.users) {
      const indexes = holders.map((holder) => {
        if (!numbers.has(holder)) numbers.set(holder, numbers.size)
        return numbers.get(holder) as number
      })
      const graceMs = holders.length > 0 ? undefined : Math.max(0, Math.round(until - now))
      users.push([userId, since, told ? 1 : 0, indexes, graceMs])
    }
    return { instances: [...numbers.keys()], users }
  }

  /** The roster of a state's parts. */
  static of(parts: readonly StatePart[], now: number): Roster {
    const roster = new Roster()
    const [first] = parts
    roster.leader = first?.leader
    roster.leadAt = first?.leadAt ?? 0
    for (const { users, instances } of parts) {
      for (const [userId, since, told, indexes, graceMs = 0] of users) {
        const holders = indexes.flatMap((index) => instances[index] ?? [])
        for (const holder of holders) roster.#count(holder, 1)
        roster.users.set(userId, { since, told: told === 1, holders, until: now + graceMs })
      }
    }
    if (first?.telling) roster.#tell(first.telling)
    for (const userId of roster.users.keys()) roster.#review(userId)
    return roster
  }

  #enter(userId: string, holder: string, at: string): void {
    let entry = this.users.get(userId)
    if (!entry) {
      entry = { since: at, told: false, holders: [], until: 0 }
      this.users.set(userId, entry)
    } else if (entry.holders.length === 0 && this.#telling.left.has(userId)) entry.since = at
    if (!entry.holders.includes(holder)) {
      entry.holders.push(holder)
      this.#count(holder, 1)
    }
    this.#review(userId)
  }

  #leave(userId: string, holder: string, until: number): void {
    const entry = this.users.get(userId)
    const at = entry?.holders.indexOf(holder) ?? -1
    if (!entry || at < 0) return
    entry.holders.splice(at, 1)
    this.#count(holder, -1)
    if (entry.holders.length === 0) entry.until = until
    this.#review(userId)
  }

  #list({ who, at, graceMs, part, of, users }: Extract<PresenceMessage, { kind: 'here' }>, now: number): void {
    if (part === 0) this.#lists.set(who, [])
    const list = this.#lists.get(who)
    if (!list) return
    list.push(...users)
    if (part < of - 1) return
    this.#lists.delete(who)
    const present = new Set(list)
    for (const userId of present) this.#enter(userId, who, at)
    if ((this.held.get(who) ?? 0) === present.size) return
    for (const [userId, { holders }] of this.users) {
      if (holders.includes(who) && !present.has(userId)) this.#leave(userId, who, now + graceMs)
    }
  }

  #tell(telling: Telling): void {
    this.telling = telling
    this.#telling.joined = new Set(telling.joined.map(([userId]) => userId))
    this.#telling.left = new Set(telling.left)
  }

  #told(): void {
    const { joined, left } = this.#telling
    this.telling = undefined
    this.#telling.joined = new Set()
    this.#telling.left = new Set()
    for (const userId of [...joined, ...left]) {
      const entry = this.users.get(userId)
      if (!entry) continue
      entry.told = joined.has(userId)
      this.#review(userId)
    }
  }

  #count(holder: string, by: 1 | -1): void {
    const count = (this.held.get(holder) ?? 0) + by
    if (count > 0) this.held.set(holder, count)
    else this.held.delete(holder)
  }

  #review(userId: string): void {
    const entry = this.users.get(userId) as Entry
    const isHeld = entry.holders.length > 0
    if (isHeld === entry.told) this.unsettled.delete(userId)
    else if (isHeld || entry.told) this.unsettled.add(userId)
    // Neither held nor told: forgotten, unless it is being told right now.
    if (isHeld || entry.told) return
    this.unsettled.delete(userId)
    if (!this.#telling.joined.has(userId)) this.users.delete(userId)
  }
}
