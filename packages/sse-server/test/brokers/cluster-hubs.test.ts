import { EventHub } from '@entitycast/sse-server'
import { ClusterAdapter } from '@entitycast/sse-server/cluster'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { eventually, told } from '../support/broker-hub'
import { LogProcess, Programs } from '../support/cluster'
import { open } from '../support/stream'

/*
 * What hubs have of the cluster adapter: streams that go on at another one, and everything that hubs tell each other.
 */

describe('hubs with the cluster adapter', () => {
  let programs: Programs
  let log: LogProcess
  const hubs: EventHub[] = []
  beforeAll(async () => {
    programs = await Programs.build('cluster-primary')
    log = LogProcess.start(programs, 'json')
  })
  beforeEach(() => log.fresh())
  afterEach(async () => {
    log.signal('SIGCONT')
    await Promise.all(hubs.splice(0).map((hub) => hub.close()))
  })
  afterAll(async () => {
    await log?.end()
    await programs?.end()
  })

  async function add(): Promise<EventHub> {
    const adapter = new ClusterAdapter({ channel: log.child, checkIntervalMs: 250 })
    const hub = new EventHub({ adapter, logger: false, presence: { graceMs: 300 } })
    hubs.push(hub)
    await eventually(() => expect(hub.status()).toBe('ok'))
    return hub
  }

  it('[D3] a stream goes on at another hub with its cursor, without a resync', async () => {
    const [one, two] = [await add(), await add()]
    const first = await open(one, { projectId: 'p' })
    for (let n = 0; n < 5; n++) await one.project('p').emit('a:b', n)
    await eventually(() => expect(told(first)).toEqual([0, 1, 2, 3, 4]))
    first.leave()
    const last = first.events.at(-1)?.id
    for (let n = 5; n < 10; n++) await one.project('p').emit('a:b', n)
    const second = await open(two, { projectId: 'p' }, { lastEventId: last })
    await two.project('p').emit('a:b', 10)
    await eventually(() => expect(told(second)).toEqual([5, 6, 7, 8, 9, 10]))
    expect(second.resyncs).toEqual([])
  })

  it('[B1] the primary stands still: streams stay, publishing says so, and afterwards nothing is missing', async () => {
    const [one, two] = [await add(), await add()]
    const stream = await open(two, { projectId: 'p' })
    await one.project('p').emit('a:b', 'before')
    await eventually(() => expect(told(stream)).toEqual(['before']))
    log.signal('SIGSTOP')
    await expect(one.project('p').emit('a:b', 'meanwhile')).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    expect(one.status()).toBe('degraded')
    expect(stream.closed).toBe(false)
    log.signal('SIGCONT')
    await eventually(() => expect(one.status()).toBe('ok'))
    await one.project('p').emit('a:b', 'after')
    // What was refused may have happened.
    await eventually(() => expect(told(stream).filter((data) => data !== 'meanwhile')).toEqual(['before', 'after']))
    expect(stream.resyncs).toEqual([])
  })

  it('[S5] who is present, and whose streams are ended, is so at every hub', async () => {
    const [one, two] = [await add(), await add()]
    const streams = [
      await open(one, { projectId: 'p', userId: 'u1' }),
      await open(two, { projectId: 'p', userId: 'u1' }),
      await open(two, { projectId: 'p', userId: 'u2' }),
    ]
    for (const hub of [one, two]) {
      await eventually(async () =>
        expect((await hub.presence('p')).map(({ userId }) => userId).sort()).toEqual(['u1', 'u2']),
      )
    }
    await eventually(async () => expect((await one.clusterStats()).totals.connections).toBe(3))
    await one.revoke({ userId: 'u1' })
    await eventually(() => expect(streams.map(({ closed }) => closed)).toEqual([true, true, false]))
  })
})
