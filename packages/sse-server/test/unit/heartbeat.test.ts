import { describe, expect, it, vi } from 'vitest'
import { Connection } from '../../src/feed/connection'
import { end, testHub } from '../support/hub'
import { RecordingSink } from '../support/recording-sink'
import { open } from '../support/stream'

const grant = { projectId: 'p1', userId: 'u1' }

describe('heartbeats', () => {
  it('[L1] each stream gets one every interval, with the time and the cursor', async () => {
    const { hub, clock } = testHub()
    const stream = await open(hub, grant)
    await clock.advance(46_000)
    const beats = stream.collector.of('heartbeat')
    expect(beats).toHaveLength(3)
    expect(beats.every(({ id }) => id === stream.frames[0]?.id)).toBe(true)
    expect(Date.parse(beats[2]?.data.timestamp) - Date.parse(beats[1]?.data.timestamp)).toBe(15_000)
    expect(stream.connected.heartbeatMs).toBe(15_000)
    await hub.close()
  })

  it('[L1] the interval is an option', async () => {
    const { hub, clock } = testHub({ heartbeatIntervalMs: 1_000 })
    const stream = await open(hub, grant)
    await clock.advance(10_500)
    expect(stream.collector.of('heartbeat')).toHaveLength(10)
    await hub.close()
  })

  it('[L2] without heartbeats connected says 0 and none is written', async () => {
    const { hub, clock } = testHub({ heartbeatIntervalMs: false })
    const stream = await open(hub, grant)
    await clock.advance(60_000)
    expect(stream.connected.heartbeatMs).toBe(0)
    expect(stream.types).toEqual(['connected'])
    await hub.close()
  })

  it('[W21] as comments they carry no meaning and no cursor', async () => {
    const { hub, clock } = testHub({ heartbeat: 'comment' })
    const stream = await open(hub, grant)
    await clock.advance(31_000)
    expect(stream.collector.comments).toEqual(['keepalive', 'keepalive'])
    expect(stream.types).toEqual(['connected'])
    expect(stream.connected.heartbeatMs).toBe(15_000)
    await hub.close()
  })

  it('[W15] a stream whose channels are quiet moves its cursor with the heartbeat, and can resume long after', async () => {
    const { hub, clock } = testHub({ retention: { events: 10 } })
    const stream = await open(hub, { projectId: 'p1', channels: ['quiet'] })
    for (let n = 0; n < 100; n++) void hub.project('p1').updated('document', `d${n}`, {}, { channel: 'busy' })
    await clock.settle()
    await clock.advance(16_000)
    expect(stream.events).toEqual([])
    expect(stream.lastEventId).toBe(await hub.cursor('p1'))
    stream.leave()
    await hub.project('p1').updated('document', 'sentinel', {}, { channel: 'quiet' })
    const again = await open(hub, { projectId: 'p1', channels: ['quiet'] }, { lastEventId: stream.lastEventId })
    expect(again.resyncs).toEqual([])
    expect(again.events.map(({ data }) => data.id)).toEqual(['sentinel'])
    await hub.close()
  })

  it('[W15] a heartbeat in the turn of a publish does not claim the event before it is written', async () => {
    const { hub, clock } = testHub()
    const stream = await open(hub, grant)
    await clock.advance(14_500)
    await hub.project('p1').updated('document', 'd')
    // The event is in the log, and what is deferred to write it to the sockets is still to run.
    await clock.elapse(1_000)
    await clock.settle()
    expect(stream.collector.of('heartbeat')).toHaveLength(1)
    const claims = stream.frames.filter(({ id }) => id?.endsWith('.1')).map(({ type }) => type)
    expect(claims[0]).toBe('entity.updated')
    await hub.close()
  })

  it('[S1] none is written to a full socket, and they go on when it drains', async () => {
    const { hub, clock } = testHub()
    const sink = new RecordingSink()
    const stream = await open(hub, grant, { sink })
    sink.stall()
    await hub.project('p1').updated('document', 'd')
    await clock.settle()
    await clock.advance(20_000)
    sink.resume()
    await clock.settle()
    expect(stream.collector.of('heartbeat')).toHaveLength(0)
    await clock.advance(16_000)
    expect(stream.collector.of('heartbeat')).toHaveLength(1)
    await hub.close()
  })

  it('[L1] one timer drives them all', async () => {
    const { hub, clock } = testHub()
    await Promise.all(Array.from({ length: 10 }, (_, n) => open(hub, { projectId: `p${n % 3}`, userId: `u${n}` })))
    expect(clock.timers).toBe(1)
    await clock.advance(60_000)
    expect(clock.timers).toBe(1)
    await hub.close()
    expect(clock.timers).toBe(0)
  })

  it('[L1] of many that are due together each gets one, some in a turn of the event loop; who leaves in between is let go', async () => {
    const { hub, clock } = testHub()
    const streams = await Promise.all(Array.from({ length: 200 }, (_, n) => open(hub, { ...grant, userId: `u${n}` })))
    await clock.advance(14_000)
    await clock.elapse(1_000)
    const beaten = () => streams.filter(({ collector }) => collector.of('heartbeat').length === 1)
    const first = beaten().length
    expect(first).toBeGreaterThan(0)
    expect(first).toBeLessThan(200)
    const left = streams.at(-1)
    left?.leave()
    await clock.settle()
    expect(beaten()).toHaveLength(199)
    expect(left?.collector.of('heartbeat')).toHaveLength(0)
    await clock.advance(15_000)
    expect(streams.filter(({ collector }) => collector.of('heartbeat').length === 2)).toHaveLength(199)
    expect(clock.timers).toBe(1)
    await hub.close()
  })

  it('[L1] a hub that closes between two of those turns ends', async () => {
    const { hub, clock } = testHub()
    const streams = await Promise.all(Array.from({ length: 200 }, (_, n) => open(hub, { ...grant, userId: `u${n}` })))
    await clock.advance(14_000)
    await clock.elapse(1_000)
    await end(hub, clock)
    expect(streams.filter(({ closing }) => closing === 'shutdown')).toHaveLength(200)
    expect(clock.timers).toBe(0)
  })

  it('[L1] those that come one after the other keep their pace, whoever is beside them', async () => {
    const { hub, clock } = testHub({ heartbeatIntervalMs: 1_000 })
    const streams = []
    for (let n = 0; n < 20; n++) {
      streams.push(await open(hub, { ...grant, userId: `u${n}` }))
      await clock.advance(70)
    }
    const before = streams.map(({ collector }) => collector.of('heartbeat').length)
    await clock.advance(20_000)
    const beats = streams.map(({ collector }, n) => collector.of('heartbeat').length - (before[n] as number))
    expect(Math.min(...beats)).toBeGreaterThanOrEqual(19)
    expect(Math.max(...beats)).toBeLessThanOrEqual(21)
    await hub.close()
  })

  it('[L1] connections at one place share one heartbeat', async () => {
    const { hub, clock } = testHub()
    const streams = await Promise.all([0, 1, 2].map(() => open(hub, grant)))
    await clock.advance(16_000)
    const texts = streams.map(({ sink }) => sink.received.slice(sink.received.indexOf('event: heartbeat')))
    expect(new Set(texts).size).toBe(1)
    await hub.close()
  })
})

describe('reauthorize', () => {
  it('[S5] is asked before each heartbeat, and true goes on', async () => {
    const { hub, clock } = testHub()
    let asked = 0
    const stream = await open(hub, grant, {
      reauthorize: (_source, given) => {
        asked++
        return given.userId === 'u1'
      },
    })
    await clock.advance(46_000)
    expect(asked).toBe(3)
    expect(stream.collector.of('heartbeat')).toHaveLength(3)
    await hub.close()
  })

  it('[S5] false revokes, and that heartbeat is not written', async () => {
    const { hub, clock } = testHub()
    let allowed = true
    const stream = await open(hub, grant, { reauthorize: async () => allowed })
    await clock.advance(16_000)
    allowed = false
    await clock.advance(16_000)
    expect(stream.collector.of('heartbeat')).toHaveLength(1)
    expect(stream.closing).toBe('revoked')
    await hub.close()
  })

  for (const answer of [undefined, null, 0, '', 'no answer of ours'] as unknown[]) {
    it(`[S5] ${JSON.stringify(answer)} is ${answer ? 'taken for a yes' : 'not a yes'}`, async () => {
      const { hub, clock } = testHub()
      const stream = await open(hub, grant, { reauthorize: () => answer as boolean })
      await clock.advance(16_000)
      expect(stream.closing).toBe(answer ? undefined : 'revoked')
      await hub.close()
    })
  }

  it('[S5] one that throws or rejects ends the stream so that the client asks anew, and is reported', async () => {
    for (const reauthorize of [
      () => {
        throw new Error('database down')
      },
      () => Promise.reject(new Error('database down')),
    ]) {
      const { hub, clock, logger } = testHub()
      const stream = await open(hub, grant, { reauthorize })
      await clock.advance(16_000)
      expect(stream.closing).toBe('expired')
      expect(logger.lines).toHaveLength(1)
      await hub.close()
    }
  })

  it('[S6] one that is being asked while the process is stopped has its time all the same', async () => {
    const { hub, clock } = testHub()
    let answer = (_: boolean) => {}
    const reauthorize = () =>
      new Promise<boolean>((resolve) => {
        answer = resolve
      })
    const stream = await open(hub, { projectId: 'p1' }, { reauthorize })
    await clock.advance(16_000)
    await clock.freeze(20_000)
    await clock.advance(1_000)
    expect(stream.closed).toBe(false)
    answer(true)
    await clock.settle()
    expect(stream.types).toEqual(['connected', 'heartbeat'])
    await hub.close()
  })

  it('[S5] one that never answers ends the stream after 10 s', async () => {
    const { hub, clock } = testHub()
    let asked = 0
    const stream = await open(hub, grant, {
      reauthorize: () => {
        asked++
        return new Promise(() => {})
      },
    })
    await clock.advance(24_000)
    expect(stream.closed).toBe(false)
    await clock.advance(3_000)
    expect(stream.closing).toBe('expired')
    expect(asked).toBe(1)
    await hub.close()
  })

  it('[D9 L1] heartbeats go on while it is waited for, which ends after 10 s all the same', async () => {
    const { hub, clock } = testHub({ heartbeatIntervalMs: 1_000 })
    let asked = 0
    const stream = await open(hub, grant, {
      reauthorize: () => {
        asked++
        return new Promise(() => {})
      },
    })
    await clock.advance(1_500)
    expect([asked, stream.types]).toEqual([1, ['connected']])
    await clock.advance(4_000)
    expect([asked, stream.collector.of('heartbeat').length]).toEqual([1, 4])
    await clock.advance(7_000)
    expect([asked, stream.closing]).toEqual([1, 'expired'])
    await hub.close()
  })

  it('[S5] also then none is written after the end of the grant, or after a no', async () => {
    const { hub, clock } = testHub({ heartbeatIntervalMs: 1_000 })
    let answer = (_: boolean) => {}
    const reauthorize = () =>
      new Promise<boolean>((resolve) => {
        answer = resolve
      })
    const refused = await open(hub, grant, { reauthorize })
    const expiring = await open(
      hub,
      { ...grant, expiresAt: clock.now() + 2_600 },
      { reauthorize: () => new Promise(() => {}) },
    )
    await clock.advance(2_500)
    answer(false)
    await clock.advance(5_000)
    expect(refused.types).toEqual(['connected', 'heartbeat', 'closing'])
    expect(expiring.types).toEqual(['connected', 'heartbeat', 'closing'])
    expect([refused.closing, expiring.closing]).toEqual(['revoked', 'expired'])
    await hub.close()
  })

  it('[S5] is asked for a full socket too', async () => {
    const { hub, clock } = testHub()
    const sink = new RecordingSink()
    const stream = await open(hub, grant, { sink, reauthorize: () => false })
    sink.stall()
    await hub.project('p1').updated('document', 'queued')
    await clock.settle()
    await clock.advance(16_000)
    sink.resume()
    expect(stream.closed).toBe(true)
    expect(stream.events).toEqual([])
    expect(hub.stats().closed).toEqual({ revoked: 1 })
    await end(hub, clock)
  })

  it('[S5] is asked each 15 s where heartbeats are off, and nothing is written', async () => {
    const { hub, clock } = testHub({ heartbeatIntervalMs: false })
    let asked = 0
    const stream = await open(hub, grant, { reauthorize: () => ++asked < 4 })
    await clock.advance(14_000)
    expect(asked).toBe(0)
    await clock.advance(32_000)
    expect(asked).toBe(3)
    expect(stream.types).toEqual(['connected'])
    await clock.advance(16_000)
    expect(stream.types).toEqual(['connected', 'closing'])
    expect(stream.closing).toBe('revoked')
    await hub.close()
  })

  it('[S5] an answer that comes after the stream has ended changes nothing', async () => {
    const { hub, clock } = testHub()
    let answer: (allowed: boolean) => void = () => {}
    const stream = await open(hub, grant, { reauthorize: () => new Promise((resolve) => (answer = resolve)) })
    await clock.advance(16_000)
    stream.leave()
    answer(false)
    await clock.settle()
    expect(hub.stats().closed).toEqual({ peer: 1 })
    await hub.close()
  })
})

describe('rotation', () => {
  it('[L5] a stream ends after maxAgeMs, 20 % more or less, told rotated, and resumes without loss', async () => {
    const { hub, clock } = testHub({ limits: false })
    const streams = await Promise.all(Array.from({ length: 100 }, () => open(hub, grant)))
    await clock.advance(479_000)
    expect(streams.filter(({ closed }) => closed)).toHaveLength(0)
    await clock.advance(121_000)
    const half = streams.filter(({ closed }) => closed).length
    expect(half).toBeGreaterThan(25)
    expect(half).toBeLessThan(75)
    await clock.advance(122_000)
    expect(streams.every(({ closing }) => closing === 'rotated')).toBe(true)
    await hub.project('p1').updated('document', 'meanwhile')
    const again = await open(hub, grant, { lastEventId: streams[0]?.lastEventId })
    expect(again.resyncs).toEqual([])
    expect(again.events).toHaveLength(1)
    await hub.close()
  })

  it('[L5] maxAgeMs: false is for ever', async () => {
    const { hub, clock } = testHub({ maxAgeMs: false, heartbeatIntervalMs: 300_000 })
    const stream = await open(hub, grant)
    await clock.advance(3_600_000)
    expect(stream.closed).toBe(false)
    await hub.close()
  })

  it('[C9] a stream that ends as its heartbeat is due, because the process stood still, is not looked at any more', async () => {
    const { hub, clock } = testHub({ maxAgeMs: 120_000 })
    const stream = await open(hub, grant)
    await clock.advance(60_000)
    await clock.freeze(120_000)
    await clock.advance(1_000)
    expect(stream.closing).toBe('rotated')
    expect(stream.closed).toBe(true)
    await open(hub, grant)
    const looks = vi.spyOn(Connection.prototype, 'check')
    await clock.advance(10_000)
    expect(looks).not.toHaveBeenCalled()
    looks.mockRestore()
    await hub.close()
  })

  it('[W18] nothing is written after closing, and a peer that does not go is cut off', async () => {
    const { hub, clock } = testHub()
    const sink = new RecordingSink()
    const stream = await open(hub, grant, { sink })
    sink.stall(10_000)
    void hub.disconnect({ userId: 'u1' })
    const { writes } = sink
    await hub.project('p1').updated('document', 'after')
    await clock.advance(4_000)
    expect(sink.destroyed).toBe(false)
    await clock.advance(3_000)
    expect(sink.writes).toBe(writes)
    expect(sink.destroyed).toBe(true)
    expect(stream.closed).toBe(true)
    await hub.close()
  })
})
