import { afterEach, describe, expect, it } from 'vitest'
import { testHub } from '../support/hub'
import { open } from '../support/stream'

const grant = { projectId: 'p1' }

describe('where a stream begins', () => {
  let close: (() => Promise<void>)[] = []
  const hubOf = (...args: Parameters<typeof testHub>) => {
    const made = testHub(...args)
    close.push(() => made.hub.close())
    return made
  }
  afterEach(async () => {
    await Promise.all(close.map((one) => one()))
    close = []
  })

  /** A project with events 1 to `count`, of which the newest 10 are retained. */
  async function projectWith(count: number) {
    const made = hubOf({ retention: { events: 10 } })
    const cursors: string[] = [await made.hub.cursor('p1')]
    for (let n = 1; n <= count; n++) cursors.push(await made.hub.project('p1').updated('document', `doc_${n}`, { n }))
    return { ...made, cursors: cursors as [string, ...string[]], at: (offset: number) => cursors[offset] as string }
  }

  it('[W6 W10] without a cursor: connected, live, with the cursor of the head', async () => {
    const { hub, at } = await projectWith(3)
    const stream = await open(hub, grant)
    expect(stream.frames).toEqual([
      {
        type: 'connected',
        id: at(3),
        retry: 1_000,
        data: { connectionId: expect.stringMatching(/^conn_/), projectId: 'p1', resume: 'live', heartbeatMs: 15_000 },
      },
    ])
  })

  it('[R4] an empty cursor is none', async () => {
    const { hub } = await projectWith(3)
    const stream = await open(hub, grant, { lastEventId: '' })
    expect(stream.connected.resume).toBe('live')
    expect(stream.types).toEqual(['connected'])
  })

  it('[R4] the cursor of a first connection stands in the query, and the header wins', async () => {
    const { hub, at } = await projectWith(3)
    const first = await open(hub, grant, { path: `/stream?lastEventId=${at(1)}` })
    expect(first.events.map(({ data }) => data.id)).toEqual(['doc_2', 'doc_3'])
    const again = await open(hub, grant, { path: `/stream?lastEventId=${at(1)}`, lastEventId: at(2) })
    expect(again.events.map(({ data }) => data.id)).toEqual(['doc_3'])
    const empty = await open(hub, grant, { path: `/stream?lastEventId=${at(1)}`, lastEventId: '' })
    expect(empty.events.map(({ data }) => data.id)).toEqual(['doc_2', 'doc_3'])
  })

  const resyncs = [
    ['longer than 128 characters', () => `epoch.${'1'.repeat(200)}`, 'bad-cursor'],
    ['longer than 128 characters and otherwise ours', (at: string) => `${at}${'0'.repeat(120)}`, 'bad-cursor'],
    ['no cursor at all', () => 'null', 'bad-cursor'],
    ['of spaces', () => '   ', 'bad-cursor'],
    ['with a leading zero', (at: string) => at.replace('.', '.0'), 'bad-cursor'],
    ['with a negative offset', (at: string) => at.replace('.', '.-'), 'bad-cursor'],
    ['with a fraction', (at: string) => `${at}.5`, 'bad-cursor'],
    ['with an offset beyond 2^53', (at: string) => at.replace(/\.\d+$/, '.9007199254740993'), 'bad-cursor'],
    ['not ASCII', () => '☃.1', 'bad-cursor'],
    ['sent twice', (at: string) => `${at}, ${at}`, 'bad-cursor'],
    ['of an epoch that never was', (at: string) => at.replace(/^[^.]+/, 'constructor'), 'epoch'],
  ] as const
  for (const [name, make, reason] of resyncs) {
    it(`[C3 R7] a cursor that is ${name} gets one resync: ${reason}, at the head, and no error`, async () => {
      const { hub, at } = await projectWith(5)
      const stream = await open(hub, grant, { lastEventId: make(at(4)) })
      expect(stream.status).toBe(200)
      expect(stream.connected.resume).toBe('resync')
      expect(stream.types).toEqual(['connected', 'resync'])
      expect(stream.frames[1]).toMatchObject({ id: at(5), data: { reason } })
    })
  }

  it('[C3] the cursor of another project is of another epoch, whatever the offset', async () => {
    const { hub } = await projectWith(5)
    const foreign = await hub.project('p2').updated('document', 'd', {})
    const stream = await open(hub, grant, { lastEventId: foreign })
    expect(stream.resyncs).toEqual(['epoch'])
    expect(stream.events).toEqual([])
  })

  it('[C3] a cursor ahead of the head gets resync: ahead, also when the head reaches it later', async () => {
    const { hub, at, clock } = await projectWith(5)
    const ahead = at(5).replace(/5$/, '6')
    const stream = await open(hub, grant, { lastEventId: ahead })
    expect(stream.resyncs).toEqual(['ahead'])
    expect(stream.lastEventId).toBe(at(5))
    await hub.project('p1').updated('document', 'sixth', {})
    await clock.settle()
    expect(stream.events.map(({ data }) => data.id)).toEqual(['sixth'])
  })

  it('[C3] a cursor that is older than the window by one gets resync: expired, and none of what is left of the replay', async () => {
    const { hub, at } = await projectWith(15)
    const stream = await open(hub, grant, { lastEventId: at(4) })
    expect(stream.connected.resume).toBe('resync')
    expect(stream.types).toEqual(['connected', 'resync'])
    expect(stream.resyncs).toEqual(['expired'])
    expect(stream.lastEventId).toBe(at(15))
  })

  it('[C3 D3] a cursor exactly at the edge of the window gets all of it, and no resync', async () => {
    const { hub, at } = await projectWith(15)
    const stream = await open(hub, grant, { lastEventId: at(5) })
    expect(stream.connected.resume).toBe('replayed')
    expect(stream.resyncs).toEqual([])
    expect(stream.events.map(({ data }) => data.id)).toEqual(
      [6, 7, 8, 9, 10, 11, 12, 13, 14, 15].map((n) => `doc_${n}`),
    )
    expect(stream.lastEventId).toBe(at(15))
  })

  it('[C3 W10] a cursor at the head gets nothing and is live', async () => {
    const { hub, at } = await projectWith(15)
    const stream = await open(hub, grant, { lastEventId: at(15) })
    expect(stream.types).toEqual(['connected'])
    expect(stream.connected.resume).toBe('live')
    expect(stream.lastEventId).toBe(at(15))
  })

  it('[C3] the edge is the same where this process did not hold the events, and asks the log', async () => {
    const { hub, at, clock } = await projectWith(15)
    // Nobody reads the project: its feed is closed and opened anew, with nothing in it.
    await clock.advance(62_000)
    expect(hub.stats().projects).toBe(0)
    const edge = await open(hub, grant, { lastEventId: at(5) })
    await clock.settle()
    expect(edge.connected.resume).toBe('replayed')
    expect(edge.events).toHaveLength(10)
    const beyond = await open(hub, grant, { lastEventId: at(4) })
    expect(beyond.resyncs).toEqual(['expired'])
    const head = await open(hub, grant, { lastEventId: at(15) })
    expect(head.types).toEqual(['connected'])
  })

  it('[D3] the window ends by age too', async () => {
    const { hub, clock } = hubOf({ retention: { ageMs: 10_000 } })
    const before = await hub.cursor('p1')
    const first = await hub.project('p1').updated('document', 'a', {})
    await clock.advance(6_000)
    await hub.project('p1').updated('document', 'b', {})
    await clock.advance(5_000)
    expect((await open(hub, grant, { lastEventId: before })).resyncs).toEqual(['expired'])
    expect((await open(hub, grant, { lastEventId: first })).events.map(({ data }) => data.id)).toEqual(['b'])
  })

  it('[D3] the window ends by bytes too, and always holds the newest event', async () => {
    const { hub } = hubOf({ retention: { bytes: 65_536 } })
    const cursors: string[] = []
    for (let n = 0; n < 4; n++)
      cursors.push(await hub.project('p1').updated('document', `d${n}`, { text: 'x'.repeat(30_000) }))
    expect((await open(hub, grant, { lastEventId: cursors[0] as string })).resyncs).toEqual(['expired'])
    expect((await open(hub, grant, { lastEventId: cursors[1] as string })).events).toHaveLength(2)
  })

  it('[D3] an event as large as the whole window is delivered and can be resumed before', async () => {
    const { hub, clock } = hubOf({ retention: { bytes: 300 }, maxEventBytes: 300 })
    const stream = await open(hub, grant)
    const room =
      300 - JSON.stringify({ entity: 'document', id: 'd', data: '', timestamp: new Date(0).toISOString() }).length
    await hub.project('p1').updated('document', 'd', 'x'.repeat(room))
    await clock.settle()
    expect(stream.types).toEqual(['connected', 'entity.updated'])
    const again = await open(hub, grant, { lastEventId: stream.frames[0]?.id })
    expect(again.types).toEqual(['connected', 'entity.updated'])
  })

  it('[C3] a cursor from before the process was restarted is of an old epoch', async () => {
    const { at } = await projectWith(5)
    const { hub } = hubOf({ ports: { randomId: () => 'after-the-restart' } })
    const stream = await open(hub, grant, { lastEventId: at(5) })
    expect(stream.resyncs).toEqual(['epoch'])
    expect(stream.lastEventId).toBe('after-the-restart.0')
  })

  it('[W11] connected has no id where a resync follows: a cut between both must not hide it', async () => {
    const { hub, at } = await projectWith(15)
    const stream = await open(hub, grant, { lastEventId: at(1) })
    expect(stream.frames[0]).toMatchObject({ type: 'connected', id: undefined })
    expect(stream.frames[0]?.data.resume).toBe('resync')
    expect(stream.frames[1]).toMatchObject({ type: 'resync', id: at(15) })
  })

  it('[D4] a socket that is full after connected gets the resync before anything else, once it drains', async () => {
    const { hub, at, clock } = await projectWith(15)
    const { RecordingSink } = await import('../support/recording-sink')
    const sink = new RecordingSink()
    sink.stall()
    const stream = await open(hub, grant, { lastEventId: at(1), sink })
    await hub.project('p1').updated('document', 'later', {})
    await clock.settle()
    sink.drain()
    sink.resume()
    await clock.settle()
    expect(stream.types.slice(0, 2)).toEqual(['connected', 'resync'])
    expect(stream.lastEventId).toBe(at(15).replace('.15', '.16'))
  })

  it('[D4] what is published while the cursor is looked up is not missed', async () => {
    const { hub, at, clock } = await projectWith(15)
    await clock.advance(62_000)
    const opening = open(hub, grant, { lastEventId: at(12) })
    const published = hub.project('p1').updated('document', 'meanwhile', {})
    const stream = await opening
    await published
    await clock.settle()
    expect(stream.events.map(({ data }) => data.id)).toEqual(['doc_13', 'doc_14', 'doc_15', 'meanwhile'])
  })

  it('[D4] a cursor that is asked for in the turn of a publish is before it or after it, and what follows comes without a gap', async () => {
    const { hub, clock } = hubOf()
    const asked = hub.cursor('p1')
    const first = await hub.project('p1').updated('document', 'first', {})
    const cursor = await asked
    const stream = await open(hub, grant, { lastEventId: cursor })
    await hub.project('p1').updated('document', 'second', {})
    await clock.settle()
    expect(stream.resyncs).toEqual([])
    const seen = stream.events.map(({ data }) => data.id)
    expect(seen).toEqual(cursor === first ? ['second'] : ['first', 'second'])
  })

  it('[D3] a stream that is cut after any event resumes with the next', async () => {
    const { hub, at, cursors } = await projectWith(10)
    for (let seen = 0; seen < cursors.length; seen++) {
      const stream = await open(hub, grant, { lastEventId: at(seen) })
      expect(stream.events).toHaveLength(10 - seen)
      stream.leave()
    }
  })
})
