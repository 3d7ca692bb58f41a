import * as v from 'valibot'
import { describe, expect, expectTypeOf, it } from 'vitest'
import { z } from 'zod'
import {
  type BatchEntityEvent,
  checkDefinedData,
  defineEvents,
  type EntityData,
  type EntityEvent,
  type EntityEventOf,
  type EntityName,
  type EventDefinitions,
  type EventForPattern,
  type EventForType,
  type EventOf,
  type NamedData,
  type NamedEvent,
  type NamedType,
  type PatternOf,
  type ProjectEvent,
  type SingleEntityEvent,
  type TypePatternOf,
} from '../../src/index'
import { codeOf } from '../vectors'

/*
 * The types are proven by `tsc` (`npm run typecheck`); run, these tests prove that the values work too.
 */

const withZod = defineEvents({
  entities: {
    document: z.object({ embeddedChunks: z.number(), name: z.string() }).partial(),
    chunk: z.object({ status: z.enum(['pending', 'embedded']) }),
  },
  named: {
    'lock:acquired': z.object({ entityId: z.number() }),
    'lock:released': z.null(),
    'billing.invoice:paid': z.object({ amount: z.number() }),
  },
})
const withValibot = defineEvents({
  entities: { document: v.partial(v.object({ embeddedChunks: v.number(), name: v.string() })) },
  named: { 'lock:acquired': v.object({ entityId: v.number() }) },
})
type Zod = typeof withZod
type Valibot = typeof withValibot
type Untyped = EventDefinitions

type Document = { embeddedChunks?: number | undefined; name?: string | undefined }
type Chunk = { status: 'pending' | 'embedded' }

describe('defineEvents with zod', () => {
  it('names entities, named types and their data', () => {
    expectTypeOf<EntityName<Zod>>().toEqualTypeOf<'document' | 'chunk'>()
    expectTypeOf<NamedType<Zod>>().toEqualTypeOf<'lock:acquired' | 'lock:released' | 'billing.invoice:paid'>()
    expectTypeOf<EntityData<Zod, 'document'>>().toEqualTypeOf<Document>()
    expectTypeOf<EntityData<Zod, 'chunk'>>().toEqualTypeOf<Chunk>()
    expectTypeOf<NamedData<Zod, 'lock:acquired'>>().toEqualTypeOf<{ entityId: number }>()
    expectTypeOf<NamedData<Zod, 'lock:released'>>().toEqualTypeOf<null>()
    expectTypeOf<EventOf<Zod>>().toExtend<ProjectEvent>()
  })

  it('gives a handler the events that its pattern names', () => {
    expectTypeOf<EventForPattern<Zod, 'document:*'>>().toEqualTypeOf<EntityEvent<Document, 'document'>>()
    expectTypeOf<EventForPattern<Zod, 'document:urn:doc:1'>>().toEqualTypeOf<EntityEvent<Document, 'document'>>()
    expectTypeOf<EventForPattern<Zod, `chunk:${string}`>>().toEqualTypeOf<EntityEvent<Chunk, 'chunk'>>()
    expectTypeOf<EventForPattern<Zod, '*'>>().toEqualTypeOf<EntityEventOf<Zod>>()
    expectTypeOf<EventForPattern<Zod, string>>().toEqualTypeOf<EntityEventOf<Zod>>()
    expectTypeOf<EventForPattern<Zod, 'document:a' | 'chunk:b'>>().toEqualTypeOf<EntityEventOf<Zod>>()
    expectTypeOf<EventForPattern<Zod, 'document:*'>['data']>().toEqualTypeOf<Document | undefined>()
    expectTypeOf<EventForPattern<Zod, 'document:*'>['entity']>().toEqualTypeOf<'document'>()
  })

  it('allows only patterns that can match', () => {
    expectTypeOf<'document:*'>().toExtend<PatternOf<Zod>>()
    expectTypeOf<'chunk:c:1'>().toExtend<PatternOf<Zod>>()
    expectTypeOf<'*'>().toExtend<PatternOf<Zod>>()
    expectTypeOf<'folder:*'>().not.toExtend<PatternOf<Zod>>()
    expectTypeOf<'document'>().not.toExtend<PatternOf<Zod>>()
  })

  it('knows the type patterns that can match, so that a misspelt one is found and an editor offers the others', () => {
    expectTypeOf<TypePatternOf<Zod>>().toEqualTypeOf<
      | '*'
      | 'entity.*'
      | 'entity.created'
      | 'entity.updated'
      | 'entity.deleted'
      | 'entity.batch'
      | 'lock:acquired'
      | 'lock:released'
      | 'lock:*'
      | 'billing.invoice:paid'
      | 'billing.invoice:*'
      | 'billing.*'
      | 'user:joined'
      | 'user:left'
      | 'user:*'
    >()
    expectTypeOf<string>().toExtend<TypePatternOf<EventDefinitions>>()
  })

  it('gives a handler who comes and goes, which a hub with presence publishes by itself', () => {
    type Came = NamedEvent<'user:joined', { userId: string }>
    type Left = NamedEvent<'user:left', { userId: string }>
    expectTypeOf<EventForType<Zod, 'user:joined'>>().toEqualTypeOf<Came>()
    expectTypeOf<EventForType<Zod, 'user:*'>>().toEqualTypeOf<Came | Left>()
    const own = defineEvents({ named: { 'user:joined': z.object({ userId: z.string(), name: z.string() }) } })
    type Own = NamedEvent<'user:joined', { userId: string; name: string }>
    expectTypeOf<EventForType<typeof own, 'user:joined'>>().toEqualTypeOf<Own>()
    expectTypeOf<EventForType<typeof own, 'user:*'>>().toEqualTypeOf<Own | Left>()
  })

  it('gives a handler the events that its type pattern names', () => {
    type Acquired = NamedEvent<'lock:acquired', { entityId: number }>
    type Released = NamedEvent<'lock:released', null>
    type Paid = NamedEvent<'billing.invoice:paid', { amount: number }>
    expectTypeOf<EventForType<Zod, 'lock:acquired'>>().toEqualTypeOf<Acquired>()
    expectTypeOf<EventForType<Zod, 'lock:*'>>().toEqualTypeOf<Acquired | Released>()
    expectTypeOf<EventForType<Zod, 'billing.*'>>().toEqualTypeOf<Paid>()
    expectTypeOf<EventForType<Zod, 'billing.invoice:*'>>().toEqualTypeOf<Paid>()
    expectTypeOf<EventForType<Zod, 'metrics:*'>>().toEqualTypeOf<never>()
    expectTypeOf<EventForType<Zod, 'entity.*'>>().toEqualTypeOf<EntityEventOf<Zod>>()
    expectTypeOf<EventForType<Zod, 'entity.batch'>>().toEqualTypeOf<
      BatchEntityEvent<Document, 'document'> | BatchEntityEvent<Chunk, 'chunk'>
    >()
    expectTypeOf<EventForType<Zod, 'entity.deleted'>>().toEqualTypeOf<
      SingleEntityEvent<Document, 'document'> | SingleEntityEvent<Chunk, 'chunk'>
    >()
    expectTypeOf<EventForType<Zod, '*'>>().toEqualTypeOf<EventOf<Zod>>()
    expectTypeOf<EventForType<Zod, string>>().toEqualTypeOf<EventOf<Zod>>()
    expectTypeOf<EventForType<Zod, 'lock:acquired' | 'entity.*'>>().toEqualTypeOf<Acquired | EntityEventOf<Zod>>()
  })

  it('narrows by type, as a handler does', () => {
    const handle = (event: EventForType<Zod, '*'>) => {
      if (event.type === 'lock:acquired') expectTypeOf(event.data).toEqualTypeOf<{ entityId: number }>()
      else if (event.type === 'entity.batch') expectTypeOf(event.ids).toEqualTypeOf<string[]>()
      else if (event.type === 'entity.updated') expectTypeOf(event.id).toEqualTypeOf<string>()
      if (event.entity === 'chunk') expectTypeOf(event.data).toEqualTypeOf<Chunk | undefined>()
    }
    expect(handle).toBeTypeOf('function')
  })
})

describe('defineEvents with valibot', () => {
  it('gives the same types', () => {
    expectTypeOf<EntityData<Valibot, 'document'>>().toEqualTypeOf<Document>()
    expectTypeOf<EventForPattern<Valibot, 'document:*'>>().toEqualTypeOf<EntityEvent<Document, 'document'>>()
    expectTypeOf<EventForType<Valibot, 'lock:*'>>().toEqualTypeOf<NamedEvent<'lock:acquired', { entityId: number }>>()
  })
})

describe('with nothing defined', () => {
  it('every name is allowed, and data is unknown', () => {
    expectTypeOf<EntityName<Untyped>>().toEqualTypeOf<string>()
    expectTypeOf<NamedType<Untyped>>().toEqualTypeOf<`${string}:${string}`>()
    expectTypeOf<PatternOf<Untyped>>().toEqualTypeOf<string>()
    expectTypeOf<EventForPattern<Untyped, 'document:*'>>().toEqualTypeOf<EntityEvent>()
    expectTypeOf<EventForPattern<Untyped, 'document:*'>['data']>().toEqualTypeOf<unknown>()
    expectTypeOf<EventForType<Untyped, '*'>>().toEqualTypeOf<ProjectEvent>()
    expectTypeOf<EventForType<Untyped, string>>().toEqualTypeOf<ProjectEvent>()
    expectTypeOf<EventForType<Untyped, 'entity.*'>>().toEqualTypeOf<EntityEvent>()
    expectTypeOf<EventForType<Untyped, 'entity.updated'>>().toEqualTypeOf<SingleEntityEvent>()
    expectTypeOf<EventForType<Untyped, 'lock:acquired'>>().toEqualTypeOf<NamedEvent<'lock:acquired'>>()
    expectTypeOf<EventForType<Untyped, 'lock:*'>>().toEqualTypeOf<NamedEvent<`lock:${string}`>>()
    expectTypeOf<EventForType<Untyped, 'billing.*'>>().toEqualTypeOf<NamedEvent<`billing.${string}:${string}`>>()
  })

  it('definitions of only one kind leave the other empty', () => {
    const onlyNamed = defineEvents({ named: { 'a:b': z.number() } })
    const onlyEntities = defineEvents({ entities: { document: z.number() } })
    expectTypeOf<EntityName<typeof onlyNamed>>().toEqualTypeOf<never>()
    expectTypeOf<EventOf<typeof onlyNamed>>().toEqualTypeOf<NamedEvent<'a:b', number>>()
    expectTypeOf<NamedType<typeof onlyEntities>>().toEqualTypeOf<never>()
    expectTypeOf<EventOf<typeof onlyEntities>>().toEqualTypeOf<EntityEvent<number, 'document'>>()
  })

  it('any definitions are EventDefinitions', () => {
    expectTypeOf<Zod>().toExtend<EventDefinitions>()
    expectTypeOf<Valibot>().toExtend<EventDefinitions>()
  })
})

describe('what defineEvents refuses', () => {
  const schema = z.number()
  const define = (definitions: object) => codeOf(() => defineEvents(definitions))

  it('names that cannot be published', () => {
    expect(define({ entities: { 'my document': schema } })).toBe('INVALID_ENTITY')
    expect(define({ named: { locked: schema } })).toBe('INVALID_TYPE')
    expect(define({ named: { 'entity.updated': schema } })).toBe('INVALID_TYPE')
    expect(define({ named: { 'entity.updated:twice': schema } })).toBe('INVALID_TYPE')
  })

  it('what is no Standard Schema', () => {
    for (const wrong of [undefined, null, {}, { type: 'number' }, () => true, { '~standard': {} }]) {
      expect(define({ entities: { document: wrong } })).toBe('INVALID_EVENT')
      expect(define({ named: { 'a:b': wrong } })).toBe('INVALID_EVENT')
    }
  })
})

describe('checkDefinedData', () => {
  const check = (event: { type: string; entity?: string; data?: unknown }, definitions: EventDefinitions = withZod) =>
    checkDefinedData(definitions, event)

  it('returns what the schema returns', () => {
    expect(check({ type: 'entity.updated', entity: 'document', data: { name: 'a', extra: 1 } })).toEqual({ name: 'a' })
    expect(check({ type: 'lock:acquired', data: { entityId: 7 } }, withValibot)).toEqual({ entityId: 7 })
    expect(check({ type: 'entity.batch', entity: 'chunk', data: { status: 'embedded' } })).toEqual({
      status: 'embedded',
    })
  })

  it('an entity event without data needs none; a named event always has what its schema says', () => {
    expect(check({ type: 'entity.deleted', entity: 'chunk' })).toBeUndefined()
    expect(codeOf(() => check({ type: 'lock:acquired' }))).toBe('INVALID_DATA')
    expect(check({ type: 'lock:released', data: null })).toBeNull()
  })

  it('refuses data that does not fit, and says where', () => {
    expect(codeOf(() => check({ type: 'entity.updated', entity: 'chunk', data: { status: 'lost' } }))).toBe(
      'INVALID_DATA',
    )
    expect(() => check({ type: 'entity.updated', entity: 'chunk', data: { status: 'lost' } })).toThrow('at "status"')
    expect(() => check({ type: 'lock:acquired', data: {} }, withValibot)).toThrow('at "entityId"')
  })

  it('refuses what is not defined, also where an object has such a property anyway', () => {
    for (const entity of ['folder', 'toString', '__proto__', 'constructor', undefined]) {
      expect(codeOf(() => check({ type: 'entity.updated', entity, data: {} }))).toBe('UNKNOWN_EVENT')
    }
    expect(codeOf(() => check({ type: 'metrics:updated', data: 1 }))).toBe('UNKNOWN_EVENT')
  })

  it('refuses a schema that is asynchronous or throws, and leaves no rejection behind', () => {
    const schema = (validate: () => unknown) =>
      ({
        named: { 'a:b': { '~standard': { version: 1, vendor: 'test', validate } } },
        entities: {},
      }) as unknown as EventDefinitions
    expect(
      codeOf(() =>
        check(
          { type: 'a:b', data: 1 },
          schema(async () => ({ value: 1 })),
        ),
      ),
    ).toBe('INVALID_DATA')
    expect(
      codeOf(() =>
        check(
          { type: 'a:b', data: 1 },
          schema(() => Promise.reject(new Error('late'))),
        ),
      ),
    ).toBe('INVALID_DATA')
    const broken = schema(() => {
      throw new Error('broken')
    })
    expect(codeOf(() => check({ type: 'a:b', data: 1 }, broken))).toBe('INVALID_DATA')
    // Promises of other libraries, and of other realms, are not `instanceof Promise`.
    const foreign = schema(() => ({
      // biome-ignore lint/suspicious/noThenProperty: this is what it is about
      then: (_: unknown, reject: (error: Error) => void) => reject(new Error('late')),
    }))
    expect(codeOf(() => check({ type: 'a:b', data: 1 }, foreign))).toBe('INVALID_DATA')
  })

  it('refuses what is no answer of a schema: data that was checked is never left out in silence', () => {
    for (const answer of [undefined, null, true, {}]) {
      const definitions = {
        named: { 'a:b': { '~standard': { version: 1, vendor: 'test', validate: () => answer } } },
        entities: {},
      } as unknown as EventDefinitions
      expect(codeOf(() => check({ type: 'a:b', data: 1 }, definitions))).toBe('INVALID_DATA')
    }
  })
})
