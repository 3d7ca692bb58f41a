import type { ClusterStats } from '@entitycast/sse-server'
import { afterEach, describe, expect, it } from 'vitest'
import { CONTROL_LOG } from '../../src/seams/log-name'
import { testHub } from '../support/hub'
import { RecordingSink } from '../support/recording-sink'
import { SharedHubs } from '../support/shared-log'
import { ask, open } from '../support/stream'

describe('revoke and disconnect, with several instances', () => {
  let hubs = new SharedHubs()
  afterEach(async () => {
    await hubs.end()
    expect(hubs.clock.timers).toBe(0)
    hubs = new SharedHubs()
  })

  it('[D8 S5] a revocation ends the streams of all instances, and nothing that was queued is written', async () => {
    const [a, b, c] = await hubs.start(3)
    const sink = new RecordingSink()
    const here = await open(a!.hub, { projectId: 'p1', userId: 'u1' })
    const queued = await open(b!.hub, { projectId: 'p1', userId: 'u1' }, { sink })
    const there = await open(c!.hub, { projectId: 'p1', userId: 'u1' })
    const other = await open(c!.hub, { projectId: 'p1', userId: 'u2' })
    sink.stall(10_000)
    await a!.hub.project('p1').updated('document', 'd')
    await hubs.clock.settle()
    expect(await a!.hub.revoke({ userId: 'u1' })).toBe(1)
    await hubs.clock.settle()
    await hubs.clock.advance(0)
    sink.drain()
    expect([here.closing, there.closing, other.closing]).toEqual(['revoked', 'revoked', undefined])
    expect(queued.events).toEqual([])
    expect(queued.closed).toBe(true)
    expect(b!.hub.stats().closed).toEqual({ revoked: 1 })
  })

  it('[S5] it acts here before anything is awaited', async () => {
    const [a] = await hubs.start(2)
    const stream = await open(a!.hub, { projectId: 'p1', userId: 'u1' })
    a!.instance.isCutOff = true
    const revoked = a!.hub.revoke({ userId: 'u1' })
    expect(stream.closing).toBe('revoked')
    await expect(revoked).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    expect(stream.closed).toBe(true)
  })

  it('[W18] disconnect ends them everywhere so that their clients come back', async () => {
    const [a, b] = await hubs.start(2)
    const stream = await open(b!.hub, { projectId: 'p1', userId: 'u1' })
    expect(await a!.hub.disconnect({ projectId: 'p1' })).toBe(0)
    await hubs.clock.advance(0)
    expect(stream.closing).toBe('rotated')
  })

  it('a connection is found by its id, whatever instance has it; one that was here is not looked for elsewhere', async () => {
    const [a, b] = await hubs.start(2)
    const stream = await open(b!.hub, { projectId: 'p1', userId: 'u1' })
    const { connectionId } = stream.connected
    const before = hubs.log.appends.get(CONTROL_LOG)
    expect(await a!.hub.revoke({ connectionId })).toBe(0)
    await hubs.clock.advance(0)
    expect(stream.closing).toBe('revoked')
    const again = await open(b!.hub, { projectId: 'p1', userId: 'u1' })
    expect(await b!.hub.revoke({ connectionId: again.connected.connectionId })).toBe(1)
    expect(hubs.log.appends.get(CONTROL_LOG)).toBe((before ?? 0) + 1)
  })

  it('[S5] a stream whose authorization began before the revocation was heard does not open; one that asks afterwards does', async () => {
    const [a, b] = await hubs.start(2)
    let answer = () => {}
    const asked = ask(b!.hub, null, {
      authorize: () =>
        new Promise((resolve) => {
          answer = () => resolve({ projectId: 'p1', userId: 'u1' })
        }),
    })
    hubs.log.delayMs = () => 300
    await hubs.clock.advance(10)
    await a!.hub.revoke({ userId: 'u1' })
    await hubs.clock.advance(400)
    answer()
    await asked.done
    expect(asked.stream.status).toBe(503)
    const later = await open(b!.hub, { projectId: 'p1', userId: 'u1' })
    expect(later.status).toBe(200)
  })

  it('[D8] an instance that may have missed a revocation ends all its streams, with what was queued, and each comes back through authorize', async () => {
    const [a, b] = await hubs.start(2)
    const streams = []
    for (let n = 0; n < 20; n++) streams.push(await open(b!.hub, { projectId: `p${n}`, userId: `u${n}` }))
    const sink = new RecordingSink()
    const queued = await open(b!.hub, { projectId: 'p1', userId: 'u1' }, { sink })
    const elsewhere = await open(a!.hub, { projectId: 'p1', userId: 'u1' })
    sink.stall(10_000)
    await a!.hub.project('p1').updated('document', 'd')
    await hubs.clock.advance(0)
    let answer = () => {}
    const asked = ask(b!.hub, null, {
      authorize: () =>
        new Promise((resolve) => {
          answer = () => resolve({ projectId: 'p1', userId: 'u1' })
        }),
    })
    await hubs.log.doubtAll(b!.instance, CONTROL_LOG)
    sink.drain()
    expect(streams.map(({ closing }) => closing)).toEqual(streams.map(() => 'rotated'))
    expect(queued.events).toEqual([])
    expect(queued.closed).toBe(true)
    expect(elsewhere.closed).toBe(false)
    const retries = streams.map(({ frames }) => frames.at(-1)?.retry)
    expect(new Set(retries).size).toBeGreaterThan(10)
    answer()
    await asked.done
    expect(asked.stream.status).toBe(503)
    await hubs.clock.advance(1)
    expect((await open(b!.hub, { projectId: 'p1', userId: 'u1' })).status).toBe(200)
    expect(hubs.logger.lines.map(({ message }) => message)).toContain(
      'what others revoked may have been missed: all streams begin anew',
    )
  })

  it('[D8] an instance that may have missed a revocation cuts also what is on its way out', async () => {
    const [a, b] = await hubs.start(2)
    const sink = new RecordingSink()
    const stream = await open(b!.hub, { projectId: 'p1', userId: 'u1' }, { sink })
    sink.stall(10_000)
    await a!.hub.project('p1').updated('document', 'queued')
    await hubs.clock.advance(0)
    await b!.hub.disconnect({ userId: 'u1' })
    expect([sink.ended, sink.destroyed]).toEqual([true, false])
    await hubs.log.doubtAll(b!.instance, CONTROL_LOG)
    sink.drain()
    expect([sink.destroyed, stream.events]).toEqual([true, []])
  })

  it('[D8] a word of another instance that cannot be read may have been a revocation', async () => {
    const [a, b] = await hubs.start(2)
    for (const data of ['no JSON', '{"from":"inst_x","filter":{},"reason":"revoked"}', '{"from":"inst_x"}']) {
      await hubs.clock.advance(1)
      const stream = await open(b!.hub, { projectId: 'p1', userId: 'u1' })
      await a!.instance.append(CONTROL_LOG, [{ type: 'hub:end', data, channel: 'default' }])
      await hubs.clock.advance(0)
      expect(stream.closing).toBe('rotated')
    }
    // A word of a later version is none of ours.
    await hubs.clock.advance(1)
    const stream = await open(b!.hub, { projectId: 'p1', userId: 'u1' })
    await a!.instance.append(CONTROL_LOG, [{ type: 'hub:later', data: '{"from":"inst_x"}', channel: 'default' }])
    await hubs.clock.advance(0)
    expect(stream.closed).toBe(false)
  })

  it('[D8] no stream opens before revocations are heard', async () => {
    const late = hubs.add({}, (instance) => {
      instance.fails = (call, projectId) => call === 'open' && projectId === CONTROL_LOG
    })
    await hubs.clock.advance(10)
    const refused = await open(late.hub, { projectId: 'p1' })
    expect([refused.status, refused.code]).toEqual([503, 'UNAVAILABLE'])
    late.instance.fails = () => false
    expect((await open(late.hub, { projectId: 'p1' })).status).toBe(200)
  })

  it('[S5] who may see what is asked when revocations are heard: one that was before that is in the answer', async () => {
    const [a] = await hubs.start(1)
    let begin = () => {}
    const late = hubs.add({}, (instance) => {
      begin = instance.holdOpening((projectId) => projectId === CONTROL_LOG)
    })
    let mayRead = true
    const asked = ask(late.hub, null, { authorize: () => (mayRead ? { projectId: 'p1', userId: 'u1' } : null) })
    await hubs.clock.settle()
    mayRead = false
    await a!.hub.revoke({ userId: 'u1' })
    await hubs.clock.advance(10)
    begin()
    await asked.done
    expect(asked.stream.status).toBe(401)
  })

  it('with a log that is not shared nothing is sent, and the answer is final', async () => {
    const { hub, clock } = testHub()
    await open(hub, { projectId: 'p1', userId: 'u1' })
    await clock.advance(60_000)
    expect(await hub.revoke({ userId: 'u1' })).toBe(1)
    expect(hub.stats().published).toBe(0)
    await hub.close()
    expect(clock.timers).toBe(0)
  })
})

describe('clusterStats', () => {
  let hubs = new SharedHubs()
  afterEach(async () => {
    await hubs.end()
    expect(hubs.clock.timers).toBe(0)
    hubs = new SharedHubs()
  })

  it('asks every instance, and adds up', async () => {
    const [a, b, c] = await hubs.start(3)
    await open(a!.hub, { projectId: 'p1' })
    await open(b!.hub, { projectId: 'p1' })
    await open(b!.hub, { projectId: 'p2' })
    await c!.hub.project('p1').updated('document', 'd')
    await open(c!.hub, null)
    const asked = c!.hub.clusterStats()
    await hubs.clock.advance(10)
    const { instances, missing, totals } = await asked
    expect(instances.map(({ stats }) => stats.connections)).toEqual([0, 1, 2])
    expect(new Set(instances.map(({ instanceId }) => instanceId)).size).toBe(3)
    expect(missing).toEqual([])
    expect(totals).toMatchObject({ connections: 3, opened: 3, published: 1, refused: { UNAUTHORIZED: 1 } })
  })

  it('names who is known and does not answer, for as long as it counts as alive', async () => {
    const [a, b] = await hubs.start(2)
    const [, other] = await whileAdvancing(a!.hub.clusterStats())
    b!.instance.isDead = true
    const begun = hubs.clock.monotonic()
    const silent = await whileAdvancing(a!.hub.clusterStats({ timeoutMs: 500 }))
    expect(silent[0].missing).toEqual(other)
    expect(hubs.clock.monotonic() - begun).toBeGreaterThanOrEqual(500)
    await hubs.clock.advance(25_000)
    const [gone] = await whileAdvancing(a!.hub.clusterStats())
    expect([gone.instances.length, gone.missing]).toEqual([1, []])
  })

  it('one that says goodbye is not waited for, and one that comes is asked at once', async () => {
    const [a, b] = await hubs.start(2)
    const closed = b!.hub.close()
    await hubs.clock.advance(10)
    await closed
    const [left] = await whileAdvancing(a!.hub.clusterStats())
    expect([left.instances.length, left.missing]).toEqual([1, []])
    hubs.add()
    await hubs.clock.advance(10)
    const [joined] = await whileAdvancing(a!.hub.clusterStats())
    expect([joined.instances.length, joined.missing]).toEqual([2, []])
  })

  it('does not wait for longer than it was told where the log does not answer', async () => {
    const [a, b] = await hubs.start(2)
    const append = a!.instance.append.bind(a!.instance)
    let go = () => {}
    const begun = new Promise<void>((resolve) => {
      go = resolve
    })
    a!.instance.append = async (projectId, records) => {
      await begun
      return append(projectId, records)
    }
    let stats: ClusterStats | undefined
    const asked = a!.hub.clusterStats({ timeoutMs: 300 }).then((answer) => {
      stats = answer
    })
    await hubs.clock.advance(300)
    expect(stats?.missing).toHaveLength(1)
    expect(b!.hub.status()).toBe('ok')
    go()
    await asked
  })

  it('rejects where the log cannot be reached', async () => {
    const [a] = await hubs.start(1)
    a!.instance.isCutOff = true
    await expect(a!.hub.clusterStats()).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  })

  it('with a log that is not shared there is one instance', async () => {
    const { hub } = testHub()
    const { instances, missing, totals } = await hub.clusterStats()
    expect([instances.length, missing, totals.connections]).toEqual([1, [], 0])
    await hub.close()
  })

  it('a timeout that would never end, or is none, is refused by name', async () => {
    const [a] = await hubs.start(1)
    const alone = testHub()
    for (const timeoutMs of [Number.POSITIVE_INFINITY, Number.NaN, 0, -1, 60_001, '500' as never]) {
      for (const { hub } of [a!, alone]) {
        await expect(hub.clusterStats({ timeoutMs })).rejects.toMatchObject({
          code: 'INVALID_OPTION',
          message: expect.stringMatching(/^timeoutMs is .+; it must be 1 to 60,000 milliseconds$/),
        })
      }
    }
    await alone.hub.close()
  })

  it('after the log itself was away nobody is missing who has not come back to it yet', async () => {
    const [a, b] = await hubs.start(2)
    for (const { instance } of [a!, b!]) instance.isCutOff = true
    await hubs.clock.advance(60_000)
    a!.instance.isCutOff = false
    await hubs.clock.advance(12_000)
    const [early] = await whileAdvancing(a!.hub.clusterStats())
    expect(early.missing).toHaveLength(1)
    b!.instance.isCutOff = false
    await hubs.clock.advance(10_000)
    const [late] = await whileAdvancing(a!.hub.clusterStats())
    expect([late.instances.length, late.missing]).toEqual([2, []])
  })

  it('an instance that was cut off judges nobody before it has heard what was said meanwhile', async () => {
    const [a, b] = await hubs.start(2)
    a!.instance.isCutOff = true
    await hubs.clock.advance(60_000)
    hubs.log.delayMs = (instance) => (instance === a!.instance ? 400 : 0)
    a!.instance.isCutOff = false
    const [stats] = await whileAdvancing(a!.hub.clusterStats())
    expect([stats.instances.length, stats.missing]).toEqual([2, []])
    expect(b!.hub.stats().connections).toBe(0)
  })

  async function whileAdvancing<Result extends { instances: readonly { instanceId: string }[] }>(
    answer: Promise<Result>,
  ): Promise<[Result, string[]]> {
    let result: Result | undefined
    void answer.then((value) => {
      result = value
    })
    for (let n = 0; n < 300 && !result; n++) await hubs.clock.advance(10)
    return [result as Result, (result as Result).instances.slice(1).map(({ instanceId }) => instanceId)]
  }
})
