import { MemoryAdapter } from '@entitycast/sse-server'
import { describe, expect, it } from 'vitest'
import { GatedLog } from '../support/gated-log'
import { testHub } from '../support/hub'
import { ask, open } from '../support/stream'
import { VirtualClock } from '../support/virtual-clock'

function gatedHub(options: Parameters<typeof testHub>[0] = {}) {
  const clock = new VirtualClock()
  const log = new GatedLog(clock)
  return { ...testHub({ ...options, adapter: log, ports: { clock } }), clock, log }
}

describe('a project that nobody reads', () => {
  it('[D6] is let go a minute after its last reader left, and the timer with it', async () => {
    const { hub, clock } = testHub()
    const stream = await open(hub, { projectId: 'p1' })
    stream.leave()
    await clock.advance(59_000)
    expect(hub.stats().projects).toBe(1)
    await clock.advance(3_000)
    expect(hub.stats()).toMatchObject({ projects: 0, retainedBytes: 0 })
    expect(clock.timers).toBe(0)
    await hub.close()
  })

  it('[D3] is taken up again where it was: a cursor from before resumes', async () => {
    const { hub, clock } = testHub()
    const stream = await open(hub, { projectId: 'p1' })
    stream.leave()
    await clock.advance(62_000)
    await hub.project('p1').updated('document', 'unread')
    const again = await open(hub, { projectId: 'p1' }, { lastEventId: stream.lastEventId })
    await clock.settle()
    expect(again.resyncs).toEqual([])
    expect(again.events.map(({ data }) => data.id)).toEqual(['unread'])
    await hub.close()
  })

  it("[D4] is not let go while a newcomer's cursor is looked up", async () => {
    const { hub, clock, log } = gatedHub()
    const cursor = await hub.cursor('p1')
    await hub.project('p1').updated('document', 'a')
    await clock.advance(62_000)
    // A feed that knows the head only, and is let go while the log is asked, unless the newcomer's coming counts.
    await hub.cursor('p1')
    await clock.advance(55_000)
    log.holds = (call) => call === 'read'
    const { stream, done } = ask(hub, { projectId: 'p1' }, { lastEventId: cursor })
    await clock.advance(9_000)
    log.release()
    await done
    await hub.project('p1').updated('document', 'b')
    await clock.settle()
    expect(stream.events.map(({ data }) => data.id)).toEqual(['a', 'b'])
    await hub.close()
  })

  it('[D4] is not let go because opening it took long: whoever comes when it is open finds it so', async () => {
    const { hub, clock, log } = gatedHub()
    log.holds = (call) => call === 'open'
    const early = ask(hub, { projectId: 'p1' })
    await clock.advance(120_000)
    await early.done
    expect(early.stream.code).toBe('UNAVAILABLE')
    log.release()
    await clock.advance(5_000)
    log.holds = (call) => call === 'open'
    const stream = await open(hub, { projectId: 'p1' })
    await hub.project('p1').updated('document', 'b')
    await clock.settle()
    expect(stream.events.map(({ data }) => data.id)).toEqual(['b'])
    log.release()
    await hub.close()
  })
})

describe('a project that is being opened', () => {
  it('[C2] whose log cannot be opened refuses with 503, is reported, and is tried again by the next', async () => {
    const { hub, log, logger } = gatedHub()
    log.fails = (call, nth) => (call === 'open' && nth === 1 ? new Error('broker down') : undefined)
    const [first, second] = await Promise.all([open(hub, { projectId: 'p1' }), open(hub, { projectId: 'p1' })])
    expect([first.status, second.status]).toEqual([503, 503])
    expect(log.calls.open).toBe(1)
    expect(logger.lines.length).toBeGreaterThan(0)
    expect((await open(hub, { projectId: 'p1' })).status).toBe(200)
    await hub.close()
  })

  it('[D4] what its log tells before the answer to open is seen is not lost', async () => {
    const { hub, clock, log } = gatedHub()
    log.holds = (call) => call === 'open'
    const { stream, done } = ask(hub, { projectId: 'p1' })
    await clock.settle()
    await hub.project('p1').updated('document', 'early')
    log.release()
    await done
    await hub.project('p1').updated('document', 'late')
    await clock.settle()
    expect(stream.resyncs).toEqual([])
    expect(stream.events.map(({ data }) => data.id)).toEqual(['late'])
    const behind = await open(hub, { projectId: 'p1' }, { lastEventId: `${(await hub.cursor('p1')).split('.')[0]}.0` })
    await clock.settle()
    expect(behind.events.map(({ data }) => data.id)).toEqual(['early', 'late'])
    await hub.close()
  })

  it('[D4] a doubt before the answer to open is seen is not lost', async () => {
    const { hub, clock, log } = gatedHub()
    log.holds = (call) => call === 'open'
    const { stream, done } = ask(hub, { projectId: 'p1' })
    await clock.settle()
    log.listeners.get('p1')?.doubt({ epoch: 'another', offset: 3 }, 'epoch')
    log.release()
    await done
    expect(stream.lastEventId).toBe('another.3')
    await hub.close()
  })

  it('[C9] is opened once for all who ask meanwhile', async () => {
    const { hub, clock, log } = gatedHub({ limits: false })
    log.holds = (call) => call === 'open'
    const asked = Array.from({ length: 50 }, () => ask(hub, { projectId: 'p1' }))
    await clock.settle()
    log.release()
    await Promise.all(asked.map(({ done }) => done))
    expect(log.calls.open).toBe(1)
    expect(hub.stats().connections).toBe(50)
    await hub.close()
  })
})

describe('the log says that it may have missed something', () => {
  it('[D4] every reader gets one resync before any later event, full sockets included, and goes on', async () => {
    const { hub, clock, log } = gatedHub()
    const reading = await open(hub, { projectId: 'p1' })
    const full = await open(hub, { projectId: 'p1' })
    full.sink.stall()
    await hub.project('p1').updated('document', 'before')
    await clock.settle()
    const listener = log.listeners.get('p1')
    listener?.doubt({ epoch: 'another', offset: 10 }, 'broker-gap')
    const record = { type: 'note:added', data: '{"data":1,"timestamp":"2026-01-31T09:30:00Z"}', channel: 'default' }
    listener?.entries([{ offset: 11, record }])
    await clock.settle()
    listener?.doubt({ epoch: 'third', offset: 0 }, 'epoch')
    listener?.entries([{ offset: 1, record }])
    await clock.settle()
    full.sink.resume()
    await clock.settle()
    expect(reading.types).toEqual(['connected', 'entity.updated', 'resync', 'resync'])
    expect(full.types).toEqual(['connected', 'entity.updated', 'resync'])
    listener?.entries([{ offset: 2, record }])
    await clock.settle()
    expect(reading.lastEventId).toBe('third.2')
    expect(full.lastEventId).toBe('third.2')
    await hub.close()
  })
})

describe('the memory log', () => {
  const retention = { ageMs: 10_000, events: 1_000, bytes: 1_048_576 }
  const record = { type: 'note:added', data: '{}', channel: 'default' }
  const listener = { entries: () => {}, doubt: () => {} }

  async function swept(use: (log: MemoryAdapter) => Promise<unknown>): Promise<boolean> {
    const clock = new VirtualClock()
    const log = new MemoryAdapter({ clock })
    log.start(retention)
    const before = await log.append('p1', [record])
    await use(log)
    await clock.advance(20_000)
    // Any call sweeps.
    await log.append('other', [record])
    const after = await log.append('p1', [record])
    await log.close()
    return after.epoch !== before.epoch
  }

  it('[D6] forgets a project whose events have all expired and that nobody listens to', async () => {
    expect(await swept(async () => {})).toBe(true)
  })

  it('[D4] keeps one that somebody listens to, however long nothing happens', async () => {
    expect(await swept((log) => log.open('p1', listener))).toBe(false)
  })

  it('[D6] forgets it when the listener has gone', async () => {
    expect(await swept(async (log) => (await log.open('p1', listener)).close())).toBe(true)
  })

  it('[D4] an epoch is never used twice', async () => {
    const clock = new VirtualClock()
    const log = new MemoryAdapter({ clock })
    log.start(retention)
    const epochs = new Set<string>()
    for (let n = 0; n < 20; n++) {
      epochs.add((await log.append('p1', [record])).epoch)
      await clock.advance(20_000)
      await log.append(`p${n}`, [record])
    }
    expect(epochs.size).toBe(20)
    await log.close()
  })
})
