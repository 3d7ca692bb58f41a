import { describe, expect, it } from 'vitest'
import { end, testHub } from '../support/hub'
import { RecordingSink } from '../support/recording-sink'
import { open } from '../support/stream'
import type { VirtualClock } from '../support/virtual-clock'

/** A stream whose socket is full from its first event on. */
async function slowStream(options: Parameters<typeof testHub>[0] = {}) {
  const made = testHub(options)
  const sink = new RecordingSink()
  const stream = await open(made.hub, { projectId: 'p1' }, { sink })
  sink.stall()
  const project = made.hub.project('p1')
  await project.updated('filler', 'fills-the-socket')
  await made.clock.settle()
  return { ...made, sink, stream, project }
}

const ids = (stream: { events: { data: { id: string } }[] }) => stream.events.map(({ data }) => data.id)

describe('a slow reader', () => {
  it('[S1] what write said false to counts as sent, and is not sent again', async () => {
    const { hub, clock, sink, stream, project } = await slowStream()
    await project.updated('document', 'second')
    await clock.settle()
    sink.resume()
    await clock.settle()
    expect(ids(stream)).toEqual(['fills-the-socket', 'second'])
    await end(hub, clock)
  })

  it('[S1] nothing is written to a full socket, heartbeats included', async () => {
    const { hub, clock, sink, project } = await slowStream()
    const { writes } = sink
    for (let n = 0; n < 50; n++) await project.updated('document', `d${n}`)
    await clock.advance(16_000)
    expect(sink.writes).toBe(writes)
    expect(sink.unsent.match(/^event: /gm)).toHaveLength(1)
    expect(hub.stats().lagging).toBe(1)
    await end(hub, clock)
  })

  it('[S2] it holds up nobody else', async () => {
    const { hub, clock, project } = await slowStream()
    const other = await open(hub, { projectId: 'p1' })
    for (let n = 0; n < 50; n++) {
      await project.updated('document', `d${n}`)
      await clock.settle()
    }
    expect(other.events).toHaveLength(50)
    await end(hub, clock)
  })

  it('[S3] update, update, delete of one entity: only the delete arrives, once, and its cursor is the last', async () => {
    const { hub, clock, sink, stream, project } = await slowStream()
    await project.updated('document', 'd', { n: 1 })
    await project.updated('document', 'd', { n: 2 })
    const last = await project.deleted('document', 'd')
    await clock.settle()
    sink.resume()
    await clock.settle()
    expect(stream.types).toEqual(['connected', 'entity.updated', 'entity.deleted'])
    expect(stream.lastEventId).toBe(last)
    await project.updated('document', 'sentinel')
    await clock.settle()
    expect(stream.types.slice(3)).toEqual(['entity.updated'])
    await end(hub, clock)
  })

  it('[S3] the same with versions', async () => {
    const { hub, clock, sink, stream, project } = await slowStream()
    await project.updated('document', 'd', { n: 1 }, { version: 1 })
    await project.updated('document', 'd', { n: 2 }, { version: 2 })
    const last = await project.deleted('document', 'd', { version: 3 })
    sink.resume()
    await clock.settle()
    expect(stream.types).toEqual(['connected', 'entity.updated', 'entity.deleted'])
    expect(stream.lastEventId).toBe(last)
    await end(hub, clock)
  })

  it('[G4] created and updated is created, with the fields of both and the later one winning', async () => {
    const { hub, clock, sink, stream, project } = await slowStream()
    await project.created('document', 'd', { name: 'a', n: 1 })
    await project.updated('document', 'd', { n: 2 })
    await project.updated('document', 'd', { m: 3 })
    sink.resume()
    await clock.settle()
    expect(stream.events.slice(1)).toMatchObject([
      { type: 'entity.created', data: { data: { name: 'a', n: 2, m: 3 } } },
    ])
    await end(hub, clock)
  })

  it('[G5] named events are facts: each arrives, in its place', async () => {
    const { hub, clock, sink, stream, project } = await slowStream()
    await project.updated('document', 'd', { n: 1 })
    await project.emit('lock:acquired', 1)
    await project.updated('document', 'd', { n: 2 })
    await project.emit('lock:acquired', 2)
    sink.resume()
    await clock.settle()
    expect(stream.events.slice(1).map(({ type, data }) => [type, data.data])).toEqual([
      ['lock:acquired', 1],
      ['entity.updated', { n: 2 }],
      ['lock:acquired', 2],
    ])
    await end(hub, clock)
  })

  it('[G5] of named events with one type and key only the newest arrives', async () => {
    const { hub, clock, sink, stream, project } = await slowStream()
    for (let n = 1; n <= 3; n++) {
      await project.emit('metrics:updated', n, { conflateKey: 'cpu' })
      await project.emit('metrics:updated', n, { conflateKey: 'ram' })
      await project.emit('metrics:moved', n, { conflateKey: 'cpu' })
    }
    sink.resume()
    await clock.settle()
    expect(stream.events.slice(1).map(({ type, data }) => [type, data.data])).toEqual([
      ['metrics:updated', 3],
      ['metrics:updated', 3],
      ['metrics:moved', 3],
    ])
    await end(hub, clock)
  })

  it('[G5] a conflate key is never an entity: neither stands for the other', async () => {
    const { hub, clock, sink, stream, project } = await slowStream()
    await project.updated('lock', 'acquired x', { n: 1 })
    await project.emit('lock:acquired', 'fact', { conflateKey: 'x' })
    await project.updated('lock', 'acquired x', { n: 2 })
    sink.resume()
    await clock.settle()
    expect(stream.events.slice(1).map(({ data }) => data.data)).toEqual(['fact', { n: 2 }])
    await end(hub, clock)
  })

  it('[G4] nothing is merged across a batch that names the entity', async () => {
    const { hub, clock, sink, stream, project } = await slowStream()
    await project.updated('document', 'd', { a: 1 })
    await project.updated('document', 'e', { a: 1 })
    await project.batch('document', ['d'], { a: 2 })
    await project.updated('document', 'd', { b: 3 })
    await project.updated('document', 'e', { b: 3 })
    sink.resume()
    await clock.settle()
    expect(stream.events.slice(1).map(({ type, data }) => [type, data.id, data.data])).toEqual([
      ['entity.updated', 'd', { a: 1 }],
      ['entity.batch', null, { a: 2 }],
      ['entity.updated', 'd', { b: 3 }],
      ['entity.updated', 'e', { a: 1, b: 3 }],
    ])
    await end(hub, clock)
  })

  it('[G4] nothing is merged across channels or audiences', async () => {
    const { hub, clock, sink, stream, project } = await slowStream()
    await project.updated('document', 'd', { n: 1 }, { channel: 'a' })
    await project.updated('document', 'd', { n: 2 }, { channel: 'b' })
    await project.updated('document', 'd', { n: 3 }, { channel: 'a' })
    sink.resume()
    await clock.settle()
    expect(stream.events.slice(1).map(({ data }) => [data.channel, data.data.n])).toEqual([
      ['a', 1],
      ['b', 2],
      ['a', 3],
    ])
    await end(hub, clock)
  })

  it('[G1] no frame of a page claims a part that comes later, and the last claims the whole page', async () => {
    const { hub, clock, sink, stream, project } = await slowStream()
    const at: string[] = []
    at.push(await project.updated('document', 'a', { n: 1 }))
    at.push(await project.emit('lock:acquired', 1))
    at.push(await project.updated('document', 'b', { n: 1 }))
    at.push(await project.updated('document', 'a', { m: 1 }))
    at.push(await project.emit('lock:acquired', 2))
    sink.resume()
    await clock.settle()
    expect(stream.events.slice(1).map(({ type, id }) => [type, id])).toEqual([
      ['lock:acquired', undefined],
      ['entity.updated', undefined],
      ['entity.updated', at[3]],
      ['lock:acquired', at[4]],
    ])
    await end(hub, clock)
  })

  it('[S4] more than the retention holds: exactly one resync: overflow, before any later event, and the connection is kept', async () => {
    const { hub, clock, sink, stream, project } = await slowStream({ retention: { events: 10 } })
    for (let n = 0; n < 30; n++) {
      await project.updated('document', `d${n}`)
      await clock.settle()
    }
    sink.drain()
    sink.resume()
    await clock.settle()
    expect(stream.types).toEqual(['connected', 'entity.updated', 'resync'])
    expect(stream.resyncs).toEqual(['overflow'])
    expect(stream.lastEventId).toBe(await hub.cursor('p1'))
    await project.updated('document', 'after')
    await clock.settle()
    expect(ids(stream)).toEqual(['fills-the-socket', 'after'])
    expect(stream.closed).toBe(false)
    expect(hub.stats()).toMatchObject({ connections: 1, resyncs: { overflow: 1 } })
    await end(hub, clock)
  })

  it('[S4] exactly as much as the retention holds: everything arrives and no resync', async () => {
    const { hub, clock, sink, stream, project } = await slowStream({ retention: { events: 10 } })
    for (let n = 0; n < 10; n++) {
      await project.updated('document', `d${n}`)
      await clock.settle()
    }
    sink.resume()
    await clock.settle()
    expect(stream.resyncs).toEqual([])
    expect(ids(stream)).toEqual(['fills-the-socket', ...Array.from({ length: 10 }, (_, n) => `d${n}`)])
    await end(hub, clock)
  })

  it('[S4] whoever reads everything gets everything, however much is published in one turn and for however many', async () => {
    const { hub, clock } = testHub({ retention: { bytes: 100_000 } })
    const users = Array.from({ length: 1_000 }, (_, n) => `somebody-${n}`)
    const stream = await open(hub, { projectId: 'p1', userId: 'somebody-7' })
    for (let n = 0; n < 40; n++) void hub.project('p1').emit('note:added', n, { audience: { users } })
    await clock.settle()
    expect(stream.resyncs).toEqual([])
    expect(stream.events.map(({ data }) => data.data)).toEqual(Array.from({ length: 40 }, (_, n) => n))
    await hub.close()
  })

  it('[S4] whoever is slow again after a resync gets another one, each before what follows', async () => {
    const { hub, clock, sink, stream, project } = await slowStream({ retention: { events: 5 } })
    for (let round = 0; round < 3; round++) {
      for (let n = 0; n < 20; n++) {
        await project.updated('document', `r${round}-${n}`)
        await clock.settle()
      }
      sink.drain()
      await clock.settle()
    }
    sink.resume()
    await clock.settle()
    expect(stream.resyncs.every((reason) => reason === 'overflow')).toBe(true)
    expect(ids(stream)).toEqual(['fills-the-socket'])
    expect(stream.lastEventId).toBe(await hub.cursor('p1'))
    await end(hub, clock)
  })

  it('[D6] what one that reads nothing makes the process hold is a page, however much is published', async () => {
    const { hub, clock, sink, project } = await slowStream()
    for (let n = 0; n < 500; n++) {
      await project.updated('document', `d${n}`, { text: 'x'.repeat(50_000) })
      await clock.settle()
    }
    expect(sink.unsentBytes).toBeLessThan(70_000)
    expect(hub.stats().retainedBytes).toBeLessThanOrEqual(1_048_576)
    await end(hub, clock)
  })

  it('[L3] 30 s without a byte: closed, slow', async () => {
    const { hub, clock, sink, stream } = await slowStream()
    await clock.advance(29_000)
    expect(stream.closed).toBe(false)
    await clock.advance(2_000)
    expect(stream.closed).toBe(true)
    expect(sink.destroyed).toBe(true)
    expect(hub.stats()).toMatchObject({ connections: 0, lagging: 0, closed: { slow: 1 } })
    await end(hub, clock)
  })

  it('[L3] whoever takes a byte now and then is not closed', async () => {
    const { hub, clock, sink, stream } = await slowStream()
    for (let n = 0; n < 5; n++) {
      await clock.advance(20_000)
      sink.drain(1)
    }
    expect(stream.closed).toBe(false)
    await clock.advance(31_000)
    expect(stream.closed).toBe(true)
    await end(hub, clock)
  })

  /** The peer takes a byte each 5 s, for so long as the stream is open, at the longest for `ms`. */
  async function drip(clock: VirtualClock, sink: RecordingSink, ms: number): Promise<void> {
    for (let passed = 0; passed < ms && !sink.closed; passed += 5_000) {
      await clock.advance(5_000)
      sink.drain(1)
    }
  }

  it('[L5] whoever takes a byte now and then does not outlive the age of a stream by more than a stall', async () => {
    const { hub, clock, sink, stream } = await slowStream({ maxAgeMs: 60_000 })
    await drip(clock, sink, 47_000)
    expect(stream.closed).toBe(false)
    await drip(clock, sink, 60_000)
    expect(stream.closed).toBe(true)
    expect(hub.stats().closed).toEqual({ rotated: 1 })
    await end(hub, clock)
  })

  it('[L5] whoever takes the rest in that time is told that it is rotated', async () => {
    const { hub, clock, sink, stream } = await slowStream({ maxAgeMs: 60_000 })
    await drip(clock, sink, 75_000)
    expect(stream.closed).toBe(false)
    sink.resume()
    await clock.advance(2_000)
    expect([stream.closed, stream.closing]).toEqual([true, 'rotated'])
    expect(ids(stream)).toEqual(['fills-the-socket'])
    await end(hub, clock)
  })

  it('[S5] whoever takes a byte now and then outlives neither the end of its grant nor a revocation', async () => {
    const { hub, clock } = testHub()
    const expiring = new RecordingSink()
    const revoked = new RecordingSink()
    await open(hub, { projectId: 'p1', expiresAt: clock.now() + 60_000 }, { sink: expiring })
    await open(hub, { projectId: 'p1', userId: 'u1' }, { sink: revoked })
    expiring.stall()
    revoked.stall()
    await hub.project('p1').updated('filler', 'fills-the-socket')
    await drip(clock, expiring, 25_000)
    expect([expiring.destroyed, revoked.destroyed]).toEqual([false, false])
    void hub.revoke({ userId: 'u1' })
    expect(revoked.destroyed).toBe(true)
    await drip(clock, expiring, 30_000)
    expect(expiring.destroyed).toBe(false)
    await drip(clock, expiring, 10_000)
    expect(expiring.destroyed).toBe(true)
    expect(hub.stats().closed).toEqual({ revoked: 1, expired: 1 })
    await end(hub, clock)
  })

  it('[D3] after slow the client resumes with all that it missed', async () => {
    const { hub, clock, stream, project } = await slowStream()
    const seen = stream.lastEventId
    await project.updated('document', 'd')
    await clock.advance(31_000)
    expect(stream.closed).toBe(true)
    const again = await open(hub, { projectId: 'p1' }, { lastEventId: seen })
    expect(ids(again)).toEqual(['fills-the-socket', 'd'])
    await end(hub, clock)
  })
})
