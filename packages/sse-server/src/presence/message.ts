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
      return areTexts(message.in) && areTexts(message.out) && typeof message.at === 'string'
    case 'here':
      return areTexts(message.users) && typeof message.who === 'string' && message.part < message.of
    case 'lead':
      return Number.isSafeInteger(message.after)
    case 'tell':
      return areTexts(message.left) && Array.isArray(message.joined)
    case 'state':
      return Array.isArray(message.users) && areTexts(message.instances) && message.part < message.of
    default:
      return true
  }
}

function areTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((each) => typeof each === 'string')
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
