import type { StandardSchemaV1 } from '@standard-schema/spec'
import { ProtocolError, quote } from './error'
import type { BatchEntityEvent, EntityEvent, NamedEvent, ProjectEvent, SingleEntityEvent } from './event'
import { assertEntity, assertEventType, type EntityEventType, isEntityType } from './name'

type Schema = StandardSchemaV1<unknown, unknown>

/** What an application publishes: a schema of `data` for each entity and each named type. */
export interface EventDefinitions<
  Entities extends Record<string, StandardSchemaV1> = Record<string, Schema>,
  Named extends Record<string, StandardSchemaV1> = Record<string, Schema>,
> {
  readonly entities: Entities
  readonly named: Named
}

/**
 * Names the application's events once, for both sides: the hub checks `data` on publish, and `event.data` has its type in every handler.
 * Any Standard Schema will do (zod, valibot, arktype; https://standardschema.dev), as long as it answers at once.
 * An entity's schema describes what an event carries: where events carry only the changed fields, make them optional.
 *
 * @throws ProtocolError `INVALID_ENTITY`, `INVALID_TYPE`, `INVALID_EVENT`
 * @example
 * export const events = defineEvents({
 *   entities: { document: z.object({ embeddedChunks: z.number() }).partial() },
 *   named: { 'lock:acquired': z.object({ entityId: z.number() }) },
 * })
 * const hub = new EventHub({ events })
 * const updates = new EventSubscriber<typeof events>('/api/events/stream', { projectId })
 */
export function defineEvents<
  const Entities extends Record<string, StandardSchemaV1> = Record<never, never>,
  const Named extends Record<`${string}:${string}`, StandardSchemaV1> = Record<never, never>,
>(definitions: { entities?: Entities; named?: Named }): EventDefinitions<Entities, Named> {
  const { entities = {} as Entities, named = {} as Named } = definitions
  for (const [entity, schema] of Object.entries(entities)) {
    assertEntity(entity)
    assertSchema(entity, schema)
  }
  for (const [type, schema] of Object.entries(named)) {
    assertEventType(type)
    if (isEntityType(type))
      throw new ProtocolError('INVALID_TYPE', `named.${type} is an entity type; list the entity in entities instead`)
    assertSchema(type, schema)
  }
  return { entities, named }
}

/**
 * The event's `data` as its schema returns it.
 *
 * @throws ProtocolError `UNKNOWN_EVENT` where no schema is defined, `INVALID_DATA` with the schema's issues as `cause`
 */
export function checkDefinedData(
  definitions: EventDefinitions,
  event: { type: string; entity?: string; data?: unknown },
): unknown {
  const name = isEntityType(event.type) ? event.entity : event.type
  const schemas = isEntityType(event.type) ? definitions.entities : definitions.named
  const schema = typeof name === 'string' && Object.hasOwn(schemas, name) ? schemas[name] : undefined
  if (!schema) {
    const known = Object.keys(schemas).slice(0, 5).join(', ')
    throw new ProtocolError(
      'UNKNOWN_EVENT',
      `${quote(name)} is not defined (defined: ${known || 'none'}); add it to defineEvents`,
    )
  }
  // A deletion or an "it changed, load it again" needs no data; a named event always carries what its schema says.
  if (event.data === undefined && isEntityType(event.type)) return undefined
  const result = validate(schema, event.data, name)
  if (result.issues) {
    const first = result.issues[0]
    const path = first?.path?.map((part) => String(typeof part === 'object' ? part.key : part)).join('.')
    throw new ProtocolError(
      'INVALID_DATA',
      `data of ${quote(name)} does not fit its schema${path ? ` at ${quote(path)}` : ''}: ${first?.message}`,
      {
        cause: result.issues,
      },
    )
  }
  return result.value
}

function validate(schema: StandardSchemaV1, data: unknown, name: unknown): StandardSchemaV1.Result<unknown> {
  let result: Partial<PromiseLike<unknown>> & Partial<StandardSchemaV1.SuccessResult<unknown>>
  try {
    result = schema['~standard'].validate(data) as typeof result
  } catch (cause) {
    throw new ProtocolError('INVALID_DATA', `the schema of ${quote(name)} threw; it must report issues instead`, {
      cause,
    })
  }
  // Not `instanceof`: other libraries and realms have promises, too.
  if (typeof result?.then === 'function') {
    // Nobody waits for it, so nobody would handle its rejection.
    Promise.resolve(result).catch(() => {})
    throw new ProtocolError(
      'INVALID_DATA',
      `the schema of ${quote(name)} is asynchronous; use one that answers at once`,
    )
  }
  if (Object(result) === result && (result.issues || 'value' in result))
    return result as StandardSchemaV1.Result<unknown>
  throw new ProtocolError('INVALID_DATA', `the schema of ${quote(name)} answered neither a value nor issues`)
}

function assertSchema(name: string, schema: unknown): void {
  if (typeof (schema as Schema | undefined)?.['~standard']?.validate !== 'function') {
    throw new ProtocolError(
      'INVALID_EVENT',
      `the schema of ${quote(name)} is ${quote(schema)}; it must be a Standard Schema (zod, valibot, arktype …)`,
    )
  }
}

/** Nothing was defined: any name, and `data` is `unknown`. */
type Untyped<Definitions extends EventDefinitions> = string extends keyof Definitions['entities'] ? true : false

type DataOf<S> = S extends StandardSchemaV1 ? StandardSchemaV1.InferOutput<S> : unknown

/** The entities that may be named. */
export type EntityName<Definitions extends EventDefinitions> = keyof Definitions['entities'] & string

/** The named types that may be published. */
export type NamedType<Definitions extends EventDefinitions> =
  Untyped<Definitions> extends true ? `${string}:${string}` : keyof Definitions['named'] & `${string}:${string}`

/** `data` of an entity's events. */
export type EntityData<Definitions extends EventDefinitions, Entity extends string> = DataOf<
  Definitions['entities'][Entity]
>

/** `data` of a named type's events. */
export type NamedData<Definitions extends EventDefinitions, Type extends string> = DataOf<Definitions['named'][Type]>

/** The event of one entity, with its data. */
export type EntityEventOf<
  Definitions extends EventDefinitions,
  Entity extends EntityName<Definitions> = EntityName<Definitions>,
> =
  Untyped<Definitions> extends true
    ? EntityEvent
    : Entity extends string
      ? EntityEvent<EntityData<Definitions, Entity>, Entity>
      : never

/** The event of one named type, with its data. */
export type NamedEventOf<
  Definitions extends EventDefinitions,
  Type extends string = NamedType<Definitions>,
> = Type extends string ? NamedEvent<Type, NamedData<Definitions, Type>> : never

/** Whatever these definitions can publish. */
export type EventOf<Definitions extends EventDefinitions> =
  Untyped<Definitions> extends true ? ProjectEvent : EntityEventOf<Definitions> | NamedEventOf<Definitions>

/** What a handler of this pattern is given. */
export type EventForPattern<Definitions extends EventDefinitions, Pattern extends string> =
  Untyped<Definitions> extends true
    ? EntityEvent
    : Pattern extends `${infer Entity}:${string}`
      ? Entity extends EntityName<Definitions>
        ? EntityEventOf<Definitions, Entity>
        : EntityEventOf<Definitions>
      : EntityEventOf<Definitions>

/** For a union of texts of which an editor is to offer those that are known: without it the wider one takes them in. */
type OrAny<Text extends string> = Text & Record<never, never>

/** The patterns that can match. */
export type PatternOf<Definitions extends EventDefinitions> =
  Untyped<Definitions> extends true
    ? string
    : '*' | `${EntityName<Definitions>}:*` | OrAny<`${EntityName<Definitions>}:${string}`>

/** The type patterns that can match: `*`, a type, or how types begin, up to a `.` or `:`, with `*` behind it. */
export type TypePatternOf<Definitions extends EventDefinitions> =
  Untyped<Definitions> extends true
    ? '*' | 'entity.*' | EntityEventType | OrAny<string>
    : '*' | 'entity.*' | EntityEventType | WithPrefixes<NamedType<Definitions> | PresenceEvent['type']>

type WithPrefixes<Type extends string> = Type | `${PrefixOf<Type, ':'> | PrefixOf<Type, '.'>}*`

// `Before` and not a prefix around the rest: comparing two of that, of two declarations, the compiler does not come to an end.
type PrefixOf<
  Text extends string,
  Separator extends ':' | '.',
  Before extends string = '',
> = Text extends `${infer Head}${Separator}${infer Tail}`
  ? `${Before}${Head}${Separator}` | PrefixOf<Tail, Separator, `${Before}${Head}${Separator}`>
  : never

/** What a hub with `presence` publishes by itself, whatever is defined. */
type PresenceEvent = NamedEvent<'user:joined', { userId: string }> | NamedEvent<'user:left', { userId: string }>

/** What a handler of this type pattern is given. */
export type EventForType<Definitions extends EventDefinitions, Pattern extends string> = Pattern extends unknown
  ? string extends Pattern
    ? EventOf<Definitions>
    : Pattern extends '*'
      ? EventOf<Definitions>
      : Pattern extends 'entity.*'
        ? EntityEventOf<Definitions>
        : Pattern extends 'entity.batch'
          ? Extract<EntityEventOf<Definitions>, BatchEntityEvent>
          : Pattern extends EntityEventType
            ? Extract<EntityEventOf<Definitions>, SingleEntityEvent>
            : NamedEventForType<Definitions, NamedTypes<Pattern>>
  : never

/** The named types that a type pattern names, as a template. */
type NamedTypes<Pattern extends string> = Pattern extends `${infer Prefix}:*`
  ? `${Prefix}:${string}`
  : Pattern extends `${infer Prefix}.*`
    ? `${Prefix}.${string}:${string}`
    : Pattern

type NamedEventForType<Definitions extends EventDefinitions, Types extends string> =
  Untyped<Definitions> extends true
    ? NamedEvent<Types>
    :
        | NamedEventOf<Definitions, Extract<NamedType<Definitions>, Types>>
        | Exclude<Extract<PresenceEvent, { type: Types }>, { type: NamedType<Definitions> }>
