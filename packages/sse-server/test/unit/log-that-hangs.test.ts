import { afterEach, describe, expect, it } from 'vitest'
import { GatedLog } from '../support/gated-log'
import { testHub } from '../support/hub'
import { ask, open } from '../support/stream'
import { VirtualClock } from '../support/virtual-clock'

/** Longer than anything may wait for the log. */
const TOO_LONG_MS = 10_001

describe('a log that neither answers nor fails', () => {
  const clock = new VirtualClock()
  let log = new GatedLog(clock)
  let { hub } = testHub({ adapter: log, ports: { clock } })
  afterEach(async () => {
    log.release()
    await hub.close()
    await clock.advance(0)
    expect(clock.timers).toBe(0)
    log = new GatedLog(clock)
    hub = testHub({ adapter: log, ports: { clock } }).hub
  })

  it('[B1] while it opens, every request is refused after 10 s with 503 and Retry-After, each in its own time', async () => {
    log.holds = (call) => call === 'open'
    const first = ask(hub, { projectId: 'p1' })
    await clock.advance(6_000)
    const second = ask(hub, { projectId: 'p1' })
    await clock.advance(TOO_LONG_MS - 6_000)
    await first.done
    expect([first.stream.status, first.stream.code]).toEqual([503, 'UNAVAILABLE'])
    expect(Number(first.stream.headers['retry-after'])).toBeGreaterThan(0)
    expect(second.stream.status).toBe(0)
    await clock.advance(6_000)
    await second.done
    expect(second.stream.code).toBe('UNAVAILABLE')
    expect(hub.stats()).toMatchObject({ connections: 0, refused: { UNAVAILABLE: 2 } })
  })

  it('[B1] it is asked once, however many wait, and whoever comes when it has opened is served', async () => {
    log.holds = (call) => call === 'open'
    const early = Array.from({ length: 5 }, () => ask(hub, { projectId: 'p1' }))
    await clock.advance(TOO_LONG_MS)
    await Promise.all(early.map(({ done }) => done))
    const late = ask(hub, { projectId: 'p1' })
    await clock.advance(1_000)
    expect(log.calls.open).toBe(1)
    log.release()
    await late.done
    expect(late.stream.status).toBe(200)
    expect(hub.stats().connections).toBe(1)
  })

  it('[B1] other projects go on meanwhile', async () => {
    log.holds = (call, nth) => call === 'open' && nth === 1
    const hanging = ask(hub, { projectId: 'p1' })
    await clock.advance(0)
    const other = await open(hub, { projectId: 'p2' })
    await hub.project('p2').updated('document', 'a')
    await clock.settle()
    expect(other.events.map(({ data }) => data.id)).toEqual(['a'])
    await clock.advance(TOO_LONG_MS)
    await hanging.done
  })

  it('[B1] cursor() rejects after 10 s too', async () => {
    log.holds = (call) => call === 'open'
    const cursor = expect(hub.cursor('p1')).rejects.toMatchObject({ code: 'UNAVAILABLE', retryAfterMs: 5_000 })
    await clock.advance(TOO_LONG_MS)
    await cursor
  })

  it('[B1] while it looks up a cursor, the request is refused after 10 s, and what is found later opens no stream', async () => {
    const cursor = await hub.cursor('p1')
    await hub.project('p1').updated('document', 'a')
    // A feed that nobody has read is let go, and the next one knows the head only.
    await clock.advance(62_000)
    log.holds = (call) => call === 'read'
    const { stream, done } = ask(hub, { projectId: 'p1' }, { lastEventId: cursor })
    await clock.advance(TOO_LONG_MS)
    await done
    expect([stream.status, stream.code]).toEqual([503, 'UNAVAILABLE'])
    log.release()
    await clock.settle()
    expect(hub.stats().connections).toBe(0)
  })
})
