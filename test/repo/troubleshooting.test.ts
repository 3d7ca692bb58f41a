import { readFileSync } from 'node:fs'
import { applyEntityEvent, EventSubscriber, type Fetch, type SubscriberOptions } from '@entitycast/sse-client'
import { defineEvents } from '@entitycast/sse-protocol'
import { EventHub, type EventHubOptions, type EventStreamOptions } from '@entitycast/sse-server'
import { eventStream } from '@entitycast/sse-server/fetch'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { z } from 'zod'

/** A busy machine may need it. */
const WAIT = { timeout: 15_000 }

const page = readFileSync(new URL('../../docs/troubleshooting.md', import.meta.url), 'utf8')
const grant = { projectId: 'p1', userId: 'u1' }
const ends: (() => unknown)[] = []

afterEach(async () => {
  for (const end of ends.splice(0)) await end()
})

interface Scene {
  authorize?: EventStreamOptions<Request>['authorize']
  options?: SubscriberOptions
  hubOptions?: EventHubOptions
  query?: string
  answer?: () => Response
}

/** A hub and a subscriber of it, and what either says. */
function scene({ authorize = () => grant, options = {}, hubOptions = {}, query = '', answer }: Scene = {}) {
  const log: string[] = []
  const write = (message: string, details?: object) => void log.push(`${message} ${JSON.stringify(details)}`)
  const hub = new EventHub({ ...hubOptions, logger: { warn: write, error: write } })
  const stream = eventStream(hub, { authorize })
  const bodies: string[] = []
  const fetch = (async (url: string, init: RequestInit) => {
    const response = answer ? answer() : await stream(new Request(url, init))
    if (!response.ok) bodies.push(await response.clone().text())
    return response
  }) as unknown as Fetch
  const updates = new EventSubscriber(`https://app.test/stream${query}`, { fetch, ...options })
  const errors: { code: string; status: number | undefined; message: string }[] = []
  updates.onError(({ code, status, message }) => errors.push({ code, status, message }))
  ends.push(
    () => updates.close(),
    () => hub.close(),
  )
  return { hub, log, updates, errors, bodies }
}

/** The page says it, word for word. */
const onThePage = (text: string) => expect(page, text).toContain(text)

const noServer = (): Response => {
  throw new TypeError('fetch failed')
}

describe('[docs] docs/troubleshooting.md: who is refused is told why', () => {
  const refusals: [string, Scene, string, number | undefined, string][] = [
    ['no grant', { authorize: () => null }, 'UNAUTHORIZED', 401, ''],
    ['another project', { options: { projectId: 'p2' } }, 'FORBIDDEN', 403, 'PROJECT_MISMATCH'],
    [
      'a channel that is not granted',
      { authorize: () => ({ ...grant, channels: ['a'] }), options: { channels: ['b'] } },
      'FORBIDDEN',
      403,
      'CHANNEL_FORBIDDEN',
    ],
    ['a token in the address', { query: '?token=x' }, 'REFUSED', 400, 'CREDENTIALS_IN_URL'],
    ['too many streams', { hubOptions: { limits: { perUser: 1 } } }, 'UNAVAILABLE', 429, 'TOO_MANY_CONNECTIONS'],
    ['a grant that is none', { authorize: () => ({ ...grant, userId: 7 }) as never }, 'UNAVAILABLE', 500, 'BAD_GRANT'],
    ['a page in place of a stream', { answer: () => new Response('<!doctype html>') }, 'NOT_A_STREAM', 200, ''],
    ['no route', { answer: () => new Response('', { status: 404 }) }, 'NOT_FOUND', 404, ''],
    ['a redirect', { answer: () => new Response('', { status: 302 }) }, 'REDIRECTED', 302, ''],
    ['no server', { answer: noServer }, 'NETWORK', undefined, ''],
    ['headers that fail', { options: { headers: () => Promise.reject(new Error()) } }, 'HEADERS_FAILED', undefined, ''],
  ]

  it.each(refusals)('[docs] %s', async (title, given, code, status, inTheBody) => {
    const { updates, hub, errors, bodies } = scene(given)
    if (title === 'too many streams') {
      const first = scene()
      first.updates.connect()
      void eventStream(hub, { authorize: () => grant })(
        new Request('https://app.test/', { headers: { accept: 'text/event-stream' } }),
      )
      await vi.waitFor(() => expect(hub.connections()).toHaveLength(1), WAIT)
    }
    updates.connect()
    await vi.waitFor(() => expect(errors[0]).toMatchObject({ code, status }), 10_000)
    expect(bodies.join()).toContain(inTheBody)
    onThePage(`\`${code}\``)
    onThePage(inTheBody)
  })

  it.each([
    [{ ...grant, userId: 7 }, 'userId is 7; it must be 1 to 256 bytes of text'],
    [{ ...grant, expiresAt: 1_800_000_000 }, 'which looks like seconds; it must be milliseconds: exp * 1000'],
    [{ ...grant, channel: ['a'] }, 'is not a field of a grant; did you mean channels?'],
  ])('[docs] what is wrong with a grant is in the log: %o', async (wrong, text) => {
    const { updates, log } = scene({ authorize: () => wrong as never })
    updates.connect()
    await vi.waitFor(() => expect(log.join()).toContain(text), WAIT)
    onThePage(text)
  })

  it('[docs] a session that is not there yet is in the log', async () => {
    const { updates, log, errors } = scene({
      authorize: (request) => ({ projectId: (request as unknown as { session: { user: string } }).session.user }),
    })
    updates.connect()
    const text = 'TypeError: Cannot read properties of undefined'
    await vi.waitFor(() => expect(log.join()).toContain(text), WAIT)
    await vi.waitFor(() => expect(errors[0]).toMatchObject({ code: 'UNAVAILABLE', status: 503 }), WAIT)
    onThePage(text)
  })
})

describe('[docs] docs/troubleshooting.md: what is published wrongly is refused, in these words', () => {
  const document = { type: 'entity.updated', entity: 'document', projectId: 'p1' }
  const events = defineEvents({ entities: { document: z.object({ chunks: z.number() }) } })

  it.each([
    ['id is 7; it must be 1 to 256 bytes of text', {}, { ...document, id: 7 }, {}],
    ['type is "locked"; it must be one of entity.created', {}, { type: 'locked', projectId: 'p1' }, {}],
    ['is not defined (defined: document)', { events }, { ...document, entity: 'chunk', id: 'c' }, {}],
    ['does not fit its schema at "chunks"', { events }, { ...document, id: 'd', data: {} }, {}],
    [
      'the event takes 70062 bytes; at most 65536 are allowed',
      {},
      { type: 'a:b', projectId: 'p1', timestamp: '2026-01-31T09:30:00.000Z', data: 'x'.repeat(70_012) },
      {},
    ],
    ['data cannot be written as JSON', {}, { ...document, id: 'd', data: { n: 1n } }, {}],
    ['audiences is not an option', {}, { ...document, id: 'd' }, { audiences: { users: ['u1'] } }],
  ])('[docs] %s', async (text, options, event, publishOptions) => {
    const hub = new EventHub({ logger: false, ...(options as object) })
    ends.push(() => hub.close())
    const error = await hub.publish(event as never, publishOptions as object).catch((thrown: Error) => thrown)
    expect((error as Error).message).toContain(text)
    onThePage(text)
  })
})

describe('[docs] docs/troubleshooting.md: pages that do not follow', () => {
  it('[docs] without connect() there is no request and no error', async () => {
    const { updates, errors, hub } = scene()
    await hub.project('p1').updated('document', 'd1', {})
    expect([updates.state, errors, hub.stats().opened]).toEqual(['disconnected', [], 0])
  })

  it('[docs] a resync that nobody hears is an error', async () => {
    const { updates, errors } = scene({ options: { since: 'another.7' } })
    updates.connect()
    await vi.waitFor(() => expect(errors[0]).toMatchObject({ code: 'RESYNC_UNHEARD' }), WAIT)
    expect(errors[0]?.message).toContain('events may have been missed')
    onThePage('events may have been missed')
  })

  it('[docs] what a version, a channel, an audience or a kind of pattern leaves out is not given, and what follows is', async () => {
    const { updates, hub } = scene({ authorize: () => ({ projectId: 'p1' }), options: { channels: ['default'] } })
    const given: string[] = []
    updates.subscribe('*', ({ type, data }) => given.push(`subscribe ${type} ${JSON.stringify(data)}`))
    updates.on('document:*', ({ type }) => given.push(`on ${type}`))
    updates.connect()
    await vi.waitFor(() => expect(updates.state).toBe('connected'), WAIT)
    const p1 = hub.project('p1')
    await p1.updated('document', 'd1', { n: 1 }, { version: 5 })
    await p1.updated('document', 'd1', { n: 2 }, { version: 4 })
    await p1.updated('document', 'd1', { n: 3 }, { channel: 'other' })
    await p1.updated('document', 'd1', { n: 4 }, { audience: { users: ['u1'] } })
    await hub.project('p2').updated('document', 'd1', { n: 5 })
    await p1.emit('document:fence', null)
    await vi.waitFor(() => expect(given).toContain('on document:fence'), WAIT)
    expect(given).toEqual(['subscribe entity.updated {"n":1}', 'on document:fence'])
  })

  it('[docs] a row that is not there is not made by an update', () => {
    const rows = [{ id: 'd1' }]
    const event = { type: 'entity.updated', entity: 'document', id: 'd2', data: {}, projectId: 'p1', timestamp: '' }
    expect(applyEntityEvent(rows, event as never)).toBe(rows)
  })
})
