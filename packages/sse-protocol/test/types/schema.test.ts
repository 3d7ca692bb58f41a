import type { InferOutput } from 'valibot'
import { describe, expectTypeOf, it } from 'vitest'
import type {
  BatchEntityEvent,
  BatchEntityEventSchema,
  ClosingData,
  ConnectedData,
  ControlEventSchemas,
  EntityEvent,
  EntityEventSchema,
  EventInput,
  HeartbeatData,
  NamedEvent,
  NamedEventSchema,
  ResyncData,
  SingleEntityEvent,
  SingleEntityEventSchema,
} from '../../src/index'

/** Without the fields that are there only to say "never": a schema leaves them out. */
type Present<Event> = Event extends unknown
  ? { [Field in keyof Event as [Event[Field]] extends [undefined] ? never : Field]: Event[Field] }
  : never

/** The same type as one object: `A & B` and interfaces are written out. */
type Plain<Type> = Type extends unknown ? { [Field in keyof Type]: Type[Field] } : never

/** Optional fields as they are without `exactOptionalPropertyTypes`, so that `x?: T` and `x?: T | undefined` are one. */
type Loose<Type> = Type extends unknown
  ? { [Field in keyof Type]: Type[Field] | (undefined extends Type[Field] ? undefined : never) }
  : never

describe('a type that is written by hand and the schema beside it say the same', () => {
  it('SingleEntityEvent, BatchEntityEvent and EntityEvent', () => {
    expectTypeOf<Plain<InferOutput<typeof SingleEntityEventSchema>>>().toEqualTypeOf<
      Loose<Present<SingleEntityEvent>>
    >()
    expectTypeOf<Plain<InferOutput<typeof BatchEntityEventSchema>>>().toEqualTypeOf<Loose<Present<BatchEntityEvent>>>()
    expectTypeOf<InferOutput<typeof EntityEventSchema>>().toExtend<EntityEvent>()
    expectTypeOf<EntityEvent>().toExtend<InferOutput<typeof EntityEventSchema>>()
  })

  it('NamedEvent, but for its type, which a schema can only say as text', () => {
    type Inferred = InferOutput<typeof NamedEventSchema>
    expectTypeOf<Plain<Omit<Inferred, 'type'>>>().toEqualTypeOf<Plain<Omit<Loose<Present<NamedEvent>>, 'type'>>>()
    expectTypeOf<NamedEvent>().toExtend<Inferred>()
  })

  it('the data of control events', () => {
    type Control<Type extends keyof typeof ControlEventSchemas> = InferOutput<(typeof ControlEventSchemas)[Type]>
    expectTypeOf<Control<'connected'>>().toEqualTypeOf<Plain<ConnectedData>>()
    expectTypeOf<Control<'heartbeat'>>().toEqualTypeOf<Plain<HeartbeatData>>()
    expectTypeOf<Control<'resync'>>().toEqualTypeOf<Plain<ResyncData>>()
    expectTypeOf<Control<'closing'>>().toEqualTypeOf<Plain<ClosingData>>()
  })
})

describe('what may be published', () => {
  it('an event without its timestamp', () => {
    expectTypeOf<{ type: 'entity.updated'; entity: 'document'; id: 'a'; projectId: 'p' }>().toExtend<EventInput>()
    expectTypeOf<{
      type: 'entity.batch'
      entity: 'document'
      id: null
      ids: string[]
      projectId: 'p'
    }>().toExtend<EventInput>()
    expectTypeOf<{ type: 'a:b'; projectId: 'p'; data: 1 }>().toExtend<EventInput>()
    expectTypeOf<{
      type: 'entity.updated'
      entity: 'document'
      id: 'a'
      projectId: 'p'
      userId: string | undefined
      channel: undefined
      timestamp: undefined
      version: undefined
      data: undefined
    }>().toExtend<EventInput>()
    expectTypeOf<EntityEvent>().toExtend<EventInput>()
    expectTypeOf<NamedEvent>().toExtend<EventInput>()
  })

  it('and nothing that encodeEvent would refuse by its shape', () => {
    expectTypeOf<{ type: 'entity.updated'; entity: 'document'; projectId: 'p' }>().not.toExtend<EventInput>()
    expectTypeOf<{ type: 'entity.updated'; entity: 'document'; id: 7; projectId: 'p' }>().not.toExtend<EventInput>()
    expectTypeOf<{ type: 'entity.renamed'; entity: 'document'; id: 'a'; projectId: 'p' }>().not.toExtend<EventInput>()
    expectTypeOf<{
      type: 'entity.updated'
      entity: 'document'
      id: 'a'
      ids: ['a']
      projectId: 'p'
    }>().not.toExtend<EventInput>()
    expectTypeOf<{ type: 'entity.batch'; entity: 'document'; id: null; projectId: 'p' }>().not.toExtend<EventInput>()
    expectTypeOf<{ type: 'a:b'; projectId: 'p'; data: 1; id: 'a' }>().not.toExtend<EventInput>()
    expectTypeOf<{ type: 'locked'; projectId: 'p'; data: 1 }>().not.toExtend<EventInput>()
  })
})
