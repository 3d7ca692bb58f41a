import { decodeMessage, encodeMessage } from '../peers/message'
import type { LogRecord } from '../seams/adapter'

/** A user as a state has it: who, since when, whether that was told, the numbers of the instances that hold it, and for how long one that nobody holds may still come back, in milliseconds. */
export type UserState = readonly [
  userId: string,
  since: string,
  told: 0 | 1,
  holders: readonly number[],
  graceMs?: number | undefined,
]

/** What is about to be published: fixed before it is, so that another instance can finish it. */
export interface Telling {
  readonly from: string
  /** When those who left did so. */
  readonly at: string
  /** Where the project's log ended before. */
  readonly epoch: string
  readonly offset: number
  readonly joined: readonly (readonly [userId: string, since: string])[]
  readonly left: readonly string[]
}

/** One part of all that is known of a project. */
export interface StatePart {
  readonly from: string
  /** The same for all parts. */
  readonly id: string
  readonly part: number
  readonly of: number
  /** The offset up to which everything is in it. Absent in a takeover, which holds from its own end on. */
  readonly asOf?: number | undefined
  /** Its author begins anew, and leads, unless somebody has begun to lead after this offset. */
  readonly takeover?: number | undefined
  readonly leader?: string | undefined
  readonly leadAt: number
  readonly telling?: Telling | undefined
  readonly instances: readonly string[]
  readonly users: readonly UserState[]
}

/** What instances tell each other in a project's presence log. `from` is who speaks. */
export type PresenceMessage =
  /** Asks for the state. */
  | { readonly kind: 'hello'; readonly from: string }
  /** Users that `from` has now, and those that it has no more. */
  | {
      readonly kind: 'change'
      readonly from: string
      readonly at: string
      readonly in: readonly string[]
      readonly out: readonly string[]
    }
  /** All users that `who` has. Others of its users may come back for `graceMs`. Of another instance only the leader says it: that one is gone. */
  | {
      readonly kind: 'here'
      readonly from: string
      readonly who: string
      readonly at: string
      readonly graceMs: number
      readonly part: number
      readonly of: number
      readonly users: readonly string[]
    }
  /** Leads from now on, unless somebody has begun to after this offset. */
  | { readonly kind: 'lead'; readonly from: string; readonly after: number }
  | { readonly kind: 'resign'; readonly from: string }
  | ({ readonly kind: 'tell' } & Telling)
  /** What was to be told is in the project's log. */
  | { readonly kind: 'told'; readonly from: string }
  | ({ readonly kind: 'state' } & StatePart)

export function encodePresence(message: PresenceMessage): LogRecord {
  return encodeMessage(message)
}

/** The message of a record; nothing where it has not the shape of one. */
export function decodePresence(record: LogRecord): PresenceMessage | undefined {
  const message = decodeMessage(record) as PresenceMessage | undefined
  return message && isWhole(message) ? message : undefined
}

function isWhole(message: PresenceMessage): boolean {
  switch (message.kind) {
    case 'change':
      return areTexts(message.in) && areTexts(message.out) && isText(message.at)
    case 'here':
      return (
        areTexts(message.users) &&
        isText(message.who) &&
        isText(message.at) &&
        isCount(message.graceMs) &&
        isPart(message)
      )
    case 'lead':
      return isCount(message.after)
    case 'tell':
      return isTelling(message)
    case 'state':
      return isState(message)
    default:
      return true
  }
}

function isState(state: StatePart): boolean {
  const { id, asOf = 0, takeover = 0, leader = '', leadAt, telling, instances, users } = state
  const areWhole = [asOf, takeover, leadAt].every(isCount) && isText(id) && isText(leader) && isPart(state)
  return areWhole && areTexts(instances) && areAll(users, isUser) && (telling === undefined || isTelling(telling))
}

function isUser(user: unknown): boolean {
  if (!Array.isArray(user)) return false
  const [userId, since, told, holders, graceMs] = user
  return isText(userId) && isText(since) && isCount(told) && areAll(holders, isCount) && isCount(graceMs ?? 0)
}

function isTelling(telling: Telling): boolean {
  const { from, at, epoch, offset, joined, left } = telling ?? {}
  return [from, at, epoch].every(isText) && isCount(offset) && areAll(joined, areTexts) && areTexts(left)
}

function isPart({ part, of }: { readonly part: number; readonly of: number }): boolean {
  return isCount(part) && isCount(of) && part < of
}

function isCount(value: unknown): value is number {
  return Number.isFinite(value) && Number(value) >= 0
}

function isText(value: unknown): value is string {
  return typeof value === 'string'
}

function areAll(values: unknown, is: (value: unknown) => boolean): boolean {
  return Array.isArray(values) && values.every(is)
}

function areTexts(value: unknown): value is string[] {
  return areAll(value, isText)
}

/** Divides a list so that no part's JSON takes more than about so many bytes. There is always at least one part. */
export function divide<Item>(items: readonly Item[], maxBytes: number): Item[][] {
  const parts: Item[][] = [[]]
  let bytes = 0
  for (const item of items) {
    // A character takes at most three bytes.
    const size = JSON.stringify(item).length * 3 + 1
    if (bytes + size > maxBytes && bytes > 0) {
      parts.push([])
      bytes = 0
    }
    parts.at(-1)?.push(item)
    bytes += size
  }
  return parts
}
