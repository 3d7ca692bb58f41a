import type { ConnectionSnapshot } from '@entitycast/sse-client'

/** What is known on a server, and while its page is hydrated. */
export const NOTHING: ConnectionSnapshot = Object.freeze({
  state: 'disconnected',
  attempt: 0,
  nextRetryAt: undefined,
  lastEventAt: undefined,
  error: undefined,
  role: 'single',
})

const CONNECTING: ConnectionSnapshot = Object.freeze({ ...NOTHING, state: 'connecting' })

/** The provider connects in an effect: until then it is true that it is about to, and not that it is off. */
export function aboutToConnect(snapshot: ConnectionSnapshot): ConnectionSnapshot {
  const isUntouched = snapshot.state === 'disconnected' && snapshot.attempt === 0 && !snapshot.error
  return isUntouched ? CONNECTING : snapshot
}

/** What is shown, from one render to the next. */
export interface Shown<Selected> {
  current: { value: Selected } | undefined
}

/**
 * A selector that gives the very same value for the same snapshot, and for another one whose value says the same: React compares by identity,
 * and would render for ever where each call makes an object.
 */
export function selection<Selected>(
  selector: (connection: ConnectionSnapshot) => Selected,
  shown: Shown<Selected>,
): (connection: ConnectionSnapshot) => Selected {
  let last: { from: ConnectionSnapshot; value: Selected } | undefined
  return (from) => {
    if (last?.from === from) return last.value
    const before = last ?? shown.current
    const value = selector(from)
    last = { from, value: before && isAlike(before.value, value) ? before.value : value }
    return last.value
  }
}

function isAlike(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true
  if (!isPlain(a) || !isPlain(b) || Array.isArray(a) !== Array.isArray(b)) return false
  const names = Object.keys(a)
  return names.length === Object.keys(b).length && names.every((name) => name in b && Object.is(a[name], b[name]))
}

/** A `Date` or a `Map` has no fields that could be compared. */
function isPlain(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false
  const prototype = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === Array.prototype
}
