import { type EventHub, HubError } from '@entitycast/sse-server'
import { afterEach, describe, expect, it } from 'vitest'
import { presenceLog } from '../../src/seams/log-name'
import { codeOf } from '../support/hub'
import { SharedHubs, type SharedInstance } from '../support/shared-log'
import { open, type TestStream } from '../support/stream'

const LOG = presenceLog('p')

const told = ({ events }: TestStream): string[] =>
  events.flatMap(({ type, data }) =>
    type === 'user:joined' ? `+${data.data.userId}` : type === 'user:left' ? `-${data.data.userId}` : [],
  )

describe('presence, where the log does what it may do', () => {
  let hubs = new SharedHubs()
  afterEach(async () => {
    await hubs.end()
    expect(hubs.clock.timers).toBe(0)
    hubs = new SharedHubs()
  })

  async function users(hub: EventHub): Promise<string[]> {
    let ids: string[] | undefined
    const answered = hub.presence('p').then((present) => {
      ids = present.map(({ userId }) => userId).sort()
    })
    for (let n = 0; n < 1_200 && !ids; n++) await hubs.clock.advance(10)
    await answered
    return ids as string[]
  }

  /** The next record of this kind is refused, and enters the log when the result is called. */
  function losesOne(instance: SharedInstance, kind: string): () => Promise<void> {
    const append = instance.append.bind(instance)
    let late = async () => {}
    let lost = false
    instance.append = async (projectId, records) => {
      if (lost || projectId !== LOG || records[0]?.type !== kind) return append(projectId, records)
      lost = true
      late = async () => void (await append(projectId, records))
      throw new HubError('UNAVAILABLE', 'no answer in time')
    }
    return () => late()
  }

  it('who was given up for gone, and whose arrival is in the log late, is no ghost', async () => {
    const [a, b] = await hubs.start(2, { presence: { graceMs: 1_000 } })
    const witness = await open(b!.hub, { projectId: 'p' })
    await open(a!.hub, { projectId: 'p' })
    await hubs.clock.advance(500)
    const lands = losesOne(a!.instance, 'hub:change')
    const stream = await open(a!.hub, { projectId: 'p', userId: 'u1' })
    await hubs.clock.advance(2_000)
    expect(await users(b!.hub)).toEqual(['u1'])
    stream.leave()
    await hubs.clock.advance(5_000)
    expect([await users(b!.hub), told(witness)]).toEqual([[], ['+u1', '-u1']])
    const before = hubs.log.appends.get(LOG) as number
    await lands()
    expect(hubs.log.appends.get(LOG)).toBe(before + 1)
    await hubs.clock.advance(10_000)
    expect([await users(b!.hub), await users(a!.hub)]).toEqual([[], []])
    expect(told(witness).slice(2).join()).toMatch(/^(\+u1,-u1)?$/)
  })

  it('[B4] a log that is another one, of which nothing has been heard yet, is not filled with what is said again and again', async () => {
    const [a] = await hubs.start(1, { presence: true, retention: { ageMs: 20_000 } })
    const { hub, instance } = a as (typeof hubs.members)[number]
    await open(hub, { projectId: 'p', userId: 'u1' })
    await hubs.clock.advance(2_000)
    const ears = [...hubs.log.ears]
    hubs.log.ears.clear()
    await hubs.log.wipe()
    let said = 0
    instance.fails = (call, projectId) => call === 'append' && projectId === LOG && ++said > 1_000
    await hubs.clock.advance(20_000)
    expect(said).toBeGreaterThan(0)
    expect(said).toBeLessThan(50)
    for (const ear of ears) hubs.log.ears.add(ear)
    await hubs.log.doubtAll(instance, LOG)
    expect(await users(hub)).toEqual(['u1'])
  })

  it('the same where it comes while something else is being said', async () => {
    const [a, b] = await hubs.start(2, { presence: { graceMs: 1_000 } })
    await open(a!.hub, { projectId: 'p' })
    await open(b!.hub, { projectId: 'p' })
    await hubs.clock.advance(500)
    const lands = losesOne(a!.instance, 'hub:change')
    const stream = await open(a!.hub, { projectId: 'p', userId: 'u1' })
    await hubs.clock.advance(2_000)
    stream.leave()
    await hubs.clock.advance(5_000)
    const append = a!.instance.append.bind(a!.instance)
    a!.instance.append = async (projectId, records) => {
      a!.instance.append = append
      await lands()
      await new Promise<void>((resolve) => hubs.clock.after(100, resolve))
      return append(projectId, records)
    }
    await open(a!.hub, { projectId: 'p', userId: 'u2' })
    await hubs.clock.advance(10_000)
    expect([await users(b!.hub), await users(a!.hub)]).toEqual([['u2'], ['u2']])
  })

  it('who is there, and whose departure is in the log late, is there', async () => {
    const [a, b] = await hubs.start(2, { presence: { graceMs: 1_000 } })
    const witness = await open(b!.hub, { projectId: 'p' })
    const first = await open(a!.hub, { projectId: 'p', userId: 'u1' })
    await open(a!.hub, { projectId: 'p', userId: 'u2' })
    await hubs.clock.advance(500)
    expect(await users(b!.hub)).toEqual(['u1', 'u2'])
    const lands = losesOne(a!.instance, 'hub:change')
    first.leave()
    await hubs.clock.advance(5_000)
    expect(await users(b!.hub)).toEqual(['u2'])
    await open(a!.hub, { projectId: 'p', userId: 'u1' })
    await hubs.clock.advance(500)
    expect(await users(b!.hub)).toEqual(['u1', 'u2'])
    await lands()
    await hubs.clock.advance(10_000)
    expect([await users(b!.hub), await users(a!.hub)]).toEqual([
      ['u1', 'u2'],
      ['u1', 'u2'],
    ])
    expect(told(witness)).not.toContain('-u2')
  })

  it('who has come for another one, and whose change of places is in the log late, is there', async () => {
    const [a, b] = await hubs.start(2, { presence: { graceMs: 0 } })
    await open(b!.hub, { projectId: 'p' })
    const first = await open(a!.hub, { projectId: 'p', userId: 'u1' })
    await hubs.clock.advance(500)
    const lands = losesOne(a!.instance, 'hub:change')
    first.leave()
    await hubs.clock.advance(1_000)
    const second = await open(a!.hub, { projectId: 'p', userId: 'u2' })
    await hubs.clock.advance(3_000)
    expect(await users(b!.hub)).toEqual(['u2'])
    await open(a!.hub, { projectId: 'p', userId: 'u1' })
    second.leave()
    await hubs.clock.advance(3_000)
    expect(await users(b!.hub)).toEqual(['u1'])
    await a!.instance.append(LOG, [
      {
        type: 'hub:change',
        data: JSON.stringify({ ...JSON.parse(await lastOf(a!.instance, 'hub:change')), in: ['u2'], out: ['u1'] }),
        channel: 'default',
      },
    ])
    await lands()
    await hubs.clock.advance(10_000)
    expect([await users(b!.hub), await users(a!.hub)]).toEqual([['u1'], ['u1']])
  })

  /** What an instance said last of this kind. */
  async function lastOf(instance: SharedInstance, kind: string): Promise<string> {
    const { head, close } = await instance.open(LOG, { entries() {}, doubt() {} })
    close()
    const page = await instance.read(LOG, { ...head, offset: 0 }, 1_000)
    if ('gap' in page) throw new Error(page.gap)
    return page.entries.findLast(({ record }) => record.type === kind)?.record.data as string
  }

  const from = 'inst_x'
  const at = '2026-01-31T09:30:00.000Z'
  const state = { from, id: 'x', part: 0, of: 1, asOf: 1_000, leadAt: 0, instances: ['i'], users: [] }
  const telling = { from, at, epoch: 'e', offset: 1, joined: [['u9', at]], left: [] }
  const garbage: [string, unknown][] = [
    ['change', { from, at, in: 'u9', out: [] }],
    ['change', { from, at, in: [null], out: [] }],
    ['change', { from, in: ['u9'], out: [] }],
    ['here', { from, who: from, at, graceMs: 0, part: 0, of: 1, users: [{}] }],
    ['here', { from, who: from, at, graceMs: null, part: 0, of: 1, users: [] }],
    ['here', { from, who: from, at, graceMs: 0, part: -1, of: 1, users: [] }],
    ['here', { from, who: from, at, graceMs: 0, part: 0, users: [] }],
    ['lead', { from, after: '1' }],
    ['tell', { ...telling, joined: [null] }],
    ['tell', { ...telling, joined: ['u9'] }],
    ['tell', { ...telling, at: 7 }],
    ['tell', { ...telling, offset: null }],
    ['state', { ...state, users: [null] }],
    ['state', { ...state, users: ['u9'] }],
    ['state', { ...state, users: [['u9', at, 0, null]] }],
    ['state', { ...state, users: [['u9', at, 0, ['i']]] }],
    ['state', { ...state, instances: null }],
    ['state', { ...state, id: {} }],
    ['state', { ...state, telling: 5, takeover: 1_000 }],
    ['state', { ...state, leader: {}, takeover: 1_000 }],
    ['state', { ...state, part: null }],
    ['later', { from }],
    ['hello', { from: 7 }],
  ]
  for (const [kind, fields] of garbage) {
    it(`[B3] ${kind} ${JSON.stringify(fields)} in its log is passed over`, async () => {
      const [a, b] = await hubs.start(2, { presence: true })
      const witness = await open(b!.hub, { projectId: 'p' })
      await open(a!.hub, { projectId: 'p', userId: 'u1' })
      await hubs.clock.advance(500)
      expect(await users(b!.hub)).toEqual(['u1'])
      await a!.instance.append(LOG, [{ type: `hub:${kind}`, data: JSON.stringify(fields), channel: 'default' }])
      await hubs.clock.advance(2_000)
      // Whoever comes now reads it as a part of the past.
      const late = hubs.add({ presence: true })
      await open(late.hub, { projectId: 'p', userId: 'u2' })
      await hubs.clock.advance(30_000)
      for (const { hub } of hubs.members) expect(await users(hub)).toEqual(['u1', 'u2'])
      expect(told(witness)).toEqual(['+u1', '+u2'])
    })
  }

  const rightless: [string, unknown][] = [
    ['tell', telling],
    ['told', { from }],
    ['resign', { from }],
    ['lead', { from, after: 0 }],
    ['here', { from, who: 'OTHER', at, graceMs: 0, part: 0, of: 1, users: [] }],
    ['state', { ...state, asOf: undefined, takeover: 0 }],
  ]
  for (const [kind, fields] of rightless) {
    it(`${kind} by one who does not lead changes nothing`, async () => {
      const [a, b] = await hubs.start(2, { presence: true })
      const witness = await open(b!.hub, { projectId: 'p' })
      await open(a!.hub, { projectId: 'p', userId: 'u1' })
      await hubs.clock.advance(500)
      const other = JSON.parse(await lastOf(a!.instance, 'hub:here')).from
      const data = JSON.stringify(fields).replace('OTHER', other)
      await a!.instance.append(LOG, [{ type: `hub:${kind}`, data, channel: 'default' }])
      await hubs.clock.advance(500)
      await open(a!.hub, { projectId: 'p', userId: 'u2' })
      await hubs.clock.advance(1_000)
      for (const { hub } of hubs.members) expect(await users(hub)).toEqual(['u1', 'u2'])
      expect(told(witness)).toEqual(['+u1', '+u2'])
    })
  }

  it('[C9] those who ask while the log never answers are told so, and leave no timer behind', async () => {
    const [a] = await hubs.start(1, { presence: true })
    const append = a!.instance.append.bind(a!.instance)
    let go = () => {}
    const begun = new Promise<void>((resolve) => {
      go = resolve
    })
    a!.instance.append = async (projectId, records) => {
      if (projectId === LOG) await begun
      return append(projectId, records)
    }
    const stream = await open(a!.hub, { projectId: 'p', userId: 'u1' })
    await hubs.clock.advance(100)
    const before = hubs.clock.timers
    const asked = Array.from({ length: 50 }, () => codeOf(() => a!.hub.presence('p')))
    await hubs.clock.advance(10_100)
    expect(new Set(await Promise.all(asked))).toEqual(new Set(['UNAVAILABLE']))
    expect(hubs.clock.timers).toBe(before)
    go()
    expect(await users(a!.hub)).toEqual(['u1'])
    stream.leave()
  })
})
