import { ProtocolError, quote } from './error'
import { isEntity, isId } from './name'

/** What a pattern looks at. */
export interface PatternTarget {
  readonly entity?: string | undefined
  readonly id?: string | null | undefined
  readonly ids?: readonly string[] | undefined
}

/**
 * Whether an entity event is one that the pattern names. `*` is every entity event, `document:*` every document,
 * `document:doc_1` that one, also inside a batch. Ids may hold colons: the first colon ends the entity. Linear in the pattern's length.
 *
 * @throws ProtocolError `INVALID_PATTERN`
 * @example
 * matchesPattern('document:*', { entity: 'document', id: 'doc_1' })                     // true
 * matchesPattern('document:doc_1', { entity: 'document', id: null, ids: ['doc_1'] })    // true
 */
export function matchesPattern(pattern: string, event: PatternTarget): boolean {
  assertPattern(pattern)
  return patternKeys(event).includes(pattern)
}

/**
 * Whether an event's type is one that the type pattern names: `*`, the type itself, or a prefix up to a `.` or `:` with `*` behind it.
 *
 * @throws ProtocolError `INVALID_PATTERN`
 * @example
 * matchesType('lock:*', 'lock:acquired')          // true
 * matchesType('entity.*', 'entity.deleted')       // true
 * matchesType('entity.deleted', 'entity.deleted') // true
 */
export function matchesType(typePattern: string, type: string): boolean {
  assertTypePattern(typePattern)
  return typeKeys(type).includes(typePattern)
}

/** Every pattern that names this event: what an index of handlers looks up, instead of asking each handler. */
export function patternKeys(event: PatternTarget): string[] {
  const { entity } = event
  if (entity === undefined) return []
  const keys = ['*', `${entity}:*`]
  if (typeof event.id === 'string') {
    if (event.id !== '*') keys.push(`${entity}:${event.id}`)
  } else if (event.ids) {
    for (const id of event.ids) if (id !== '*') keys.push(`${entity}:${id}`)
  }
  return keys
}

/** Every type pattern that names this type. */
export function typeKeys(type: string): string[] {
  const keys = ['*', type]
  for (let i = 0; i < type.length; i++) {
    const char = type[i]
    if (char === ':' || char === '.') keys.push(`${type.slice(0, i + 1)}*`)
  }
  return keys
}

/** @throws ProtocolError `INVALID_PATTERN` */
export function assertPattern(pattern: string): void {
  if (pattern === '*') return
  const colon = typeof pattern === 'string' ? pattern.indexOf(':') : -1
  if (colon > 0 && isEntity(pattern.slice(0, colon)) && isId(pattern.slice(colon + 1))) return
  const hint = isEntity(pattern) ? `; did you mean "${pattern}:*"?` : ''
  throw new ProtocolError(
    'INVALID_PATTERN',
    `pattern is ${quote(pattern)}; it must be "*", "<entity>:*" or "<entity>:<id>"${hint}`,
  )
}

/** A word by itself, such as `message` or `progress`, is no type: its handler would never be called. */
const TYPE_PATTERN = /^(?:\*|(?=.+[.:].)[A-Za-z0-9._:-]{1,64}|[A-Za-z0-9._:-]{0,63}[.:]\*)$/

/** @throws ProtocolError `INVALID_PATTERN` */
export function assertTypePattern(typePattern: string): void {
  if (typeof typePattern === 'string' && TYPE_PATTERN.test(typePattern)) return
  throw new ProtocolError(
    'INVALID_PATTERN',
    `type pattern is ${quote(typePattern)}; it must be "*", a type such as "lock:acquired", or a prefix such as "entity.*"`,
  )
}
