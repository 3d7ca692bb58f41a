import { type ConnectionState, EventSubscriber } from '@entitycast/sse-client'
import { connection$, connectionState$, fromPattern, fromType, resync$ } from '@entitycast/sse-client/rxjs'
import { createFakeServer } from '@entitycast/sse-client/testing'
import { defineEvents } from '@entitycast/sse-protocol'
import { BehaviorSubject, config, Subscription } from 'rxjs'
import { afterAll, beforeAll, expect, expectTypeOf, it, vi } from 'vitest'
import { z } from 'zod'
import { bindingSuite } from './binding-suite'

/** A busy machine may need it. */
const WAIT = { timeout: 15_000 }

/** What an observer throws, RxJS throws again in a task of its own, unless it is told whom to tell. */
const thrown: unknown[] = []
beforeAll(() => {
  config.onUnhandledError = (error) => thrown.push(error)
})
afterAll(async () => {
  // One test of the suite has a handler that fails.
  await vi.waitFor(() => expect(thrown).toEqual([new Error('of the handler')]), WAIT)
  config.onUnhandledError = null
})

bindingSuite({
  name: 'rxjs',
  mount({ subscriber, pattern, handler, onResync }) {
    const newest = new BehaviorSubject(handler)
    const shown: string[] = []
    const all = new Subscription()
    all.add(connectionState$(subscriber).subscribe((state) => (shown[0] = state)))
    all.add(connection$(subscriber).subscribe(({ state }) => (shown[1] = state)))
    all.add(fromPattern(subscriber, pattern).subscribe((event) => newest.value(event)))
    all.add(resync$(subscriber).subscribe(({ reason }) => onResync(reason)))
    return { shown: () => [...shown], handle: (next) => newest.next(next), unmount: () => all.unsubscribe() }
  },
})

it('fromType is given the events of its types, until it is unsubscribed', async () => {
  const server = createFakeServer()
  const subscriber = server.subscriber()
  const got: unknown[] = []
  const subscription = fromType(subscriber, 'lock:*').subscribe(({ type, data }) => got.push([type, data]))
  await server.connect(subscriber)
  await server.push(
    { type: 'lock:acquired', data: 1 },
    { type: 'metrics:updated', data: 2 },
    { type: 'lock:released', data: 3 },
  )
  subscription.unsubscribe()
  await server.push({ type: 'lock:acquired', data: 4 })
  expect(got).toEqual([
    ['lock:acquired', 1],
    ['lock:released', 3],
  ])
  server.close()
})

it('a state is told once, however often the snapshot changes', async () => {
  const server = createFakeServer()
  const subscriber = server.subscriber()
  subscriber.onError(() => {})
  const states: ConnectionState[] = []
  const subscription = connectionState$(subscriber).subscribe((state) => states.push(state))
  server.status(503, { times: 3 })
  await server.connect(subscriber)
  await server.advance(60_000)
  expect(server.requests).toHaveLength(4)
  expect(states).toEqual(['disconnected', 'connecting', 'reconnecting', 'connected'])
  subscription.unsubscribe()
  server.close()
})

it('a pattern that is none is an error of the observable', () => {
  const errors: unknown[] = []
  fromPattern(new EventSubscriber('https://app.test/'), 'no pattern').subscribe({
    error: (error) => errors.push(error.code),
  })
  expect(errors).toEqual(['INVALID_PATTERN'])
})

it('with defineEvents the pattern says the type of the events', () => {
  const events = defineEvents({
    entities: { document: z.object({ chunks: z.number() }) },
    named: { 'lock:acquired': z.object({ by: z.string() }), 'lock:released': z.object({ at: z.number() }) },
  })
  const updates = new EventSubscriber<typeof events>('https://app.test/')
  fromPattern(updates, 'document:*').subscribe(({ data }) =>
    expectTypeOf(data).toEqualTypeOf<{ chunks: number } | undefined>(),
  )
  fromType(updates, 'lock:acquired').subscribe(({ data }) => expectTypeOf(data).toEqualTypeOf<{ by: string }>())
  fromType(updates, 'lock:*').subscribe(({ type }) =>
    expectTypeOf(type).toEqualTypeOf<'lock:acquired' | 'lock:released'>(),
  )
  // @ts-expect-error no such entity is defined
  fromPattern(updates, 'dokument:*')
})
