import { describe, expect, it, vi } from 'vitest'
import type { Connection } from '../../src/feed/connection'
import { Questions, type Waiting } from '../../src/hub/questions'
import { Registry } from '../../src/registry/registry'
import { GatedLog } from '../support/gated-log'
import { end, testHub } from '../support/hub'
import { RecordingSink } from '../support/recording-sink'
import { ask, open } from '../support/stream'
import { VirtualClock } from '../support/virtual-clock'

describe('before the application is asked', () => {
  const grant = { projectId: 'p1' }

  it('[C4] a flood above the connect rate is refused without asking it, and what comes later is asked about again', async () => {
    const { hub, clock } = testHub({ limits: { connectsPerSecond: 10 } })
    const authorize = vi.fn(() => grant)
    for (let n = 0; n < 100; n++) {
      const stream = await open(hub, null, { authorize })
      expect(stream.status).toBe(n < 10 ? 200 : 503)
      if (n >= 10) expect(Number(stream.headers['retry-after'])).toBeGreaterThan(0)
    }
    expect(authorize).toHaveBeenCalledTimes(10)
    await clock.advance(1_000)
    expect((await open(hub, null, { authorize })).status).toBe(200)
    await hub.close()
  })

  it('[C4] only so many questions are open at once, and an answer of any kind makes room for another', async () => {
    const { hub, clock } = testHub({ limits: { connectsPerSecond: 3 } })
    const answers: { yes: () => void; no: () => void; fail: () => void }[] = []
    const authorize = () =>
      new Promise<typeof grant | null>((resolve, reject) => {
        answers.push({
          yes: () => resolve(grant),
          no: () => resolve(null),
          fail: () => reject(new Error('no database')),
        })
      })
    const asked = Array.from({ length: 20 }, () => ask(hub, null, { authorize }))
    await clock.settle()
    expect(answers).toHaveLength(3)
    expect(asked.map(({ stream }) => stream.status)).toEqual([0, 0, 0, ...Array(17).fill(503)])
    answers[0]?.yes()
    answers[1]?.no()
    answers[2]?.fail()
    await Promise.all(asked.map(({ done }) => done))
    expect(asked.slice(0, 3).map(({ stream }) => stream.status)).toEqual([200, 401, 503])
    // Who never answers holds a place only as long as the question is waited for.
    const never = Array.from({ length: 2 }, () => ask(hub, null, { authorize: () => new Promise(() => {}) }))
    await clock.advance(10_000)
    await Promise.all(never.map(({ done }) => done))
    expect((await open(hub, null, { authorize: () => Promise.resolve(grant) })).status).toBe(200)
    await hub.close()
  })

  it('[C4] an answer that comes after it was waited for makes no room twice', async () => {
    const { hub, clock } = testHub({ limits: { connectsPerSecond: 3 } })
    const answers: ((grant: null) => void)[] = []
    const authorize = () =>
      new Promise<null>((resolve) => {
        answers.push(resolve)
      })
    const late = Array.from({ length: 3 }, () => ask(hub, null, { authorize }))
    await clock.advance(10_000)
    await Promise.all(late.map(({ done }) => done))
    expect(late.map(({ stream }) => stream.status)).toEqual([503, 503, 503])
    for (const answer of answers) answer(null)
    await clock.settle()
    const asked = Array.from({ length: 6 }, () => ask(hub, null, { authorize }))
    await clock.settle()
    expect(asked.map(({ stream }) => stream.status)).toEqual([0, 0, 0, 503, 503, 503])
    for (const answer of answers) answer(null)
    await Promise.all(asked.map(({ done }) => done))
    await hub.close()
  })

  it('[C4] one address cannot take all the places of those who wait for an answer', async () => {
    const { hub, clock } = testHub({ limits: { connectsPerSecond: 50, perIp: 5 } })
    const answers: ((grant: null) => void)[] = []
    const authorize = () =>
      new Promise<null>((resolve) => {
        answers.push(resolve)
      })
    for (let round = 0; round < 2; round++) {
      const flood = Array.from({ length: 100 }, () => ask(hub, null, { authorize, ip: '192.0.2.1' }))
      await clock.settle()
      expect(answers).toHaveLength(5)
      expect(flood.map(({ stream }) => stream.status).sort()).toEqual([...Array(5).fill(0), ...Array(95).fill(503)])
      // Behind a proxy it is the application who knows the address.
      const other = await open(hub, grant, { ip: '192.0.2.1', clientIp: () => `192.0.2.${round + 2}` })
      expect(other.status).toBe(200)
      for (const answer of answers.splice(0)) answer(null)
      await Promise.all(flood.map(({ done }) => done))
    }
    await hub.close()
  })

  it('[C4] an answer that is no promise of the language has its time and its place like any other', async () => {
    const { hub, clock } = testHub({ limits: { connectsPerSecond: 3 } })
    // As database libraries have them: nothing is asked before somebody calls `then`.
    const query = (then: (resolve: (value: unknown) => void) => void) => {
      const promise = { catch: () => {}, finally: () => {} }
      return Object.defineProperty(promise, 'then', { value: then }) as unknown as Promise<null>
    }
    const broken = () =>
      query(() => {
        throw new Error('no database')
      })
    for (let n = 0; n < 6; n++) {
      const { stream } = ask(hub, null, { authorize: broken })
      await clock.settle()
      expect([stream.status, stream.body]).toEqual([503, expect.stringContaining('could not authorize')])
    }
    const nested = () => query((resolve) => resolve(new Promise(() => {})))
    const waiting = Array.from({ length: 4 }, () => ask(hub, null, { authorize: nested }))
    await clock.settle()
    expect(waiting.map(({ stream }) => stream.status)).toEqual([0, 0, 0, 503])
    await clock.advance(10_000)
    expect(waiting.map(({ stream }) => stream.status)).toEqual([503, 503, 503, 503])
    expect((await open(hub, null, { authorize: () => query((resolve) => resolve(grant)) })).status).toBe(200)
    await hub.close()
  })

  it('[C9] whoever asks again in the turn in which it is told that the answer is late leaves no second timer', async () => {
    const clock = new VirtualClock()
    const questions = new Questions(clock, Number.POSITIVE_INFINITY)
    const late = () => new Error('late')
    let answer = () => {}
    const again: Waiting<void> = { from: {}, answered: vi.fn(), failed: vi.fn() }
    const failed = () => questions.tell(new Promise<void>((resolve) => (answer = resolve)), again, late)
    questions.tell(new Promise<void>(() => {}), { ...again, failed }, late)
    await clock.advance(10_000)
    expect(questions.size).toBe(1)
    answer()
    await clock.settle()
    expect(again.answered).toHaveBeenCalledOnce()
    expect(clock.timers).toBe(0)
  })

  it('[C4] those who are turned away do not use up the rate of those who are let in', async () => {
    const { hub } = testHub({ limits: { connectsPerSecond: 5 } })
    for (let n = 0; n < 100; n++) expect((await open(hub, null)).status).toBe(401)
    const thrown = vi.fn(() => {
      throw new Error('no database')
    })
    for (let n = 0; n < 100; n++) expect((await open(hub, null, { authorize: thrown })).status).toBe(503)
    expect(thrown).toHaveBeenCalledTimes(100)
    expect((await open(hub, grant)).status).toBe(200)
    await hub.close()
  })
})

describe('a user whose streams are as many as may be', () => {
  const grant = { projectId: 'p1', userId: 'u1' }

  class SuspectSink extends RecordingSink {
    readonly suspect = true
  }

  it('[C4 D9] gets one more in the place of the oldest whose peer owes an answer, which is cut and not told', async () => {
    const { hub, clock } = testHub({ limits: { perUser: 4 } })
    const here = await open(hub, grant)
    const gone = await open(hub, grant, { sink: new SuspectSink() })
    const later = await open(hub, grant, { sink: new SuspectSink() })
    const elsewhere = await open(hub, { ...grant, projectId: 'p2' }, { sink: new SuspectSink() })
    const foreign = await open(hub, { ...grant, userId: 'u2' }, { sink: new SuspectSink() })
    expect((await open(hub, grant)).status).toBe(200)
    expect(gone.closed).toBe(false)
    expect((await open(hub, grant)).status).toBe(200)
    expect(gone.closed).toBe(true)
    // A client that is there after all comes back by itself, as after any cut; `replaced` would be final.
    expect(gone.closing).toBeUndefined()
    expect((await open(hub, grant)).status).toBe(200)
    expect(later.closed).toBe(true)
    expect((await open(hub, grant)).status).toBe(429)
    expect([here, elsewhere, foreign].map(({ closed }) => closed)).toEqual([false, false, false])
    expect(hub.stats()).toMatchObject({ connections: 6, closed: { peer: 2 } })
    await end(hub, clock)
  })

  it('[C4] a request that another limit refuses costs nobody a stream', async () => {
    const { hub, clock } = testHub({ limits: { perUser: 1, perIp: 1 } })
    const stream = await open(hub, grant, { sink: new SuspectSink(), ip: '192.0.2.1' })
    await open(hub, { projectId: 'p1', userId: 'u2' }, { ip: '192.0.2.2' })
    expect((await open(hub, grant, { ip: '192.0.2.2' })).status).toBe(429)
    expect(stream.closed).toBe(false)
    // From its own address it makes room there too.
    expect((await open(hub, grant, { ip: '192.0.2.1' })).status).toBe(200)
    expect(stream.closed).toBe(true)
    await end(hub, clock)
  })

  const whys = ['the client leaves', 'the user is revoked', 'the grant ends', 'the log fails', 'others use up the rate']
  for (const why of whys) {
    it(`[C4] what would make room stays where ${why} before the stream opens`, async () => {
      const clock = new VirtualClock()
      const log = new GatedLog(clock)
      const { hub } = testHub({ adapter: log, ports: { clock }, limits: { perUser: 1, connectsPerSecond: 2 } })
      const stream = await open(hub, grant, { sink: new SuspectSink() })
      const [epoch] = (stream.lastEventId as string).split('.')
      await clock.advance(1_000)
      log.holds = (call) => call === 'read'
      if (why === 'the log fails') log.fails = (call) => (call === 'read' ? new Error('broker down') : undefined)
      const asked = ask(hub, { ...grant, expiresAt: clock.now() + 500 }, { lastEventId: `${epoch}.999` })
      await clock.settle()
      if (why === 'the client leaves') asked.stream.gone = true
      if (why === 'the user is revoked') void hub.revoke({ userId: 'u1', projectId: 'p1' })
      if (why === 'the grant ends') await clock.advance(500)
      if (why === 'others use up the rate')
        for (const userId of ['u2', 'u3']) await open(hub, { projectId: 'p1', userId })
      log.release()
      await asked.done
      expect(asked.stream.status).not.toBe(200)
      expect(stream.sink.destroyed).toBe(false)
      await end(hub, clock)
    })
  }

  it('[C4] gets none where it is another limit that is reached', async () => {
    const { hub, clock } = testHub({ limits: { perUser: 4, perIp: 1 } })
    const stream = await open(hub, grant, { sink: new SuspectSink(), ip: '192.0.2.1' })
    expect((await open(hub, grant, { ip: '192.0.2.1' })).status).toBe(429)
    expect(stream.closed).toBe(false)
    await end(hub, clock)
  })
})

describe('the registry', () => {
  it('[C4] looks only at the connections of the user, or of the project, that is named', () => {
    const registry = new Registry()
    let looks = 0
    const feeds = Array.from({ length: 10 }, (_, n) => ({ projectId: `p${n}`, connections: new Set<Connection>() }))
    const connection = (id: string, projectId: string, userId: string | undefined) =>
      ({
        id,
        feed: feeds.find((feed) => feed.projectId === projectId),
        userId,
        grant: { ip: undefined },
        matches: (filter: { projectId?: string; userId?: string }) => {
          looks++
          return [undefined, projectId].includes(filter.projectId) && [undefined, userId].includes(filter.userId)
        },
      }) as unknown as Connection
    const all = Array.from({ length: 1_000 }, (_, n) =>
      connection(`c${n}`, `p${n % 10}`, n % 3 ? `u${n % 100}` : undefined),
    )
    const add = (one: Connection) => {
      one.feed.connections.add(one)
      registry.add(one)
    }
    const remove = (one: Connection) => {
      one.feed.connections.delete(one)
      registry.remove(one)
    }
    for (const one of all) add(one)
    const ids = (filter: Parameters<Registry['matching']>[0]) => {
      looks = 0
      return { ids: [...registry.matching(filter)].map(({ id }) => id), looks }
    }
    const users = ids({ userId: 'u7' })
    expect(users.looks).toBe(users.ids.length)
    expect(users.ids).toEqual(all.filter(({ userId }) => userId === 'u7').map(({ id }) => id))
    expect(ids({ projectId: 'p3' })).toEqual({ ids: expect.arrayContaining(['c3', 'c993']), looks: 100 })
    expect(ids({ userId: 'u7', projectId: 'p7' }).ids).toEqual(users.ids)
    expect(ids({ userId: 'u7', projectId: 'p8' }).ids).toEqual([])
    expect(ids({ connectionId: 'c5', projectId: 'p5' })).toEqual({ ids: ['c5'], looks: 1 })
    expect(ids({ connectionId: 'c5', projectId: 'p6' })).toEqual({ ids: [], looks: 1 })
    expect(ids({ userId: 'nobody' })).toEqual({ ids: [], looks: 0 })
    remove(all[5] as Connection)
    expect(ids({ connectionId: 'c5' })).toEqual({ ids: [], looks: 0 })
    add(all[5] as Connection)
    expect(ids({ connectionId: 'c5' })).toEqual({ ids: ['c5'], looks: 1 })
    for (const one of all) remove(one)
    expect(ids({ userId: 'u7' })).toEqual({ ids: [], looks: 0 })
    expect(ids({ projectId: 'p3' })).toEqual({ ids: [], looks: 0 })
    expect(registry.size).toBe(0)
  })
})
