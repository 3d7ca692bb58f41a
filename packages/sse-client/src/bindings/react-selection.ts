import type { ConnectionSnapshot } from '@entitycast/sse-client'

/** What is known on a server, and while its page is hydrated: nothing, which is what the fields that are not there say. */
export const NOTHING = { state: 'disconnected', attempt: 0, role: 'single' } as ConnectionSnapshot

const CONNECTING: ConnectionSnapshot = { ...NOTHING, state: 'connecting' }

/** A provider that connects does so in an effect: until then it is true that it is about to, and not that it is off. */
export function shownOf(snapshot: ConnectionSnapshot, connects: boolean): ConnectionSnapshot {
  const isUntouched = snapshot.state === NOTHING.state && !snapshot.attempt && !snapshot.error
  return connects && isUntouched ? CONNECTING : snapshot
}

/** Of what may be no object at all. */
type Fields = Record<string, unknown>

/** Whether two values, whatever they are, say the same, one level deep. A `Date` or a `Map` has no fields that could be compared. */
export function isAlike(one: Fields, other: Fields): boolean {
  const kind: unknown = one?.constructor
  return (
    one === other ||
    ((kind === Object || kind === Array) &&
      kind === other?.constructor &&
      Object.keys({ ...one, ...other }).every((name) => one[name] === other[name]))
  )
}
