const MAX_LENGTH = 128

/**
 * What a header can carry, and a cursor is: 1 to 128 of `A-Z a-z 0-9 . _ -`. Each event has one, and with a regular expression all of
 * reading takes 2 % longer.
 */
export function isCursor(value: unknown): value is string {
  if (typeof value !== 'string' || value.length > MAX_LENGTH) return false
  for (let i = 0; i < value.length; i++) {
    const unit = value.charCodeAt(i)
    const lower = unit | 0x20
    const isLetter = lower >= 0x61 && lower <= 0x7a
    const isDigit = unit >= 0x30 && unit <= 0x39
    if (!isLetter && !isDigit && unit !== 0x2d && unit !== 0x2e && unit !== 0x5f) return false
  }
  return value !== ''
}
