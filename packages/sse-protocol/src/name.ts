import { ProtocolError, type ProtocolErrorCode, quote } from './error'

/*
 * The names that travel: what each may hold, checked once at publish or connect, so that no later layer has to escape anything.
 * A name that is not allowed is refused, never repaired: stripping a CR hides the bug that put it there.
 */

const TYPE = /^[A-Za-z0-9._-]+(?::[A-Za-z0-9._-]+)+$/
const TOKEN = /^[A-Za-z0-9._-]{1,64}$/
const CHANNEL = /^[A-Za-z0-9._:-]{1,64}$/
/** C0, DEL and C1 controls, the two Unicode line separators, and halves of a surrogate pair. */
const UNSAFE =
  /[\u0000-\u001f\u007f-\u009f\u2028\u2029]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/
const ASCII = /^[\u0020-\u007e]*$/

/** Longest project id, entity id and user id, in bytes of UTF-8. */
export const MAX_ID_BYTES = 256

/** The four types of an entity event. */
export const ENTITY_TYPES = ['entity.created', 'entity.updated', 'entity.deleted', 'entity.batch'] as const
export type EntityEventType = (typeof ENTITY_TYPES)[number]

export function isEntityType(type: unknown): type is EntityEventType {
  return type === 'entity.updated' || type === 'entity.created' || type === 'entity.deleted' || type === 'entity.batch'
}

/** `<subject>:<verb>`, 3 to 64 of `A-Z a-z 0-9 . _ : -` with a colon inside: it can never be the name of a control event. */
export function isNamedType(type: unknown): type is `${string}:${string}` {
  return typeof type === 'string' && type.length <= 64 && TYPE.test(type)
}

export function isEntity(value: unknown): value is string {
  return typeof value === 'string' && TOKEN.test(value)
}

export function isChannel(value: unknown): value is string {
  return typeof value === 'string' && CHANNEL.test(value)
}

/** An id of a project, an entity or a user: 1 to 256 bytes of UTF-8 without control characters. */
export function isId(value: unknown): value is string {
  if (typeof value !== 'string' || value.length === 0 || value.length > MAX_ID_BYTES) return false
  if (ASCII.test(value)) return true
  return !UNSAFE.test(value) && utf8Bytes(value) <= MAX_ID_BYTES
}

/** A whole number from 0 to 2^53 - 1. */
export function isVersion(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

const TIMESTAMP = /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:\d\d)$/

/** An ISO 8601 date-time with a zone, as `Date.prototype.toISOString` writes it. */
export function isTimestamp(value: unknown): value is string {
  return typeof value === 'string' && TIMESTAMP.test(value) && !Number.isNaN(Date.parse(value))
}

/** Bytes that `text` takes in UTF-8. */
export function utf8Bytes(text: string): number {
  let bytes = text.length
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit > 0x7f) bytes += unit > 0x7ff && (unit < 0xd800 || unit > 0xdfff) ? 2 : 1
  }
  return bytes
}

const ID_RULE = `1 to ${MAX_ID_BYTES} bytes of text without control characters`

export function assertEventType(value: unknown): asserts value is EntityEventType | `${string}:${string}` {
  if (!isEntityType(value) && !isNamedType(value)) {
    refuse(
      'INVALID_TYPE',
      'type',
      value,
      `one of ${ENTITY_TYPES.join(', ')}, or "<subject>:<verb>" of at most 64 characters A-Z a-z 0-9 . _ : -`,
    )
  }
}

export function assertEntity(value: unknown): asserts value is string {
  if (!isEntity(value)) refuse('INVALID_ENTITY', 'entity', value, '1 to 64 characters A-Z a-z 0-9 . _ -')
}

export function assertEntityId(value: unknown): asserts value is string {
  if (!isId(value)) refuse('INVALID_ENTITY_ID', 'id', value, `${ID_RULE}; turn a number into text with String(id)`)
}

export function assertProjectId(value: unknown): asserts value is string {
  if (!isId(value)) refuse('INVALID_PROJECT_ID', 'projectId', value, `${ID_RULE}; it is never coerced`)
}

export function assertUserId(value: unknown): asserts value is string {
  if (!isId(value)) refuse('INVALID_USER_ID', 'userId', value, ID_RULE)
}

export function assertChannel(value: unknown): asserts value is string {
  if (!isChannel(value)) refuse('INVALID_CHANNEL', 'channel', value, '1 to 64 characters A-Z a-z 0-9 . _ : -')
}

export function assertVersion(value: unknown): asserts value is number {
  if (!isVersion(value)) refuse('INVALID_VERSION', 'version', value, 'a whole number from 0 to 2^53 - 1')
}

export function assertTimestamp(value: unknown): asserts value is string {
  if (!isTimestamp(value))
    refuse('INVALID_TIMESTAMP', 'timestamp', value, 'an ISO 8601 date-time such as new Date().toISOString()')
}

function refuse(code: ProtocolErrorCode, field: string, value: unknown, rule: string): never {
  throw new ProtocolError(code, `${field} is ${quote(value)}; it must be ${rule}`)
}
