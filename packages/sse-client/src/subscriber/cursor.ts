const MAX_LENGTH = 128
/** Searched for, instead of a text of nothing else being matched: that takes a quarter less, and each event has a cursor. */
const FORBIDDEN = /[^\w.-]/

/** What a header can carry, and a cursor is: 1 to 128 of `A-Z a-z 0-9 . _ -`. */
export function isCursor(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= MAX_LENGTH && !FORBIDDEN.test(value)
}
