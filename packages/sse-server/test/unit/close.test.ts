import { describe, expect, it } from 'vitest'
import { GatedLog } from '../support/gated-log'
import { codeOf, end, testHub } from '../support/hub'
import { RecordingSink } from '../support/recording-sink'
import { SharedHubs } from '../support/shared-log'
import { ask, open } from '../support/stream'
import { VirtualClock } from '../support/virtual-clock'

describe('close', () => {
  /** A hub with streams, and when each of them was ended, in milliseconds after `close` was called. */
  async function withStreams(count: number) {
    const made = testHub({ limits: false })
    const streams = await Promise.all(Array.from({ length: count }, () => open(made.hub, { projectId: 'p1' })))
    return { ...made, streams, open: () => streams.filter(({ closed }) => !closed).length }
  }

  it('[S7] without a drain time all streams are told and ended at once', async () => {
    const { hub, streams } = await withStreams(20)
    await hub.close()
    expect(streams.every(({ closing, closed }) => closed && closing === 'shutdown')).toBe(true)
    expect(hub.stats()).toMatchObject({ connections: 0, accepting: false, closed: { shutdown: 20 } })
  })

  it('[S7] with a drain time they end one after the other, evenly over it', async () => {
    const { hub, clock, open: left } = await withStreams(1_000)
    const closed = hub.close({ drainMs: 10_000 })
    const counts = []
    for (let second = 0; second < 10; second++) {
      await clock.advance(1_000)
      counts.push(left())
    }
    for (let second = 1; second < 10; second++) {
      const gone = (counts[second - 1] as number) - (counts[second] as number)
      expect(gone).toBeGreaterThanOrEqual(80)
      expect(gone).toBeLessThanOrEqual(120)
    }
    await closed
    expect(left()).toBe(0)
  })

  it('[S7] 5,000 streams are gone within the drain time', async () => {
    const { hub, clock, open: left } = await withStreams(5_000)
    const closed = hub.close({ drainMs: 5_000 })
    await clock.advance(5_000)
    expect(left()).toBe(0)
    await closed
  })

  it('[W19] each closing frame has a retry of its own', async () => {
    const { hub, streams } = await withStreams(100)
    await hub.close()
    const retries = streams.map(({ frames }) => frames.at(-1)?.retry as number)
    expect(new Set(retries).size).toBeGreaterThan(50)
    expect(Math.min(...retries)).toBeGreaterThanOrEqual(500)
    expect(Math.max(...retries)).toBeLessThanOrEqual(1_500)
  })

  it('[S7] new streams are refused meanwhile: 503 and another Retry-After for each', async () => {
    const { hub, clock } = await withStreams(10)
    const closed = hub.close({ drainMs: 10_000 })
    const refused = await Promise.all(Array.from({ length: 30 }, () => open(hub, { projectId: 'p1' })))
    expect(new Set(refused.map(({ status, code }) => `${status} ${code}`))).toEqual(new Set(['503 UNAVAILABLE']))
    expect(new Set(refused.map(({ headers }) => headers['retry-after'])).size).toBeGreaterThan(1)
    await clock.advance(12_000)
    await closed
    expect((await open(hub, { projectId: 'p1' })).status).toBe(503)
  })

  it('[S7] refuse: stream answers a native EventSource with 200, retry and the end', async () => {
    const { hub } = await withStreams(0)
    await hub.close()
    const stream = await open(hub, { projectId: 'p1' }, { refuse: 'stream' })
    expect([stream.status, stream.closed]).toEqual([200, true])
    expect(stream.body).toMatch(/^retry: \d+\n\n$/)
  })

  it('[S7] a request that is being authorized when the hub closes does not open', async () => {
    const { hub, clock } = testHub()
    let answer: (grant: { projectId: string }) => void = () => {}
    const { stream, done } = ask(hub, null, { authorize: () => new Promise((resolve) => (answer = resolve)) })
    await clock.settle()
    const closed = hub.close()
    answer({ projectId: 'p1' })
    await Promise.all([done, closed])
    expect(stream.status).toBe(503)
    expect(hub.stats().connections).toBe(0)
  })

  it('[D7] publishing works while the hub drains, and reaches those who are still there', async () => {
    const { hub, clock, streams } = await withStreams(100)
    const closed = hub.close({ drainMs: 10_000 })
    await clock.advance(5_000)
    await hub.project('p1').updated('document', 'late')
    await clock.advance(7_000)
    await closed
    const reached = streams.filter(({ events }) => events.length === 1).length
    expect(reached).toBeGreaterThan(30)
    expect(reached).toBeLessThan(70)
    expect(await codeOf(() => hub.project('p1').updated('document', 'too-late'))).toBe('CLOSED')
  })

  it('[D4] what was published just before is written before the end', async () => {
    const { hub, streams } = await withStreams(3)
    const published = hub.project('p1').updated('document', 'last')
    await hub.close()
    await published
    for (const stream of streams) expect(stream.types).toEqual(['connected', 'entity.updated', 'closing'])
  })

  it('[S7] whoever does not go is cut off a second after the drain, and close returns', async () => {
    const { hub, clock } = testHub()
    const sink = new RecordingSink()
    await open(hub, { projectId: 'p1' }, { sink })
    sink.stall()
    await hub.project('p1').updated('document', 'never-read')
    await clock.settle()
    let returned = false
    const closed = hub.close({ drainMs: 500 }).then(() => (returned = true))
    await clock.advance(900)
    expect([returned, sink.destroyed]).toEqual([false, false])
    await clock.advance(700)
    await closed
    expect(sink.destroyed).toBe(true)
    expect(clock.timers).toBe(0)
  })

  it('[S7] a peer that takes its last bytes late gets its closing frame', async () => {
    const { hub, clock } = testHub()
    const sink = new RecordingSink()
    const stream = await open(hub, { projectId: 'p1' }, { sink })
    sink.stall(10_000)
    const closed = hub.close()
    await clock.advance(500)
    sink.resume()
    await closed
    expect(stream.closing).toBe('shutdown')
    expect(sink.destroyed).toBe(false)
  })

  it('[S7] it may be called twice, and returns when the first does', async () => {
    const { hub, clock } = await withStreams(3)
    const first = hub.close({ drainMs: 1_000 })
    expect(hub.close()).toBe(first)
    await clock.advance(3_000)
    await first
    await hub.close()
  })

  it('[S7] nothing that is open makes it wait where all clients have gone', async () => {
    const { hub, clock, streams } = await withStreams(50)
    const closed = hub.close({ drainMs: 60_000 })
    await clock.settle()
    for (const stream of streams) stream.leave()
    await closed
    expect(clock.timers).toBe(0)
  })

  for (const drainMs of [-1, Number.NaN, Number.POSITIVE_INFINITY, 4_000_000, '5' as never]) {
    it(`[N11] drainMs ${String(drainMs)} is refused and nothing is closed`, async () => {
      const { hub, streams } = await withStreams(1)
      expect(await codeOf(() => hub.close({ drainMs }))).toBe('INVALID_OPTION')
      expect(streams[0]?.closed).toBe(false)
      expect(hub.stats().accepting).toBe(true)
      await hub.close()
    })
  }

  it('[S7] a log that answers nothing any more does not keep it from returning', async () => {
    const clock = new VirtualClock()
    const log = new GatedLog(clock)
    const { hub } = testHub({ adapter: log, ports: { clock }, conflateWindowMs: 100 })
    const stream = await open(hub, { projectId: 'p1' })
    log.holds = (call) => call === 'append'
    const published = codeOf(() => hub.project('p1').updated('document', 'd'))
    log.close = () => new Promise(() => {})
    const closed = hub.close()
    await clock.advance(10_000)
    await closed
    expect(stream.closing).toBe('shutdown')
    log.release()
    expect(await published).toBeUndefined()
  })

  it('[S7] a log that cannot be closed is reported, and close returns', async () => {
    const clock = new VirtualClock()
    const log = new GatedLog(clock)
    const { hub, logger } = testHub({ adapter: log, ports: { clock } })
    log.close = () => Promise.reject(new Error('no'))
    await hub.close()
    expect(logger.lines).toHaveLength(1)
  })

  for (const afterMs of [500, 5_000]) {
    it(`[C9] a log that opens only ${afterMs} ms into it wakes nobody, while goodbye is being said and after it`, async () => {
      const hubs = new SharedHubs()
      const { clock } = hubs
      let letGo = () => {}
      const { hub, instance } = hubs.add()
      await clock.advance(1_500)
      const openLog = instance.open.bind(instance)
      instance.open = async (projectId, listener) => {
        await new Promise<void>((resolve) => (letGo = resolve))
        return openLog(projectId, listener)
      }
      instance.append = () => new Promise(() => {})
      const asked = hub.cursor('p1')
      await clock.settle()
      const closed = hub.close()
      await clock.advance(afterMs)
      letGo()
      await asked
      await clock.advance(6_000)
      await closed
      expect(clock.timers).toBe(0)
      expect(hubs.log.ears.size).toBe(0)
    })
  }

  it('[D7] what is published while the last window goes into the log is refused or goes there too', async () => {
    const clock = new VirtualClock()
    const log = new GatedLog(clock)
    const { hub } = testHub({ adapter: log, ports: { clock }, conflateWindowMs: 10_000 })
    const streams = [await open(hub, { projectId: 'p1' }), await open(hub, { projectId: 'p1' })]
    const closed = hub.close({ drainMs: 10_000 })
    await clock.advance(100)
    log.holds = (call) => call === 'append'
    const first = hub.project('p1').updated('document', 'first')
    for (const stream of streams) stream.leave()
    await clock.settle()
    expect(log.calls.append).toBe(1)
    const second = codeOf(() => hub.project('p1').updated('document', 'second'))
    await clock.settle()
    log.release()
    await clock.advance(2_000)
    await closed
    expect(clock.timers).toBe(0)
    expect(await second).toBeUndefined()
    expect(await first).toMatch(/\.1$/)
    expect(await codeOf(() => hub.project('p1').updated('document', 'third'))).toBe('CLOSED')
  })

  it('[S7] a listener that closes the hub as its last events are told closes it once', async () => {
    const { hub, clock } = testHub({ conflateWindowMs: 100 })
    const closings: Promise<void>[] = []
    hub.listen({ projectId: 'p1' }, () => void closings.push(hub.close()))
    await clock.settle()
    void hub.project('p1').updated('document', 'last')
    closings.push(hub.close())
    await Promise.all(closings)
    expect(closings).toHaveLength(2)
    expect(new Set(closings).size).toBe(1)
  })

  it('[C9] after it no timer, feed or connection is left', async () => {
    const { hub, clock } = await withStreams(20)
    hub.listen({ projectId: 'p2' }, () => {})
    await hub.cursor('p3')
    await end(hub, clock)
    expect(clock.timers).toBe(0)
    expect(hub.stats()).toMatchObject({ connections: 0, lagging: 0, projects: 0, retainedBytes: 0 })
  })
})
