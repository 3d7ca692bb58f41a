/**
 * What is wrong with a value, as a code that stays the same from release to release.
 *
 * - `INVALID_TYPE`: not one of the entity types and not `<subject>:<verb>`
 * - `INVALID_ENTITY`, `INVALID_ENTITY_ID`, `INVALID_PROJECT_ID`, `INVALID_CHANNEL`, `INVALID_USER_ID`: a name outside its alphabet or length
 * - `INVALID_VERSION`: not a whole number from 0 to 2^53 - 1
 * - `INVALID_TIMESTAMP`: not an ISO 8601 date-time
 * - `INVALID_EVENT`: not an object, or a field that must (not) be there
 * - `INVALID_DATA`: `data` is not JSON, too deep, or not what its schema says
 * - `EVENT_TOO_LARGE`: the encoded event is over the limit
 * - `UNKNOWN_EVENT`: `defineEvents` was used and does not list this entity or type
 * - `INVALID_PATTERN`, `INVALID_CURSOR`, `INVALID_FRAME`: text that the protocol does not allow there
 */
export type ProtocolErrorCode =
  | 'INVALID_TYPE'
  | 'INVALID_ENTITY'
  | 'INVALID_ENTITY_ID'
  | 'INVALID_PROJECT_ID'
  | 'INVALID_CHANNEL'
  | 'INVALID_USER_ID'
  | 'INVALID_VERSION'
  | 'INVALID_TIMESTAMP'
  | 'INVALID_EVENT'
  | 'INVALID_DATA'
  | 'EVENT_TOO_LARGE'
  | 'UNKNOWN_EVENT'
  | 'INVALID_PATTERN'
  | 'INVALID_CURSOR'
  | 'INVALID_FRAME'

/**
 * A value that the protocol does not allow. Check `code`, never `instanceof` or the message:
 * two copies of a package in one process are normal.
 *
 * @example
 * try {
 *   await hub.publish(event)
 * } catch (error) {
 *   if ((error as { code?: string }).code === 'INVALID_ENTITY_ID') skip(event)
 *   else throw error
 * }
 */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError'
  declare readonly code: ProtocolErrorCode

  constructor(code: ProtocolErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.code = code
  }
}

/** A value as an error message may show it: JSON-like, on one line, cut at 100 characters. Never throws, and never calls into it. */
export function quote(value: unknown): string {
  const type = typeof value
  if (Object(value) === value) return `[${type}]`
  const text = String(value).slice(0, 101)
  const shown = type === 'string' || type === 'symbol' ? JSON.stringify(text) : text
  return shown.length > 100 ? `${shown.slice(0, 99)}…` : shown
}
