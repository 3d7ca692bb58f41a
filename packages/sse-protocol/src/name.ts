import { ProtocolError, type ProtocolErrorCode, quote } from './error'

/*
 * The names that travel: what each may hold, checked once at publish or connect, so that no later layer has to escape anything.
 * A name that is not allowed is refused, never repaired: stripping a CR hides the bug that put it there.
 */

const TYPE = /^[A-Za-z0-9._-]+(?::[A-Za-z0-9._-]+)+$/
const TOKEN = /^[A-Za-z0-9._-]{1,64}$/
const CHANNEL = /^[A-Za-z0-9._:-]{1,64}$/
/** C0, DEL and C1 controls, the two Unicode line separators; and, because of the `u`, a half of a surrogate pair without its other half. */
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\ud800-\udfff]/u
const ASCII = /^[\u0020-\u007e]*$/

/** Longest project id, entity id and user id, in bytes of UTF-8. */
export const MAX_ID_BYTES = 256

/** The four types of an entity event. */
export const ENTITY_TYPES = ['entity.created', 'entity.updated', 'entity.deleted', 'entity.batch'] as const
/** One of {@link ENTITY_TYPES}. */
export type EntityEventType = (typeof ENTITY_TYPES)[number]

/** Whether it is one of {@link ENTITY_TYPES}. */
export function isEntityType(type: unknown): type is EntityEventType {
  return type === 'entity.updated' || type === 'entity.created' || type === 'entity.deleted' || type === 'entity.batch'
}

/**
 * `<subject>:<verb>`, 3 to 64 of `A-Z a-z 0-9 . _ : -` with a colon inside: it can never be the name of a control event.
 * It does not begin with `entity.`, so that the type pattern `entity.*` names entity events only.
 */
export function isNamedType(type: unknown): type is `${string}:${string}` {
  return typeof type === 'string' && type.length <= 64 && TYPE.test(type) && !type.startsWith('entity.')
}

/** An entity's kind: 1 to 64 of `A-Z a-z 0-9 . _ -`. */
export function isEntity(value: unknown): value is string {
  return typeof value === 'string' && TOKEN.test(value)
}

/** A channel: 1 to 64 of `A-Z a-z 0-9 . _ : -`. */
export function isChannel(value: unknown): value is string {
  return typeof value === 'string' && CHANNEL.test(value)
}

/** An id of a project, an entity or a user: 1 to 256 bytes of UTF-8 without control characters. */
export function isId(value: unknown): value is string {
  if (typeof value !== 'string' || value.length === 0 || value.length > MAX_ID_BYTES) return false
  if (ASCII.test(value)) return true
  // A character for each byte: whoever checks a pattern in a page need not carry `utf8Bytes`.
  return !UNSAFE.test(value) && encodeURIComponent(value).replace(/%../g, '.').length <= MAX_ID_BYTES
}

/** A whole number from 0 to 2^53 - 1. */
export function isVersion(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

const TIMESTAMP =
  /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/
const DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

/**
 * An ISO 8601 date-time with seconds and a zone, as `Date.prototype.toISOString` writes it (RFC 3339 without leap seconds).
 * Not left to `Date.parse`: engines disagree about 30 February, and what one side publishes the other must be able to read.
 */
export function isTimestamp(value: unknown): value is string {
  if (typeof value !== 'string' || !TIMESTAMP.test(value)) return false
  const day = digits(value, 8)
  if (day <= 28) return true
  const month = digits(value, 5)
  if (month !== 2) return day <= DAYS[month - 1]!
  const year = digits(value, 0) * 100 + digits(value, 2)
  return day === 29 && year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
}

function digits(text: string, at: number): number {
  return (text.charCodeAt(at) - 48) * 10 + text.charCodeAt(at + 1) - 48
}

const BEYOND_ASCII = /[^\u0000-\u007f]/

/** Bytes that well-formed text takes in UTF-8. */
export function utf8Bytes(text: string): number {
  // Most text is ASCII, and a regular expression finds that out in less than half the time that the loop takes.
  const first = text.search(BEYOND_ASCII)
  if (first === -1) return text.length
  let bytes = text.length
  for (let i = first; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit > 0x7f) bytes += unit > 0x7ff && (unit < 0xd800 || unit > 0xdfff) ? 2 : 1
  }
  return bytes
}

/** No template: whoever bundles without it could not tell that it has no effect. */
const ID_RULE = '1 to 256 bytes of text without control characters'

/** @throws ProtocolError `INVALID_TYPE` */
export function assertEventType(value: unknown): asserts value is EntityEventType | `${string}:${string}` {
  if (!isEntityType(value) && !isNamedType(value)) {
    refuse(
      'INVALID_TYPE',
      'type',
      value,
      `one of ${ENTITY_TYPES.join(', ')}, or "<subject>:<verb>" of at most 64 characters A-Z a-z 0-9 . _ : - (subjects beginning with "entity." are ours)`,
    )
  }
}

/** @throws ProtocolError `INVALID_ENTITY` */
export function assertEntity(value: unknown): asserts value is string {
  if (!isEntity(value)) refuse('INVALID_ENTITY', 'entity', value, '1 to 64 characters A-Z a-z 0-9 . _ -')
}

/** @throws ProtocolError `INVALID_ENTITY_ID` */
export function assertEntityId(value: unknown): asserts value is string {
  if (!isId(value)) refuse('INVALID_ENTITY_ID', 'id', value, `${ID_RULE}; turn a number into text with String(id)`)
}

/** @throws ProtocolError `INVALID_PROJECT_ID` */
export function assertProjectId(value: unknown): asserts value is string {
  if (!isId(value))
    refuse('INVALID_PROJECT_ID', 'projectId', value, `${ID_RULE}; turn a number into text with String(projectId)`)
}

/** @throws ProtocolError `INVALID_USER_ID` */
export function assertUserId(value: unknown): asserts value is string {
  if (!isId(value))
    refuse('INVALID_USER_ID', 'userId', value, `${ID_RULE}; turn a number into text with String(userId)`)
}

/** @throws ProtocolError `INVALID_CHANNEL` */
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
