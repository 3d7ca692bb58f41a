import fc from 'fast-check'
import type { EntityEvent, EventInput, NamedEvent } from '../../src/index'

const tokenChar = fc.constantFrom(...'abcXYZ019._-')
const charOf = (chars: string) => fc.string({ unit: fc.constantFrom(...chars), minLength: 1, maxLength: 6 })

/** Text of an alphabet so small that two of them are often nearly alike. */
const nearlyAlike = (...units: string[]) => fc.string({ unit: fc.constantFrom(...units), minLength: 1, maxLength: 4 })

export const entity = fc.oneof(
  fc.constantFrom('document', 'chunk', 'doc', '__proto__', 'constructor'),
  fc.string({ unit: tokenChar, minLength: 1, maxLength: 64 }),
)

/** Any text that is an id: also such as look like patterns, names of channels or escapes. */
export const id = fc.oneof(
  nearlyAlike('a', ':', '*', '.', '%', '2', 'E', ' ', 'é'),
  fc.constantFrom('__proto__', 'toString', '*', ':', '%2E', 'doc_1', '"', '\\', '\ufeff'),
  fc
    .string({ unit: 'binary', minLength: 1, maxLength: 60 })
    .filter((text) => !/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/.test(text)),
)

export const channel = fc.oneof(nearlyAlike('a', '.', ':', '-', '2', 'E'), charOf('abc._:-'))

export const namedType = fc
  .array(fc.string({ unit: tokenChar, minLength: 1, maxLength: 8 }), { minLength: 2, maxLength: 4 })
  .map((parts) => parts.join(':') as `${string}:${string}`)
  .filter((type) => !type.startsWith('entity.'))

export const timestamp = fc
  .date({ min: new Date('0001-01-01'), max: new Date('9999-12-31'), noInvalidDate: true })
  .map((date) => date.toISOString())

/** JSON as it comes back: without `undefined`, and with one zero. */
const data = fc
  .oneof(
    fc.jsonValue(),
    fc.jsonValue({ noUnicodeString: false }),
    fc.dictionary(fc.constantFrom('a', '__proto__'), fc.jsonValue()),
  )
  .map((value) => JSON.parse(JSON.stringify(value)) as unknown)

const fields = {
  projectId: id,
  timestamp,
  channel: fc.option(channel, { nil: undefined }),
  userId: fc.option(id, { nil: undefined }),
}
const version = fc.nat(Number.MAX_SAFE_INTEGER)
const absent = Symbol('absent')
const maybeData = fc.oneof(fc.constant(absent), data)

/** Leaves out what is `undefined`, and the data where there is none. */
const written = <Event>(event: object): Event =>
  Object.fromEntries(Object.entries(event).filter(([, value]) => value !== undefined && value !== absent)) as Event

export const singleEvent = fc
  .record({
    type: fc.constantFrom('entity.created', 'entity.updated', 'entity.deleted'),
    entity,
    id,
    ...fields,
    data: maybeData,
    version: fc.option(version, { nil: undefined }),
  })
  .map((event) => written<EntityEvent>(event))

export const batchEvent = fc
  .record({
    type: fc.constant('entity.batch'),
    entity,
    id: fc.constant(null),
    ids: fc.array(id, { minLength: 1, maxLength: 5 }),
    ...fields,
    data: maybeData,
    versions: fc.option(fc.array(version, { minLength: 5, maxLength: 5 }), { nil: undefined }),
  })
  .map(({ versions, ...event }) => written<EntityEvent>({ ...event, versions: versions?.slice(0, event.ids.length) }))

export const namedEvent = fc.record({ type: namedType, ...fields, data }).map((event) => written<NamedEvent>(event))

export const anyEvent = fc.oneof(singleEvent, batchEvent, namedEvent) as fc.Arbitrary<EntityEvent | NamedEvent> &
  fc.Arbitrary<EventInput>

/** Patterns that have a chance to match what the others make. */
export const pattern = fc.oneof(
  fc.constant('*'),
  entity.map((name) => `${name}:*`),
  fc.tuple(entity, id).map(([name, one]) => `${name}:${one}`),
)

export const typePattern = fc.oneof(
  fc.constantFrom('*', 'entity.*', 'entity.updated', 'entity.batch', 'a:*', 'a.*'),
  namedType,
  namedType.map((type) => `${type.slice(0, type.indexOf(':') + 1)}*`),
)
