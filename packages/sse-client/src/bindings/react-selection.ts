import type { ConnectionSnapshot } from '@entitycast/sse-client'

/** What is known on a server, and while its page is hydrated: nothing, which is what the fields that are not there say. */
export const NOTHING = { state: 'disconnected', attempt: 0, role: 'single' } as ConnectionSnapshot

/** One and the same, as a subscriber's are: React would render for ever where each look finds another. */
const CONNECTING: ConnectionSnapshot = { ...NOTHING, state: 'connecting' }

/** A provider that connects does so in an effect: until then it is true that it is about to, and not that it is off. */
export function shownOf(snapshot: ConnectionSnapshot, connects: boolean): ConnectionSnapshot {
  return connects && snapshot.closed && !snapshot.attempt && !snapshot.error ? CONNECTING : snapshot
}

/** What a component shows of a connection. */
export type Selector = (connection: ConnectionSnapshot) => unknown

/** What was selected, of which snapshot, by which selector. */
export type Selection = readonly [value?: unknown, from?: ConnectionSnapshot, by?: Selector]

/** React compares by identity, and would render for ever where each call makes an object: what says the same stays the same. */
export function selectionOf(from: ConnectionSnapshot, by: Selector, last: Selection): Selection {
  const [value, before, selector] = last
  if (before === from && selector === by) return last
  const next = by(from)
  return [isAlike(value as Fields, next as Fields) ? value : next, from, by]
}

/** Of what may be no object at all. */
type Fields = Record<string, unknown>

/** Whether two values, whatever they are, say the same, one level deep. A `Date` or a `Map` has no fields that could be compared. */
function isAlike(one: Fields, other: Fields): boolean {
  return (
    one === other ||
    (one?.constructor === other?.constructor &&
      [Object, Array].includes(one?.constructor as ArrayConstructor) &&
      Object.keys({ ...one, ...other }).every((name) => one[name] === other[name]))
  )
}
