import { type Adapter, defineEvents, EventHub, MemoryAdapter } from '@entitycast/sse-server'
import { describe, expect, it } from 'vitest'
import { codeOf, testHub } from '../support/hub'
import { open } from '../support/stream'

const grant = { projectId: 'p1' }
const update = { type: 'entity.updated', entity: 'document', id: 'd', projectId: 'p1' } as const

/** Publishes what must be refused, then a sentinel: the sentinel is all that may arrive. */
async function refused(event: unknown, code: string): Promise<void> {
  const { hub, clock } = testHub()
  const stream = await open(hub, grant)
  expect(await codeOf(() => hub.publish(event as never))).toBe(code)
  const sentinel = await hub.publish({ ...update, id: 'sentinel' })
  await clock.settle()
  expect(stream.events.map(({ data }) => data.id)).toEqual(['sentinel'])
  expect(sentinel).toMatch(/\.1$/)
  expect(hub.stats()).toMatchObject({ published: 1, publishFailures: 1 })
  await hub.close()
}

describe('what is refused is written to nobody', () => {
  const types = [
    'a:b\rx',
    'a:b\nx',
    'a:b\0x',
    '',
    `a:${'b'.repeat(63)}`,
    'lock:été',
    'lock acquired',
    'heartbeat',
    'entity.moved',
    7,
    null,
    undefined,
  ]
  for (const type of types) {
    it(`[P1] the type ${JSON.stringify(type)?.slice(0, 24)} is refused and nobody is written to`, () =>
      refused({ type, projectId: 'p1', data: {} }, 'INVALID_TYPE'))
  }

  const ids = [
    '',
    'a\rb',
    'a\nb',
    'a\0b',
    'a\u0085b',
    'a\u2028b',
    '\ud800',
    'x'.repeat(257),
    'é'.repeat(129),
    7,
    null,
    {},
  ]
  for (const id of ids) {
    it(`[P2] the entity id ${JSON.stringify(id).slice(0, 24)} is refused and nobody is written to`, () =>
      refused({ ...update, id }, 'INVALID_ENTITY_ID'))
  }

  const projects = [undefined, null, 0, '', 5, ['p1'], { toString: () => 'p1' }, 'p\n1', 'x'.repeat(257)]
  for (const projectId of projects) {
    it(`[P3] the project id ${typeof projectId === 'object' && projectId && 'toString' in projectId && !Array.isArray(projectId) ? 'with a toString' : String(JSON.stringify(projectId)).slice(0, 24)} is refused, never coerced, never every project`, () =>
      refused({ ...update, projectId }, 'INVALID_PROJECT_ID'))
  }

  const circle: { self?: unknown } = {}
  circle.self = circle
  let deep: unknown = 1
  for (let n = 0; n < 10_000; n++) deep = [deep]
  const broken = {
    toJSON: () => {
      throw new Error('no')
    },
  }
  const datas: [string, unknown, string][] = [
    ['a BigInt', { n: 1n }, 'INVALID_DATA'],
    ['a cycle', circle, 'INVALID_DATA'],
    ['a toJSON that throws', broken, 'INVALID_DATA'],
    ['a depth of 10,000', deep, 'INVALID_DATA'],
    ['a function', () => {}, 'INVALID_DATA'],
    ['64 KiB and more', 'x'.repeat(65_536), 'EVENT_TOO_LARGE'],
    ['more than 64 KiB in bytes, though not in characters', '☃'.repeat(30_000), 'EVENT_TOO_LARGE'],
  ]
  for (const [name, data, code] of datas) {
    it(`[P4] data with ${name} is refused and other publishes are not affected`, () =>
      refused({ ...update, data }, code))
  }

  it('[N10] an event of exactly the largest size is taken, one byte more is not', async () => {
    const { hub } = testHub({ maxEventBytes: 1_000 })
    const room =
      1_000 -
      Buffer.byteLength(JSON.stringify({ entity: 'document', id: 'd', data: '', timestamp: new Date(0).toISOString() }))
    await hub.publish({ ...update, data: 'x'.repeat(room) })
    expect(await codeOf(() => hub.publish({ ...update, data: 'x'.repeat(room + 1) }))).toBe('EVENT_TOO_LARGE')
    await hub.close()
  })

  it('[N11] a refusal quotes the value, cut at 100 characters', async () => {
    const { hub } = testHub()
    const error = await hub.publish({ ...update, id: `${'x'.repeat(300)}\n` }).catch((thrown: Error) => thrown)
    expect((error as Error).message).toMatch(/^id is "x{90,100}…; it must be/)
    await hub.close()
  })

  const audiences = [{}, { users: [] }, { users: 'u1' }, { users: [''] }, { users: ['a\nb'] }, null, 'u1']
  for (const audience of audiences) {
    it(`[P1] the audience ${JSON.stringify(audience)} is refused: it never means everyone`, async () => {
      const { hub, clock } = testHub()
      const stream = await open(hub, { ...grant, userId: 'u1' })
      expect(await codeOf(() => hub.publish(update, { audience: audience as never }))).toMatch(/^INVALID_/)
      await hub.publish({ ...update, id: 'sentinel' })
      await clock.settle()
      expect(stream.events.map(({ data }) => data.id)).toEqual(['sentinel'])
      await hub.close()
    })
  }

  it('[D6] an audience of more than 10,000 users, or a conflate key of more than 256 characters, is refused', async () => {
    const { hub } = testHub()
    const users = Array.from({ length: 10_001 }, (_, n) => `u${n}`)
    expect(await codeOf(() => hub.publish(update, { audience: { users } }))).toBe('INVALID_EVENT')
    await hub.publish(update, { audience: { users: users.slice(1) } })
    const key = (length: number) => hub.project('p1').emit('note:added', 1, { conflateKey: 'k'.repeat(length) })
    expect(await codeOf(() => key(257))).toBe('INVALID_EVENT')
    await key(256)
    await hub.close()
  })

  it('[D6] what an audience takes counts as retained', async () => {
    const { hub, clock } = testHub({ retention: { bytes: 65_536 } })
    await open(hub, grant)
    const users = Array.from({ length: 1_000 }, (_, n) => `user-${n}`.padEnd(20, '-'))
    for (let n = 0; n < 10; n++) await hub.publish(update, { audience: { users } })
    await clock.settle()
    expect(hub.stats().retainedBytes).toBeGreaterThan(20_000)
    expect(hub.stats().retainedBytes).toBeLessThanOrEqual(65_536)
    await hub.close()
  })

  it('[P1] what is no event at all is refused, with definitions too', async () => {
    const schema = { '~standard': { version: 1, vendor: 'test', validate: (value: unknown) => ({ value }) } } as const
    const events = defineEvents({ entities: { document: schema } })
    for (const { hub } of [testHub(), testHub({ events: events as never })]) {
      for (const event of [undefined, null, 'text', 5, [], () => {}]) {
        expect(await codeOf(() => hub.publish(event as never))).toMatch(/^(INVALID_EVENT|INVALID_TYPE|UNKNOWN_EVENT)$/)
      }
      await hub.close()
    }
  })

  it('[P1] a channel outside of its alphabet is refused', () =>
    refused({ ...update, channel: 'a b' }, 'INVALID_CHANNEL'))
})

describe('what is accepted', () => {
  for (const id of ['__proto__', 'constructor', 'toString', 'a:b:c', '*', 'ü ☃ 🦊', ' ', 'x'.repeat(256)]) {
    it(`[P2] the entity id ${JSON.stringify(id).slice(0, 24)} works like any other, also while behind`, async () => {
      const { hub, clock } = testHub()
      const stream = await open(hub, grant)
      const first = await hub.publish({ ...update, id, data: { n: 1 } })
      await hub.publish({ ...update, id, data: { n: 2, ['__proto__']: 'data' } })
      await clock.settle()
      expect(stream.events.map(({ data }) => [data.id, data.data.n])).toEqual([
        [id, 1],
        [id, 2],
      ])
      const behind = await open(hub, grant, { lastEventId: first.replace(/1$/, '0') })
      expect(behind.events.map(({ data }) => [data.id, data.data.n])).toEqual([[id, 2]])
      expect(({} as { n?: number }).n).toBeUndefined()
      await hub.close()
    })
  }

  for (const projectId of ['__proto__', 'constructor', 'a.b', 'a:b', 'ü']) {
    it(`[P3] the project ${projectId} is a project like any other`, async () => {
      const { hub, clock } = testHub()
      const own = await open(hub, { projectId })
      const other = await open(hub, { projectId: 'other' })
      await hub.project(projectId).updated('document', 'd')
      await hub.project('other').updated('document', 'sentinel')
      await clock.settle()
      expect(own.events.map(({ data }) => data.id)).toEqual(['d'])
      expect(other.events.map(({ data }) => data.id)).toEqual(['sentinel'])
      await hub.close()
    })
  }

  it('[P5] subscribers see the value at the time of the call', async () => {
    const { hub, clock } = testHub()
    const stream = await open(hub, grant)
    const data = { n: 1, list: [1] }
    const event = { ...update, data }
    const published = hub.publish(event)
    data.n = 2
    data.list.push(2)
    ;(event as { id: string }).id = 'other'
    await published
    await clock.settle()
    expect(stream.events.map((frame) => frame.data)).toMatchObject([{ id: 'd', data: { n: 1, list: [1] } }])
    await hub.close()
  })

  it('[P5] the audience at the time of the call is the audience', async () => {
    const { hub, clock } = testHub()
    const stream = await open(hub, { ...grant, userId: 'u2' })
    const users = ['u1']
    const published = hub.publish(update, { audience: { users } })
    users.push('u2')
    await published
    await hub.publish({ ...update, id: 'sentinel' })
    await clock.settle()
    expect(stream.events.map(({ data }) => data.id)).toEqual(['sentinel'])
    await hub.close()
  })

  it('[D7] a publish resolves with the cursor of its event', async () => {
    const { hub, clock } = testHub()
    const stream = await open(hub, grant)
    const cursor = await hub.publish(update)
    await clock.settle()
    expect(stream.lastEventId).toBe(cursor)
    expect(await hub.cursor('p1')).toBe(cursor)
    await hub.close()
  })

  it('[W12] what the publisher left out is left out, and the rest is as it was given', async () => {
    const { hub, clock } = testHub()
    const stream = await open(hub, grant)
    await hub.project('p1').created('document', 'd', { a: null }, { version: 3, userId: 'u1', channel: 'docs' })
    await hub.project('p1').deleted('document', 'd', { timestamp: '2026-01-31T09:30:00+01:00' })
    await hub.project('p1').batch('chunk', ['c1', 'c2'], { status: 'embedded' })
    await hub.project('p1').emit('lock:acquired', null)
    await clock.settle()
    const timestamp = new Date(clock.now()).toISOString()
    expect(stream.events.map(({ type, data }) => [type, data])).toEqual([
      [
        'entity.created',
        { entity: 'document', id: 'd', data: { a: null }, channel: 'docs', timestamp, userId: 'u1', version: 3 },
      ],
      ['entity.deleted', { entity: 'document', id: 'd', timestamp: '2026-01-31T09:30:00+01:00' }],
      ['entity.batch', { entity: 'chunk', id: null, ids: ['c1', 'c2'], data: { status: 'embedded' }, timestamp }],
      ['lock:acquired', { data: null, timestamp }],
    ])
    await hub.close()
  })

  it('[W2] line breaks in data cannot begin another field', async () => {
    const { hub, clock } = testHub()
    const stream = await open(hub, grant)
    await hub.project('p1').emit('note:added', 'a\r\nid: forged\n\nevent: forged\rdata: x')
    await clock.settle()
    expect(stream.types).toEqual(['connected', 'note:added'])
    expect(stream.events[0]?.data.data).toBe('a\r\nid: forged\n\nevent: forged\rdata: x')
    await hub.close()
  })
})

describe('when the log cannot take it', () => {
  it('[P6] a publish after close is rejected: CLOSED', async () => {
    const { hub } = testHub()
    await hub.close()
    expect(await codeOf(() => hub.publish(update))).toBe('CLOSED')
    expect(await codeOf(() => hub.project('p1').updated('document', 'd'))).toBe('CLOSED')
    expect(await codeOf(() => hub.cursor('p1'))).toBe('CLOSED')
  })

  /** A log whose `append` does as it is told. */
  function logThat(append: Adapter['append']): Adapter {
    const memory = new MemoryAdapter()
    return {
      manifest: memory.manifest,
      start: (retention) => memory.start(retention),
      append,
      open: (...args) => memory.open(...args),
      read: (...args) => memory.read(...args),
      close: () => memory.close(),
    }
  }

  it('[P7] a publish that the log does not take is rejected with its reason, and is not delivered', async () => {
    const memory = new MemoryAdapter()
    let down = true
    const adapter = logThat((...args) =>
      down ? Promise.reject(Object.assign(new Error('broker down'), { code: 'ECONNREFUSED' })) : memory.append(...args),
    )
    const flapping: Adapter = { ...adapter, start: (r) => memory.start(r), open: (...args) => memory.open(...args) }
    const { hub, clock } = testHub({ adapter: flapping })
    const stream = await open(hub, grant)
    expect(await codeOf(() => hub.publish(update))).toBe('ECONNREFUSED')
    down = false
    await hub.publish({ ...update, id: 'sentinel' })
    await clock.settle()
    expect(stream.events.map(({ data }) => data.id)).toEqual(['sentinel'])
    expect(hub.stats()).toMatchObject({ published: 1, publishFailures: 1 })
    await hub.close()
  })

  it('[P7] a slow log resolves late, not early', async () => {
    let accept = () => {}
    const adapter = logThat(() => new Promise((resolve) => (accept = () => resolve({ epoch: 'e', offset: 1 }))))
    const { hub } = testHub({ adapter })
    let resolved = false
    const published = hub.publish(update).then(() => (resolved = true))
    await Promise.resolve()
    expect(resolved).toBe(false)
    accept()
    await published
    await hub.close()
  })

  it('[P7] a log that throws instead of rejecting is a rejected publish too, also in a window', async () => {
    for (const conflateWindowMs of [false, 100] as const) {
      const adapter = logThat(() => {
        throw new Error('not a promise')
      })
      const { hub, clock } = testHub({ adapter, conflateWindowMs })
      const published = hub.publish(update).catch((error: Error) => error.message)
      await clock.advance(200)
      expect(await published).toBe('not a promise')
      await hub.close()
    }
  })

  it('[D7] publishes that nobody waits for do not end the process when the hub closes', async () => {
    const hub = new EventHub({ conflateWindowMs: 5_000, logger: false })
    const published = [hub.publish(update), hub.publish({ ...update, id: 'e' })]
    await hub.close()
    expect(await Promise.all(published)).toHaveLength(2)
  })
})

describe('a burst', () => {
  it('[D6] more events in one turn than the retention holds reach everyone who reads', async () => {
    const { hub, clock } = testHub({ retention: { events: 100 } })
    const stream = await open(hub, grant)
    const published: Promise<string>[] = []
    for (let n = 0; n < 1_000; n++) published.push(hub.publish({ ...update, id: `d${n}` }))
    await clock.settle()
    await Promise.all(published)
    expect(stream.resyncs).toEqual([])
    expect(stream.events.map(({ data }) => data.id)).toEqual(Array.from({ length: 1_000 }, (_, n) => `d${n}`))
    await hub.close()
  })

  it('[D6] more bytes in one turn than the retention holds reach everyone who reads', async () => {
    const { hub, clock } = testHub()
    const stream = await open(hub, grant)
    const published: Promise<string>[] = []
    for (let n = 0; n < 100; n++) published.push(hub.publish({ ...update, id: `d${n}`, data: 'x'.repeat(60_000) }))
    await clock.settle()
    await Promise.all(published)
    expect(stream.resyncs).toEqual([])
    expect(stream.events).toHaveLength(100)
    await hub.close()
  })

  it('[D6] a loop of publishes leaves the sockets their turn, though the log answers at once', async () => {
    const hub = new EventHub({ logger: false })
    await open(hub, grant)
    let turns = 0
    let counting = true
    const count = () => {
      turns++
      if (counting) setImmediate(count)
    }
    setImmediate(count)
    for (let n = 0; n < 2_000; n++) await hub.publish({ ...update, id: `d${n}` })
    counting = false
    expect(turns).toBeGreaterThan(10)
    await hub.close()
  })
})
