import { describe, expect, it } from 'vitest'
import { Revocations } from '../../src/hub/revocations'
import { GatedLog } from '../support/gated-log'
import { codeOf, testHub } from '../support/hub'
import { RecordingSink } from '../support/recording-sink'
import { ask, open } from '../support/stream'
import { VirtualClock } from '../support/virtual-clock'

describe('revoke', () => {
  it('[S5] an idle stream is told closing: revoked and ends', async () => {
    const { hub } = testHub()
    const stream = await open(hub, { projectId: 'p1', userId: 'u1' })
    expect(await hub.revoke({ userId: 'u1' })).toBe(1)
    expect(stream.closing).toBe('revoked')
    expect(stream.closed).toBe(true)
    expect(hub.stats()).toMatchObject({ connections: 0, closed: { revoked: 1 } })
    await hub.close()
  })

  it('[S5] the last frame reaches a peer that has not read it yet', async () => {
    const { hub } = testHub()
    const sink = new RecordingSink()
    const stream = await open(hub, { projectId: 'p1', userId: 'u1' }, { sink })
    sink.stall(1_000)
    void hub.revoke({ userId: 'u1' })
    sink.resume()
    expect(stream.closing).toBe('revoked')
    expect(stream.closed).toBe(true)
    await hub.close()
  })

  it('[S5] what was published in the same turn before it is not written', async () => {
    const { hub, clock } = testHub()
    const revoked = await open(hub, { projectId: 'p1', userId: 'u1' })
    const other = await open(hub, { projectId: 'p1', userId: 'u2' })
    await hub.project('p1').updated('document', 'd')
    void hub.revoke({ userId: 'u1' })
    await clock.settle()
    expect(other.events).toHaveLength(1)
    expect(revoked.types).toEqual(['connected', 'closing'])
    await hub.close()
  })

  it('[S5] what is queued in a full socket is cut', async () => {
    const { hub, clock } = testHub()
    const sink = new RecordingSink()
    const stream = await open(hub, { projectId: 'p1', userId: 'u1' }, { sink })
    sink.stall()
    await hub.project('p1').updated('document', 'queued')
    await clock.settle()
    expect(sink.unsent).toMatch('queued')
    void hub.revoke({ projectId: 'p1' })
    expect(sink.destroyed).toBe(true)
    sink.drain()
    expect(stream.events).toEqual([])
    await hub.close()
  })

  it('[S5] what is queued in a socket with room left is cut too', async () => {
    const { hub, clock } = testHub()
    const sink = new RecordingSink()
    const stream = await open(hub, { projectId: 'p1', userId: 'u1' }, { sink })
    sink.stall(10_000)
    await hub.project('p1').updated('document', 'queued')
    await clock.settle()
    void hub.revoke({ projectId: 'p1' })
    sink.drain()
    expect(stream.events).toEqual([])
    await hub.close()
  })

  it('[S5] a replay stops in the middle', async () => {
    const { hub, clock } = testHub()
    const cursor = await hub.cursor('p1')
    for (let n = 0; n < 10; n++) void hub.project('p1').updated('document', `d${n}`, { text: 'x'.repeat(40_000) })
    const sink = new RecordingSink()
    sink.stall()
    const stream = await open(hub, { projectId: 'p1', userId: 'u1' }, { lastEventId: cursor, sink })
    sink.drain()
    void hub.revoke({ userId: 'u1' })
    sink.resume()
    await clock.settle()
    expect(stream.events).toEqual([])
    expect(stream.closed).toBe(true)
    await hub.close()
  })

  it('[S5] a replay that waits for the log stops too', async () => {
    const clock = new VirtualClock()
    const log = new GatedLog(clock)
    const { hub } = testHub({ adapter: log, ports: { clock } })
    const cursor = await hub.cursor('p1')
    await hub.project('p1').updated('document', 'd')
    await clock.advance(62_000)
    log.holds = (call, nth) => call === 'read' && nth >= 2
    const stream = await open(hub, { projectId: 'p1', userId: 'u1' }, { lastEventId: cursor })
    void hub.revoke({ userId: 'u1' })
    log.release()
    await clock.settle()
    expect(stream.types).toEqual(['connected', 'closing'])
    await hub.close()
  })

  for (const laterMs of [0, 100]) {
    it(`[S5] a stream that is not open yet does not open where its grant was asked for ${laterMs} ms before the revocation`, async () => {
      const clock = new VirtualClock()
      const log = new GatedLog(clock)
      const { hub } = testHub({ adapter: log, ports: { clock } })
      log.holds = (call) => call === 'open'
      const { stream, done } = ask(hub, { projectId: 'p1', userId: 'u1' })
      await clock.advance(laterMs)
      void hub.revoke({ userId: 'u1' })
      log.release()
      await done
      expect(stream.status).toBe(503)
      expect(Number(stream.headers['retry-after'])).toBeGreaterThan(0)
      expect(hub.stats().connections).toBe(0)
      const later = await open(hub, { projectId: 'p1', userId: 'u2' })
      expect(later.status).toBe(200)
      await hub.close()
    })
  }

  it('[S5] what is just being opened for others opens', async () => {
    const { hub, clock } = testHub()
    const answers: (() => void)[] = []
    const grants = [
      { projectId: 'p1', userId: 'u1' },
      { projectId: 'p2', userId: 'u1' },
      { projectId: 'p1', userId: 'u2' },
      { projectId: 'p1' },
    ]
    const asked = grants.map((grant) =>
      ask(hub, null, { authorize: () => new Promise((resolve) => answers.push(() => resolve(grant))) }),
    )
    await clock.settle()
    void hub.revoke({ projectId: 'p1', userId: 'u1' })
    for (const answer of answers) answer()
    await Promise.all(asked.map(({ done }) => done))
    expect(asked.map(({ stream }) => stream.status)).toEqual([503, 200, 200, 200])
    await hub.close()
  })

  it('[S5 D6] a hundred thousand sign-outs in a minute cost those who come next to nothing, and only themselves a grant', () => {
    const revocations = new Revocations()
    const asked = revocations.moment
    for (let n = 0; n < 100_000; n++) revocations.add({ projectId: 'p1', userId: `u${n % 40_000}` }, n * 0.5)
    const later = revocations.moment
    const begun = process.cpuUsage()
    for (let n = 0; n < 10_000; n++) {
      expect(revocations.undo({ projectId: 'p1', userId: `u${n}` }, asked)).toBe(true)
      expect(revocations.undo({ projectId: 'p1', userId: `u${n}` }, later)).toBe(false)
      expect(revocations.undo({ projectId: 'p2', userId: `u${n}` }, asked)).toBe(false)
      expect(revocations.undo({ projectId: 'p1' }, asked)).toBe(false)
    }
    // Looked through one by one they would take minutes, of this process's own time.
    expect(process.cpuUsage(begun).user / 1_000).toBeLessThan(10_000)
    revocations.add({ projectId: 'p3' }, 50_000)
    revocations.add({ userId: 'u4' }, 50_000)
    expect(revocations.undo({ projectId: 'p3', userId: 'anybody' }, later)).toBe(true)
    expect(revocations.undo({ projectId: 'p3' }, later)).toBe(true)
    expect(revocations.undo({ projectId: 'p4', userId: 'u4' }, later)).toBe(true)
    expect(revocations.undo({ projectId: 'p4' }, later)).toBe(false)
    revocations.add({}, 50_001)
    expect(revocations.undo({ projectId: 'p4' }, later)).toBe(true)
    expect(revocations.undo({ projectId: 'p4' }, revocations.moment)).toBe(false)
  })

  it('[S5] what took longer than revocations are remembered does not open, whoever was revoked', async () => {
    const clock = new VirtualClock()
    const log = new GatedLog(clock)
    const { hub } = testHub({ adapter: log, ports: { clock } })
    log.holds = (call) => call === 'open'
    const { stream, done } = ask(hub, { projectId: 'p1', userId: 'u1' })
    await clock.advance(1_000)
    void hub.revoke({ userId: 'u1' })
    await clock.advance(61_000)
    void hub.revoke({ userId: 'u2' })
    log.release()
    await done
    expect(stream.status).toBe(503)
    expect((await open(hub, { projectId: 'p1', userId: 'u1' })).status).toBe(200)
    await hub.close()
  })

  it('[D8] a stream that is on its way out for another reason and still holds bytes is cut', async () => {
    const { hub, clock } = testHub()
    const sink = new RecordingSink()
    const stream = await open(hub, { projectId: 'p1', userId: 'u1' }, { sink })
    sink.stall(10_000)
    await hub.project('p1').updated('document', 'queued')
    await clock.settle()
    void hub.disconnect({ userId: 'u1' })
    expect(sink.ended).toBe(true)
    void hub.revoke({ userId: 'u1' })
    sink.drain()
    expect(stream.events).toEqual([])
    await hub.close()
  })

  it('[S5] only those whom the filter means', async () => {
    const { hub } = testHub()
    const streams = {
      a: await open(hub, { projectId: 'p1', userId: 'u1' }),
      b: await open(hub, { projectId: 'p1', userId: 'u2' }),
      c: await open(hub, { projectId: 'p2', userId: 'u1' }),
      d: await open(hub, { projectId: 'p1' }),
    }
    const left = () => Object.entries(streams).flatMap(([name, { closed }]) => (closed ? [] : [name]))
    expect(await hub.revoke({ projectId: 'p1', userId: 'u1' })).toBe(1)
    expect(left()).toEqual(['b', 'c', 'd'])
    expect(await hub.revoke({ connectionId: streams.b.connected.connectionId, projectId: 'p2' })).toBe(0)
    expect(await hub.revoke({ connectionId: streams.b.connected.connectionId, userId: 'u1' })).toBe(0)
    expect(await hub.revoke({ connectionId: streams.b.connected.connectionId })).toBe(1)
    expect(left()).toEqual(['c', 'd'])
    expect(await hub.revoke({ userId: 'nobody' })).toBe(0)
    expect(await hub.revoke({ projectId: 'p1' })).toBe(1)
    expect(left()).toEqual(['c'])
    await hub.close()
  })

  const filters = [
    {},
    null,
    undefined,
    { projectId: undefined },
    { projectId: 'p1', userId: undefined },
    { userId: '' },
    { userId: 7 },
    { projectId: null },
    { user: 'u1' },
  ]
  for (const filter of filters) {
    it(`[P3] the filter ${JSON.stringify(filter, (_, value) => (value === undefined ? 'undefined' : value))} is refused: it never means everyone`, async () => {
      const { hub } = testHub()
      const stream = await open(hub, { projectId: 'p1', userId: 'u1' })
      expect(await codeOf(() => hub.revoke(filter as never))).toBe('INVALID_FILTER')
      expect(await codeOf(() => hub.disconnect(filter as never))).toBe('INVALID_FILTER')
      expect(stream.closed).toBe(false)
      await hub.close()
    })
  }
})

describe('disconnect', () => {
  it('[S5 D8] a stream whose grant was asked for before it does not open; its client asks again', async () => {
    const { hub, clock } = testHub()
    let answer = () => {}
    const asked = ask(hub, null, {
      authorize: () =>
        new Promise((resolve) => {
          answer = () => resolve({ projectId: 'p1', userId: 'u1' })
        }),
    })
    await clock.settle()
    expect(await hub.disconnect({ projectId: 'p1', userId: 'u1' })).toBe(0)
    answer()
    await asked.done
    expect(asked.stream.status).toBe(503)
    expect(Number(asked.stream.headers['retry-after'])).toBeGreaterThan(0)
    expect((await open(hub, { projectId: 'p1', userId: 'u1' })).status).toBe(200)
    await hub.close()
  })

  it('[S5] what it names by the id of a connection undoes no grant', async () => {
    const { hub } = testHub()
    const stream = await open(hub, { projectId: 'p1', userId: 'u1' })
    let answer = () => {}
    const authorize = () =>
      new Promise<{ projectId: string; userId: string }>((resolve) => {
        answer = () => resolve({ projectId: 'p1', userId: 'u1' })
      })
    const asked = ask(hub, null, { authorize })
    expect(await hub.disconnect({ connectionId: stream.connected.connectionId })).toBe(1)
    answer()
    await asked.done
    expect(asked.stream.status).toBe(200)
    await hub.close()
  })

  it('[W18] the client is told rotated, comes back, and resumes where it was', async () => {
    const { hub, clock } = testHub()
    const stream = await open(hub, { projectId: 'p1', userId: 'u1' })
    await hub.project('p1').updated('document', 'before')
    await clock.settle()
    expect(await hub.disconnect({ userId: 'u1' })).toBe(1)
    expect(stream.closing).toBe('rotated')
    await hub.project('p1').updated('document', 'after')
    const again = await open(hub, { projectId: 'p1', userId: 'u1' }, { lastEventId: stream.lastEventId })
    expect(again.events.map(({ data }) => data.id)).toEqual(['after'])
    await hub.close()
  })
})
