/** What a header can carry, and a cursor is. */
const CURSOR = /^[A-Za-z0-9._-]{1,128}$/

export function isCursor(value: unknown): value is string {
  return typeof value === 'string' && CURSOR.test(value)
}
