import { HubError } from '@entitycast/sse-server'
import { describe, expect, it } from 'vitest'
import { GatedLog } from '../support/gated-log'
import { testHub } from '../support/hub'
import { RecordingSink } from '../support/recording-sink'
import { ask, open } from '../support/stream'
import { VirtualClock } from '../support/virtual-clock'

describe('what authorize answers', () => {
  it('[C1] null is 401 with a JSON body, and no stream', async () => {
    const { hub } = testHub()
    const stream = await open(hub, null)
    expect([stream.status, stream.code]).toEqual([401, 'UNAUTHORIZED'])
    expect(stream.headers['content-type']).toMatch('application/json')
    expect(stream.frames).toEqual([])
    await hub.close()
  })

  it('[C1] a HubError is its status and its message', async () => {
    const { hub } = testHub()
    const stream = await open(hub, null, {
      authorize: () => {
        throw new HubError('FORBIDDEN', 'This account is suspended')
      },
    })
    expect(stream.status).toBe(403)
    expect(JSON.parse(stream.body)).toEqual({ error: { code: 'FORBIDDEN', message: 'This account is suspended' } })
    await hub.close()
  })

  it('[C2] anything else that is thrown is 503, is reported, and tells the client nothing', async () => {
    const { hub, logger } = testHub()
    const secret = Object.assign(new Error('password=hunter2'), { code: 'ERR_BAD_RESPONSE', status: 401 })
    const unreadable = Object.defineProperty(new Error('hunter2'), 'status', { get: () => JSON.parse('hunter2') })
    for (const thrown of [secret, 'text', undefined, new TypeError('x is not a function'), unreadable]) {
      const stream = await open(hub, null, { authorize: () => Promise.reject(thrown) })
      expect([stream.status, stream.code]).toEqual([503, 'UNAVAILABLE'])
      expect(Number(stream.headers['retry-after'])).toBeGreaterThan(0)
      expect(stream.body).not.toMatch('hunter2')
    }
    expect(logger.lines.map(({ message }) => message)).toContain('a stream could not be opened')
    await hub.close()
  })

  it('[C2] an authorize that hangs is 503 after 10 s, and what it says later opens nothing', async () => {
    const { hub, clock } = testHub()
    let answer: (grant: { projectId: string }) => void = () => {}
    const { stream, done } = ask(hub, null, { authorize: () => new Promise((resolve) => (answer = resolve)) })
    await clock.advance(9_999)
    expect(stream.status).toBe(0)
    await clock.advance(1)
    await done
    expect(stream.status).toBe(503)
    answer({ projectId: 'p1' })
    await clock.settle()
    expect(hub.stats()).toMatchObject({ connections: 0, opened: 0 })
    expect(clock.timers).toBe(0)
    await hub.close()
  })

  it('[C2 C9] a client that leaves while authorize is asked leaves nothing behind', async () => {
    const { hub, clock } = testHub()
    let answer: (grant: { projectId: string }) => void = () => {}
    const { stream, done } = ask(hub, null, { authorize: () => new Promise((resolve) => (answer = resolve)) })
    await clock.settle()
    stream.leave()
    answer({ projectId: 'p1' })
    await done
    expect(hub.stats()).toMatchObject({ connections: 0, opened: 0, projects: 0 })
    expect(clock.timers).toBe(0)
    await hub.close()
  })

  const bad = [
    {},
    { projectId: '' },
    { projectId: 5 },
    { projectId: 'p1', userId: '' },
    { projectId: 'p1', channels: 'a' },
    { projectId: 'p1', channels: ['a b'] },
    { projectId: 'p1', expiresAt: Number.NaN },
    { projectId: 'p1', expiresAt: '2027-01-01' },
    { projectId: 'p1', expiresAt: 1_800_000_000 },
    { projectId: 'p1', channel: ['a'] },
    { projectId: 'p1', user_id: 'u1' },
    true,
    'p1',
  ]
  for (const grant of bad) {
    it(`[D8] the grant ${JSON.stringify(grant)} opens nothing: 500, reported, and the client is not told why`, async () => {
      const { hub, logger } = testHub()
      const stream = await open(hub, grant as never)
      expect([stream.status, stream.code]).toEqual([500, 'BAD_GRANT'])
      expect(logger.lines).toHaveLength(1)
      expect(hub.stats().connections).toBe(0)
      await hub.close()
    })
  }
})

describe('a grant that ends in seconds', () => {
  it('[D8] is reported as that: what a token has as `exp` is the usual mistake', async () => {
    const { hub, logger } = testHub()
    await open(hub, { projectId: 'p1', expiresAt: 1_800_000_000 })
    expect(JSON.stringify(logger.lines)).toContain('looks like seconds; it must be milliseconds: exp * 1000')
    await hub.close()
  })
})

describe('the end of a grant', () => {
  const expiring = (inMs: number, clock: { now(): number }) => ({
    projectId: 'p1',
    userId: 'u1',
    expiresAt: clock.now() + inMs,
  })

  it('[S5] an idle stream is told closing: expired and ends', async () => {
    const { hub, clock } = testHub()
    const stream = await open(hub, expiring(60_000, clock))
    await clock.advance(59_000)
    expect(stream.closed).toBe(false)
    await clock.advance(2_000)
    expect(stream.closing).toBe('expired')
    expect(stream.closed).toBe(true)
    expect(stream.frames.at(-1)).toMatchObject({ type: 'closing', id: undefined })
    expect(hub.stats()).toMatchObject({ connections: 0, closed: { expired: 1 } })
    await hub.close()
  })

  it('[W22] connected says in how many milliseconds the grant ends, and nothing where it does not', async () => {
    const { hub, clock } = testHub()
    expect((await open(hub, expiring(60_000, clock))).connected.expiresInMs).toBe(60_000)
    expect((await open(hub, { projectId: 'p1' })).connected).not.toHaveProperty('expiresInMs')
    await hub.close()
  })

  it('[C1] a grant that has already ended opens nothing: 401', async () => {
    const { hub, clock } = testHub()
    for (const inMs of [0, -1, -3_600_000]) {
      const stream = await open(hub, expiring(inMs, clock))
      expect([stream.status, stream.code]).toEqual([401, 'UNAUTHORIZED'])
    }
    await hub.close()
  })

  it('[S5] nothing is written after it, also not what was published before and had not been written', async () => {
    const { hub, clock } = testHub()
    const stream = await open(hub, expiring(500, clock))
    const published = hub.project('p1').updated('document', 'too-late')
    await clock.freeze(600)
    await published
    await clock.advance(2_000)
    expect(stream.events).toEqual([])
    expect(stream.closing).toBe('expired')
    await hub.close()
  })

  it('[S5] the client resumes without loss with a new grant', async () => {
    const { hub, clock } = testHub()
    const stream = await open(hub, expiring(500, clock))
    await hub.project('p1').updated('document', 'before')
    await clock.settle()
    await clock.advance(2_000)
    await hub.project('p1').updated('document', 'between')
    const again = await open(hub, expiring(60_000, clock), { lastEventId: stream.lastEventId })
    expect(stream.events.map(({ data }) => data.id)).toEqual(['before'])
    expect(again.events.map(({ data }) => data.id)).toEqual(['between'])
    expect(again.resyncs).toEqual([])
    await hub.close()
  })

  it('[S5] a full socket is cut: what is queued does not go out', async () => {
    const { hub, clock } = testHub()
    const sink = new RecordingSink()
    const stream = await open(hub, expiring(5_000, clock), { sink })
    sink.stall()
    await hub.project('p1').updated('document', 'queued')
    await clock.settle()
    expect(sink.unsent).toMatch('queued')
    await clock.advance(6_000)
    expect(sink.destroyed).toBe(true)
    sink.drain()
    expect(stream.events).toEqual([])
    await hub.close()
  })

  it('[S5] what is queued in a socket with room left does not go out', async () => {
    const { hub, clock } = testHub()
    const sink = new RecordingSink()
    const stream = await open(hub, { projectId: 'p1', userId: 'u1', expiresAt: clock.now() + 2_000 }, { sink })
    sink.stall(10_000)
    await hub.project('p1').updated('document', 'queued')
    await clock.advance(3_000)
    sink.drain()
    expect([sink.destroyed, stream.events]).toEqual([true, []])
    await hub.close()
  })

  it('[S5] no heartbeat is written after it, also not the one that reauthorize has held up', async () => {
    const { hub, clock } = testHub({ heartbeatIntervalMs: 1_000 })
    let answer = (_: boolean) => {}
    const reauthorize = () =>
      new Promise<boolean>((resolve) => {
        answer = resolve
      })
    const stream = await open(hub, { projectId: 'p1', expiresAt: clock.now() + 1_100 }, { reauthorize })
    await clock.advance(1_120)
    answer(true)
    await clock.settle()
    expect(stream.types).toEqual(['connected'])
    await clock.advance(1_000)
    expect(stream.types).toEqual(['connected', 'closing'])
    await hub.close()
  })

  it('[S5] what was queued in a stream that is on its way out for another reason does not outlive the grant', async () => {
    const { hub, clock } = testHub()
    const sink = new RecordingSink()
    const stream = await open(hub, { projectId: 'p1', userId: 'u1', expiresAt: clock.now() + 2_000 }, { sink })
    sink.stall(10_000)
    await hub.project('p1').updated('document', 'queued')
    await clock.settle()
    await hub.disconnect({ userId: 'u1' })
    await clock.advance(1_000)
    expect(sink.destroyed).toBe(false)
    await clock.advance(2_000)
    sink.drain()
    expect(stream.events).toEqual([])
    expect(stream.closed).toBe(true)
    await hub.close()
  })

  it('[S5] a replay that is on its way stops', async () => {
    const { hub, clock } = testHub()
    const cursor = await hub.cursor('p1')
    for (let n = 0; n < 10; n++) await hub.project('p1').updated('document', `d${n}`, { text: 'x'.repeat(40_000) })
    const sink = new RecordingSink()
    sink.stall()
    const stream = await open(hub, expiring(5_000, clock), { sink, lastEventId: cursor })
    sink.drain()
    await clock.freeze(5_500)
    sink.resume()
    await clock.advance(2_000)
    expect(stream.events.length).toBeLessThan(10)
    expect(stream.closed).toBe(true)
    expect(hub.stats().closed).toEqual({ expired: 1 })
    await hub.close()
  })

  it('[S5] a page that came from the log after the grant had ended is not written', async () => {
    const clock = new VirtualClock()
    const log = new GatedLog(clock)
    const { hub } = testHub({ adapter: log, ports: { clock } })
    const cursor = await hub.cursor('p1')
    await hub.project('p1').updated('document', 'd')
    // The feed is closed, so that what it held must come from the log: once to find the place, once for the page.
    await clock.advance(62_000)
    const reads = log.calls.read
    log.holds = (call, nth) => call === 'read' && nth === reads + 2
    const stream = await open(hub, expiring(5_000, clock), { lastEventId: cursor })
    await clock.settle()
    expect(log.calls.read).toBe(reads + 2)
    // The answer is what the process sees first when it goes on, before any timer.
    log.release()
    await clock.freeze(5_500)
    expect(stream.events).toEqual([])
    expect(stream.closing).toBe('expired')
    await hub.close()
  })

  it('[S5] a grant that ends while the log is being opened opens no stream: 401', async () => {
    const clock = new VirtualClock()
    const log = new GatedLog(clock)
    const { hub } = testHub({ adapter: log, ports: { clock } })
    log.holds = (call) => call === 'open'
    const { stream, done } = ask(hub, expiring(5_000, clock))
    await clock.advance(6_000)
    log.release()
    await done
    expect([stream.status, stream.code]).toEqual([401, 'UNAUTHORIZED'])
    expect(hub.stats().opened).toBe(0)
    await hub.close()
  })

  it('[C9] a client that leaves while the log is being opened leaves nothing behind', async () => {
    const clock = new VirtualClock()
    const log = new GatedLog(clock)
    const { hub } = testHub({ adapter: log, ports: { clock } })
    log.holds = (call) => call === 'open'
    const { stream, done } = ask(hub, { projectId: 'p1' })
    await clock.settle()
    stream.leave()
    log.release()
    await done
    expect(stream.status).toBe(0)
    expect(hub.stats()).toMatchObject({ connections: 0, opened: 0, writes: 0 })
    await clock.advance(62_000)
    expect(clock.timers).toBe(0)
    await hub.close()
  })

  it('[D8 S5] it is taken as it was given: what the application does to the object while the log is asked changes nothing', async () => {
    const clock = new VirtualClock()
    const log = new GatedLog(clock)
    const { hub } = testHub({ adapter: log, ports: { clock } })
    const channels = ['a']
    const shared = { projectId: 'p1', userId: 'u1', channels }
    log.holds = (call) => call === 'open'
    const kept = ask(hub, { ...shared })
    const revoked = ask(hub, shared)
    await clock.settle()
    channels.push('secret')
    shared.userId = 'u2'
    await hub.revoke({ userId: 'u1' })
    const later = ask(hub, { projectId: 'p1', userId: 'u1', channels })
    channels.push('b,c')
    log.release()
    await Promise.all([kept.done, revoked.done, later.done])
    expect([kept, revoked].map(({ stream }) => [stream.status, stream.code])).toEqual([
      [503, 'UNAVAILABLE'],
      [503, 'UNAVAILABLE'],
    ])
    expect(hub.connections().map((one) => one.channels)).toEqual([['a', 'secret']])
    await hub.close()
  })

  it('[S5] the time that opening the log takes is part of the grant', async () => {
    const clock = new VirtualClock()
    const log = new GatedLog(clock)
    const { hub } = testHub({ adapter: log, ports: { clock } })
    log.holds = (call) => call === 'open'
    const { stream, done } = ask(hub, expiring(5_000, clock))
    await clock.advance(4_000)
    log.release()
    await done
    await clock.advance(2_000)
    expect(stream.closing).toBe('expired')
    await hub.close()
  })

  it('[S6] a clock that jumps an hour ahead or back ends nothing early, late or all at once', async () => {
    for (const jump of [3_600_000, -3_600_000]) {
      const { hub, clock } = testHub()
      const streams = await Promise.all([0, 1, 2].map(() => open(hub, expiring(60_000, clock))))
      clock.jump(jump)
      await clock.advance(50_000)
      await hub.project('p1').updated('document', 'd')
      await clock.settle()
      expect(streams.map(({ closed }) => closed)).toEqual([false, false, false])
      expect(streams.map(({ events }) => events.length)).toEqual([1, 1, 1])
      await clock.advance(11_000)
      expect(streams.map(({ closing }) => closing)).toEqual(['expired', 'expired', 'expired'])
      await hub.close()
    }
  })

  it('[S6] a process that was stopped for 20 s ends nobody who did nothing wrong', async () => {
    const { hub, clock } = testHub({ stallTimeoutMs: 10_000 })
    const full = new RecordingSink()
    const streams = [await open(hub, { projectId: 'p1' }), await open(hub, { projectId: 'p1' }, { sink: full })]
    full.stall()
    await hub.project('p1').updated('document', 'd')
    await clock.advance(1_000)
    await clock.freeze(20_000)
    await clock.advance(1_000)
    expect(streams.map(({ closed }) => closed)).toEqual([false, false])
    full.resume()
    await clock.settle()
    expect(streams.map(({ events }) => events.length)).toEqual([1, 1])
    await hub.close()
  })

  it('[S6] after a stop of 20 s a session that has ended meanwhile gets nothing of what was published', async () => {
    const { hub, clock } = testHub()
    const ended = await open(hub, expiring(10_000, clock))
    const valid = await open(hub, expiring(60_000, clock))
    const published = hub.project('p1').updated('document', 'd')
    await clock.freeze(20_000)
    await published
    expect(valid.events).toHaveLength(1)
    expect(ended.events).toEqual([])
    expect(ended.closing).toBe('expired')
    await hub.close()
  })
})
