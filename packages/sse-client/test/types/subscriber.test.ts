import {
  type BatchEntityEvent,
  defineEvents,
  type EntityEvent,
  type EventDefinitions,
  type NamedEvent,
  type ProjectEvent,
  type SingleEntityEvent,
} from '@entitycast/sse-protocol'
import * as v from 'valibot'
import { expectTypeOf, test } from 'vitest'
import { z } from 'zod'
import {
  applyEntityEvent,
  type ConnectionState,
  EventSubscriber,
  type Fetch,
  type SubscriberError,
} from '../../src/index'

const events = defineEvents({
  entities: { document: z.object({ embeddedChunks: z.number() }).partial(), chunk: v.object({ status: v.string() }) },
  named: { 'lock:acquired': z.object({ entityId: z.number() }), 'lock:released': z.object({ by: z.string() }) },
})

interface DocumentData {
  embeddedChunks?: number | undefined
}

const url = 'https://app.test/api/events/stream'

test('[N5] with defineEvents the pattern says which data a handler is given', () => {
  const updates = new EventSubscriber<typeof events>(url)
  updates.subscribe('document:*', (event) => {
    expectTypeOf(event.entity).toEqualTypeOf<'document'>()
    expectTypeOf(event.data).toEqualTypeOf<DocumentData | undefined>()
  })
  updates.subscribe('chunk:c1', ({ data }) => expectTypeOf(data).toEqualTypeOf<{ status: string } | undefined>())
  updates.subscribe('*', (event) => {
    if (event.entity === 'chunk') expectTypeOf(event.data).toEqualTypeOf<{ status: string } | undefined>()
  })
  // @ts-expect-error no such entity is defined
  updates.subscribe('dokument:*', () => {})
})

test('[N6] with defineEvents the type pattern says which events a handler is given', () => {
  const updates = new EventSubscriber<typeof events>(url)
  updates.on('lock:acquired', ({ data }) => expectTypeOf(data).toEqualTypeOf<{ entityId: number }>())
  updates.on('lock:*', (event) => {
    if (event.type === 'lock:released') expectTypeOf(event.data).toEqualTypeOf<{ by: string }>()
    expectTypeOf(event.type).toEqualTypeOf<'lock:acquired' | 'lock:released'>()
  })
  updates.on('entity.batch', (event) => expectTypeOf(event.ids).toEqualTypeOf<string[]>())
  // @ts-expect-error misspelt: it would never be called
  updates.on('lock:aquired', () => {})
  updates.on('entity.deleted', (event) => expectTypeOf(event.id).toEqualTypeOf<string>())
})

test('without defineEvents any names will do, and data is unknown', () => {
  const updates = new EventSubscriber(url)
  updates.subscribe('anything:*', (event) => expectTypeOf(event).toEqualTypeOf<EntityEvent>())
  updates.on('lock:acquired', (event) => expectTypeOf(event).toEqualTypeOf<NamedEvent<'lock:acquired'>>())
  updates.on('*', (event) => expectTypeOf(event).toEqualTypeOf<ProjectEvent>())
  updates.on('entity.batch', (event) => expectTypeOf(event).toEqualTypeOf<BatchEntityEvent>())
  updates.on('entity.updated', (event) => expectTypeOf(event).toEqualTypeOf<SingleEntityEvent>())
  const pattern: string = 'from:configuration'
  updates.subscribe(pattern, (event) => expectTypeOf(event).toEqualTypeOf<EntityEvent>())
})

test('handlers may be async, and off is a function', () => {
  const updates = new EventSubscriber(url)
  expectTypeOf(updates.subscribe('*', async () => {})).toEqualTypeOf<() => void>()
  // What returns void is not waited for: a linter would say so of each async handler, and of the promise that onResync wants.
  expectTypeOf(updates.onResync).parameter(0).returns.toEqualTypeOf<unknown>()
  expectTypeOf(updates.onState).parameter(0).returns.toEqualTypeOf<unknown>()
  expectTypeOf(updates.onError).parameter(0).returns.toEqualTypeOf<unknown>()
  expectTypeOf(updates.subscribe<'*'>)
    .parameter(1)
    .returns.toEqualTypeOf<unknown>()
  expectTypeOf(updates.on<'*'>)
    .parameter(1)
    .returns.toEqualTypeOf<unknown>()
  expectTypeOf(updates.onResync(async ({ reason }) => void reason.length)).toEqualTypeOf<() => void>()
  updates.onState((state) => expectTypeOf(state).toEqualTypeOf<ConnectionState>())
  updates.onError((error) => expectTypeOf(error).toEqualTypeOf<SubscriberError>())
  expectTypeOf(updates.cursor).toEqualTypeOf<string | undefined>()
})

test("the platform's fetch and Headers fit", () => {
  expectTypeOf<typeof globalThis.fetch>().toExtend<Fetch>()
  new EventSubscriber(url, { fetch: globalThis.fetch, headers: new Headers() })
  new EventSubscriber(new URL(url), {
    headers: async ({ attempt, reason }) => ({ attempt: String(attempt), reason: reason ?? '' }),
  })
})

test('code for any subscriber takes it by its definitions', () => {
  const stateOf = <Definitions extends EventDefinitions>(updates: EventSubscriber<Definitions>) => updates.state
  const typed = new EventSubscriber<typeof events>(url)
  expectTypeOf(stateOf(typed)).toEqualTypeOf<ConnectionState>()
  expectTypeOf(stateOf(new EventSubscriber(url))).toEqualTypeOf<ConnectionState>()
})

test('[D5] rows keep their type', () => {
  const rows = [{ id: 'a', chunks: 1 }]
  const event = {} as EntityEvent
  const apply = () => applyEntityEvent(rows, event)
  expectTypeOf(apply).returns.toEqualTypeOf<{ id: string; chunks: number }[]>()
  // @ts-expect-error rows have no such field
  const bad = () => applyEntityEvent(rows, event, { key: 'uuid' })
  const good = () => applyEntityEvent(rows, event, { key: 'id', entity: 'document' })
  expectTypeOf([bad, good]).toBeArray()
})

test('a subscriber is closed by `using`, where the library has the symbol', () => {
  expectTypeOf<EventSubscriber>().toExtend<Disposable>()
})
