const CURSOR = /^[\w.-]{1,128}$/

/** What a header can carry, and a cursor is: 1 to 128 of `A-Z a-z 0-9 . _ -`. */
export function isCursor(value: unknown): value is string {
  return typeof value === 'string' && CURSOR.test(value)
}
