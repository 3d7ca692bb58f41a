import { divide, type PresenceMessage, type StatePart } from './message'
import type { Roster } from './roster'

const MAX_PART_BYTES = 98_304

/** What one instance says in a presence log, divided so that no record is too large. */
export class Speech {
  readonly #partBytes: number

  constructor(
    readonly from: string,
    maxRecordBytes: number,
    /** The time, as an ISO 8601 date-time. */
    readonly now: () => string,
  ) {
    this.#partBytes = Math.min(MAX_PART_BYTES, maxRecordBytes / 2)
  }

  /** Users that have come to this instance, and those that have left it. */
  changes(entered: readonly string[], left: readonly string[]): PresenceMessage[] {
    const said = { kind: 'change', from: this.from, at: this.now() } as const
    const ins = divide(entered, this.#partBytes).map((part) => ({ ...said, in: part, out: [] }))
    const outs = divide(left, this.#partBytes).map((part) => ({ ...said, in: [], out: part }))
    if (ins.length === 1 && outs.length === 1) return [{ ...said, in: entered, out: left }]
    return [...ins, ...outs]
  }

  /** All users of an instance, `who`: of this one, or of one that is gone. */
  list(userIds: readonly string[], graceMs: number, who = this.from): PresenceMessage[] {
    const parts = divide(userIds, this.#partBytes)
    const said = { kind: 'here', from: this.from, who, at: this.now(), graceMs, of: parts.length } as const
    return parts.map((users, part) => ({ ...said, part, users }))
  }

  /** All that is known; `id` is random, `now` the monotonic clock's. */
  state(roster: Roster, id: string, now: number, as: Pick<StatePart, 'asOf' | 'takeover'>): PresenceMessage[] {
    const { leader, leadAt, telling } = roster
    const { instances, users } = roster.state(now)
    const parts = divide(users, this.#partBytes)
    const said = { kind: 'state', from: this.from, id, of: parts.length, ...as, leader, leadAt, instances } as const
    return parts.map((part, i) => ({ ...said, part: i, users: part, ...(i === 0 && { telling }) }))
  }
}
