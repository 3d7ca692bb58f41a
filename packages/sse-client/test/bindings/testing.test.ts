import { EventSubscriber } from '@entitycast/sse-client'
import { createFakeServer, type FakeServerOptions } from '@entitycast/sse-client/testing'
import { expect, it, onTestFinished } from 'vitest'

/** A fake server, a subscriber of it, and what that was told. */
function scene(options: FakeServerOptions = {}, since?: string) {
  const server = createFakeServer(options)
  const subscriber = server.subscriber({ since })
  const story: unknown[] = []
  subscriber.on('*', ({ id, type }) => story.push(id ?? type))
  subscriber.onResync(({ reason }) => story.push(`resync ${reason}`))
  subscriber.onState((state) => story.push(state))
  subscriber.onError(({ code }) => story.push(code))
  onTestFinished(() => server.close())
  /** What was told since the last look. */
  const told = () => story.splice(0)
  return { server, subscriber, told }
}

const updated = (id: string) => ({ type: 'entity.updated', entity: 'document', id }) as const

it('push reaches whoever is connected, as a whole event with the time of the clock', async () => {
  const { server, subscriber } = scene()
  const events: unknown[] = []
  subscriber.subscribe('document:*', (event) => events.push(event))
  await server.connect(subscriber)
  await server.push({ ...updated('a'), data: { chunks: 1 }, version: 3 })
  expect(events).toEqual([
    {
      type: 'entity.updated',
      entity: 'document',
      id: 'a',
      projectId: 'proj_1',
      timestamp: '2026-01-01T00:00:00.000Z',
      data: { chunks: 1 },
      version: 3,
    },
  ])
})

it('push refuses what a hub refuses', async () => {
  const { server } = scene()
  await expect(server.push({ type: 'no type' as 'a:b', data: 1 })).rejects.toMatchObject({ code: 'INVALID_TYPE' })
})

it('[D3] what is pushed after a drop is replayed when time passes and the subscriber is back', async () => {
  const { server, subscriber, told } = scene()
  await server.connect(subscriber)
  await server.push(updated('a'))
  expect(told()).toEqual(['connecting', 'connected', 'a'])
  await server.drop()
  await server.push(updated('b'))
  expect(told()).toEqual(['NETWORK', 'reconnecting'])
  await server.advance(1_000)
  expect(told()).toEqual(['connected', 'b'])
  expect(server.requests.map(({ headers }) => headers['last-event-id'])).toEqual([undefined, 'fake1.1'])
})

it('[D4] gap tells who is connected to load again, and who comes back with an old cursor too', async () => {
  const { server, subscriber, told } = scene()
  await server.connect(subscriber)
  await server.push(updated('a'))
  told()
  await server.gap()
  expect(told()).toContain('resync broker-gap')
  await server.push(updated('b'))
  await server.drop()
  await server.gap()
  await server.advance(10_000)
  expect(told()).toContain('resync epoch')
})

it('status answers requests until it is 200 again, or as often as it says', async () => {
  const { server, subscriber, told } = scene()
  server.status(503, { times: 2, retryAfterMs: 7_000 })
  await server.connect(subscriber)
  expect(told()).toEqual(['connecting', 'UNAVAILABLE', 'reconnecting'])
  await server.advance(6_900)
  expect(server.requests).toHaveLength(1)
  await server.advance(20_000)
  expect([server.requests.length, subscriber.state]).toEqual([3, 'connected'])

  server.status(401)
  await server.drop()
  await server.advance(60_000)
  expect(told()).toContain('UNAUTHORIZED')
  expect(subscriber.state).toBe('disconnected')
  server.status(200)
  await server.connect(subscriber)
  expect(subscriber.state).toBe('connected')
})

it('[D9] silence is noticed after three heartbeats, and not where they go on', async () => {
  const { server, subscriber, told } = scene({ heartbeatMs: 10_000 })
  await server.connect(subscriber)
  await server.advance(120_000)
  expect(told()).toEqual(['connecting', 'connected'])
  server.silence()
  await server.advance(29_000)
  expect(told()).toEqual([])
  await server.advance(1_000)
  expect(told()).toContain('SILENT')
  await server.advance(1_000)
  expect([subscriber.state, server.connections]).toEqual(['connected', 1])
})

it('after sleep the page is up to date as soon as it is looked at', async () => {
  const { server, subscriber, told } = scene()
  await server.connect(subscriber)
  await server.sleep(3_600_000)
  await server.push(updated('a'))
  told()
  await server.wake()
  expect(told()).toEqual(expect.arrayContaining(['a', 'connected']))
  expect(server.connections).toBe(1)
})

it('a subscriber of channels gets their events only', async () => {
  const server = createFakeServer()
  const subscriber = server.subscriber({ channels: ['validation', 'default'] })
  const got: unknown[] = []
  subscriber.on('*', ({ id }) => got.push(id))
  await server.connect(subscriber)
  await server.push(updated('a'), { ...updated('b'), channel: 'locks' }, { ...updated('c'), channel: 'validation' })
  expect(got).toEqual(['a', 'c'])
  server.close()
})

it('`cursor` is where rows are loaded at: since that, nothing is missed', async () => {
  const server = createFakeServer()
  await server.push(updated('a'))
  const subscriber = server.subscriber({ since: server.cursor })
  const got: unknown[] = []
  subscriber.on('*', ({ id }) => got.push(id))
  await server.push(updated('b'))
  await server.connect(subscriber)
  expect(got).toEqual(['b'])
  server.close()
})

it('another project is refused', async () => {
  const { server } = scene({ projectId: 'mine' })
  const other = server.subscriber({ projectId: 'other' })
  const codes: string[] = []
  other.onError(({ code }) => codes.push(code))
  await server.connect(other)
  expect(codes).toEqual(['FORBIDDEN'])
})

it("fetch and ports serve a subscriber of the application's own", async () => {
  const server = createFakeServer()
  const subscriber = new EventSubscriber('/api/events/stream', { fetch: server.fetch }, server.ports)
  await server.connect(subscriber)
  expect(subscriber.state).toBe('connected')
  subscriber.close()
  expect([server.connections, server.clock.pending]).toEqual([0, 0])
})

it('[K9] close leaves neither a stream nor a timer', async () => {
  const { server, subscriber } = scene()
  await server.connect(subscriber)
  expect(server.clock.pending).toBeGreaterThan(0)
  server.close()
  expect([subscriber.state, server.connections, server.clock.pending]).toEqual(['disconnected', 0, 0])
})
