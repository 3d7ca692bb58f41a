import type { EventHub } from '@entitycast/sse-server'
import { afterEach, describe, expect, it } from 'vitest'
import { CONTROL_LOG, presenceLog } from '../../src/seams/log-name'
import { codeOf, end, testHub } from '../support/hub'
import { type SharedHubs as Hubs, SharedHubs } from '../support/shared-log'
import { open, type TestStream } from '../support/stream'
import type { VirtualClock } from '../support/virtual-clock'

const presence = true

/** What a stream was told of users, in order: `+u1`, `-u1`. */
const told = ({ events }: TestStream): string[] =>
  events.flatMap(({ type, data }) =>
    type === 'user:joined' ? `+${data.data.userId}` : type === 'user:left' ? `-${data.data.userId}` : [],
  )

/** Who is there, as a hub knows it while time passes. */
async function ids(hub: EventHub, clock: VirtualClock): Promise<string[]> {
  let users: string[] | undefined
  const answered = hub.presence('p').then((present) => {
    users = present.map(({ userId }) => userId).sort()
  })
  for (let n = 0; n < 1_200 && !users; n++) await clock.advance(10)
  await answered
  return users as string[]
}

describe('presence in one process', () => {
  it('[W23] user:joined when the first stream of a user opens, user:left when the last one has been gone for the grace time', async () => {
    const { hub, clock } = testHub({ presence })
    const witness = await open(hub, { projectId: 'p' })
    const first = await open(hub, { projectId: 'p', userId: 'u1' })
    const second = await open(hub, { projectId: 'p', userId: 'u1' })
    await clock.settle()
    expect(told(witness)).toEqual(['+u1'])
    expect(await hub.presence('p')).toEqual([{ userId: 'u1', since: '2026-01-31T09:30:00.000Z' }])
    first.leave()
    await clock.advance(60_000)
    expect(told(witness)).toEqual(['+u1'])
    second.leave()
    await clock.advance(9_900)
    expect([told(witness), await ids(hub, clock)]).toEqual([['+u1'], ['u1']])
    await clock.advance(1_100)
    expect([told(witness), await ids(hub, clock)]).toEqual([['+u1', '-u1'], []])
    expect(witness.events.map(({ data }) => data)).toEqual([
      { data: { userId: 'u1' }, channel: 'presence', timestamp: '2026-01-31T09:30:00.000Z', userId: 'u1' },
      { data: { userId: 'u1' }, channel: 'presence', timestamp: '2026-01-31T09:31:10.000Z', userId: 'u1' },
    ])
    await end(hub, clock)
  })

  it('whoever is back within the grace time has not left', async () => {
    const { hub, clock } = testHub({ presence })
    const witness = await open(hub, { projectId: 'p' })
    for (let n = 0; n < 5; n++) {
      const stream = await open(hub, { projectId: 'p', userId: 'u1' })
      await clock.advance(1_000)
      stream.leave()
      await clock.advance(8_000)
    }
    expect(told(witness)).toEqual(['+u1'])
    await clock.advance(3_000)
    expect(told(witness)).toEqual(['+u1', '-u1'])
    await end(hub, clock)
  })

  it('streams without a user do not count, and a project that nobody is in costs nothing', async () => {
    const { hub, clock } = testHub({ presence })
    const witness = await open(hub, { projectId: 'p' })
    expect([await ids(hub, clock), told(witness), hub.stats().published]).toEqual([[], [], 0])
    witness.leave()
    await clock.advance(300_000)
    expect(clock.timers).toBe(0)
    await end(hub, clock)
  })

  it('[D8] only streams that are granted its channel see it', async () => {
    const { hub, clock } = testHub({ presence: { channel: 'people', graceMs: 0 } })
    const granted = await open(hub, { projectId: 'p', channels: ['people'] })
    const other = await open(hub, { projectId: 'p', channels: ['default'] })
    const elsewhere = await open(hub, { projectId: 'q' })
    const user = await open(hub, { projectId: 'p', userId: 'u1', channels: ['default'] })
    await clock.settle()
    user.leave()
    await clock.advance(1_000)
    await hub.project('p').updated('document', 'fence')
    await hub.project('q').updated('document', 'fence')
    await clock.settle()
    expect(told(granted)).toEqual(['+u1', '-u1'])
    expect([other.events.length, told(other)]).toEqual([1, []])
    expect([elsewhere.events.length, told(elsewhere)]).toEqual([1, []])
    await end(hub, clock)
  })

  it('off: nothing is published, and to ask is an error that names the option', async () => {
    const { hub, clock } = testHub()
    const stream = await open(hub, { projectId: 'p', userId: 'u1' })
    await clock.advance(1_000)
    expect(stream.types).toEqual(['connected'])
    expect(await codeOf(() => hub.presence('p'))).toBe('INVALID_OPTION')
    await end(hub, clock)
  })

  for (const bad of [7, { graceMs: -1 }, { graceMs: '1s' }, { channel: 'a b' }, { grace: 1 }]) {
    it(`presence: ${JSON.stringify(bad)} is refused`, async () => {
      expect(await codeOf(() => testHub({ presence: bad as never }))).toBe('INVALID_OPTION')
    })
  }

  it('[P3] a project id that is none is refused', async () => {
    const { hub, clock } = testHub({ presence })
    expect(await codeOf(() => hub.presence(undefined as never))).toBe('INVALID_PROJECT_ID')
    await end(hub, clock)
  })
})

describe('presence, with several instances', () => {
  let hubs: Hubs = new SharedHubs()
  afterEach(async () => {
    await hubs.end()
    expect(hubs.clock.timers).toBe(0)
    hubs = new SharedHubs()
  })

  const counts = () => hubs.log.appends.get(presenceLog('p')) ?? 0

  it('[W23] tabs on three instances are one user; each event is published once', async () => {
    const [a, b, c] = await hubs.start(3, { presence })
    const witness = await open(a!.hub, { projectId: 'p' })
    const tabs = []
    for (const { hub } of [a!, b!, c!]) tabs.push(await open(hub, { projectId: 'p', userId: 'u1' }))
    const other = await open(c!.hub, { projectId: 'p', userId: 'u2' })
    await hubs.clock.advance(100)
    expect(told(witness)).toEqual(['+u1', '+u2'])
    for (const { hub } of [a!, b!, c!]) expect(await ids(hub, hubs.clock)).toEqual(['u1', 'u2'])
    tabs[0]!.leave()
    tabs[2]!.leave()
    await hubs.clock.advance(30_000)
    expect(told(witness)).toEqual(['+u1', '+u2'])
    tabs[1]!.leave()
    other.leave()
    await hubs.clock.advance(12_000)
    expect(told(witness).sort()).toEqual(['+u1', '+u2', '-u1', '-u2'])
    for (const { hub } of [a!, b!, c!]) expect(await ids(hub, hubs.clock)).toEqual([])
  })

  it('an instance that comes later knows who is there, also when the records have expired', async () => {
    const [a, b] = await hubs.start(2, { presence, maxAgeMs: false })
    for (const userId of ['u1', 'u2']) await open(a!.hub, { projectId: 'p', userId })
    await open(b!.hub, { projectId: 'p', userId: 'u3' })
    await hubs.clock.advance(100)
    const late = hubs.add({ presence })
    await hubs.clock.advance(10)
    expect(await ids(late.hub, hubs.clock)).toEqual(['u1', 'u2', 'u3'])
    await hubs.clock.advance(3_000_000)
    const later = hubs.add({ presence })
    await hubs.clock.advance(10)
    expect(await ids(later.hub, hubs.clock)).toEqual(['u1', 'u2', 'u3'])
  })

  it('[W23] a rolling deploy: the users move on within the grace time, and nothing is published', async () => {
    let members = await hubs.start(3, { presence })
    let witness = await open(members[0]!.hub, { projectId: 'p' })
    const all: string[] = []
    const streams = new Map<string, TestStream>()
    const connect = async (userId: string, index: number) =>
      streams.set(userId, await open(members[index % 3]!.hub, { projectId: 'p', userId }))
    for (let n = 0; n < 9; n++) await connect(`u${n}`, n)
    await hubs.clock.advance(100)
    for (let n = 0; n < 3; n++) {
      const old = members[n]!
      const fresh = hubs.add({ presence })
      const [before] = [told(witness)]
      members = members.map((member, i) => (i === n ? fresh : member))
      const closed = old.hub.close({ drainMs: 1_000 })
      await hubs.clock.advance(3_000)
      await closed
      if (n === 0) {
        all.push(...before)
        witness = await open(fresh.hub, { projectId: 'p' }, { lastEventId: witness.lastEventId })
      }
      for (const [userId, stream] of streams) if (stream.closed) await connect(userId, n + 1)
      await hubs.clock.advance(2_000)
    }
    await hubs.clock.advance(60_000)
    expect([...all, ...told(witness)].sort()).toEqual(Array.from({ length: 9 }, (_, n) => `+u${n}`))
    expect((await ids(members[1]!.hub, hubs.clock)).length).toBe(9)
  })

  it("a crashed instance's users are gone after its time to live, those of others stay, and each is told of once", async () => {
    const [a, b, c] = await hubs.start(3, { presence })
    for (const crashed of [a!, b!]) {
      await open(crashed.hub, { projectId: 'p', userId: 'gone' })
      await open(crashed.hub, { projectId: 'p', userId: 'moves' })
    }
    await open(c!.hub, { projectId: 'p', userId: 'stays' })
    const witness = await open(c!.hub, { projectId: 'p' }, { lastEventId: 'none' })
    await hubs.clock.advance(100)
    for (const crashed of [a!, b!]) crashed.instance.isDead = true
    await hubs.clock.advance(2_000)
    await open(c!.hub, { projectId: 'p', userId: 'moves' })
    await hubs.clock.advance(10_000)
    expect(told(witness).filter((event) => event.startsWith('-'))).toEqual([])
    await hubs.clock.advance(20_000)
    expect(told(witness).filter((event) => event.startsWith('-'))).toEqual(['-gone'])
    expect(await ids(c!.hub, hubs.clock)).toEqual(['moves', 'stays'])
  })

  for (const step of ['tell', 'event', 'told'] as const) {
    it(`the one who publishes dies right before its ${step}: another one finishes what it has begun, and nothing is there twice`, async () => {
      const [a, b] = await hubs.start(2, { presence })
      await open(a!.hub, { projectId: 'p', userId: 'first' })
      await hubs.clock.advance(100)
      await open(b!.hub, { projectId: 'p', userId: 'second' })
      await hubs.clock.advance(100)
      const witness = await open(b!.hub, { projectId: 'p' })
      await hubs.clock.advance(100)
      const { append } = a!.instance
      a!.instance.append = (projectId, records) => {
        const what = projectId === 'p' ? 'event' : records[0]?.type.slice('hub:'.length)
        if (what === step) a!.instance.isDead = true
        return append.call(a!.instance, projectId, records)
      }
      await open(b!.hub, { projectId: 'p', userId: 'third' })
      await hubs.clock.advance(60_000)
      expect(told(witness).filter((event) => event !== '-first')).toEqual(['+third'])
      expect(await ids(b!.hub, hubs.clock)).toEqual(['second', 'third'])
    })
  }

  it('a publish whose answer is lost is looked for before it is tried again', async () => {
    const [a] = await hubs.start(1, { presence })
    const witness = await open(a!.hub, { projectId: 'p' })
    const { append } = a!.instance
    let lost = 0
    a!.instance.append = async (projectId, records) => {
      const cursor = await append.call(a!.instance, projectId, records)
      if (projectId === 'p' && lost++ === 0) throw new Error('the answer is lost')
      return cursor
    }
    await open(a!.hub, { projectId: 'p', userId: 'u1' })
    await hubs.clock.advance(5_000)
    expect([told(witness), lost]).toEqual([['+u1'], 1])
  })

  it('an instance that is cut off for longer than its time to live: its users leave, and are back when it is', async () => {
    const [a, b] = await hubs.start(2, { presence })
    const witness = await open(b!.hub, { projectId: 'p' })
    await open(a!.hub, { projectId: 'p', userId: 'u1' })
    await hubs.clock.advance(100)
    await open(b!.hub, { projectId: 'p', userId: 'u2' })
    await hubs.clock.advance(100)
    a!.instance.isCutOff = true
    await hubs.clock.advance(40_000)
    expect(told(witness)).toEqual(['+u1', '+u2', '-u1'])
    expect(await codeOf(() => Promise.race([a!.hub.presence('q'), hubs.clock.advance(12_000)]))).toBe('UNAVAILABLE')
    a!.instance.isCutOff = false
    await hubs.clock.advance(5_000)
    expect(told(witness)).toEqual(['+u1', '+u2', '-u1', '+u1'])
    expect(await ids(a!.hub, hubs.clock)).toEqual(['u1', 'u2'])
  })

  it('[B4] the log is lost: who is there is known again, and nobody has joined or left', async () => {
    const [a, b] = await hubs.start(2, { presence })
    await open(a!.hub, { projectId: 'p', userId: 'u1' })
    const there = await open(b!.hub, { projectId: 'p', userId: 'u2' })
    await hubs.clock.advance(100)
    await hubs.log.wipe()
    expect(there.closing).toBe('rotated')
    await hubs.clock.advance(1_000)
    const witness = await open(b!.hub, { projectId: 'p' })
    await open(a!.hub, { projectId: 'p', userId: 'u1' })
    await open(b!.hub, { projectId: 'p', userId: 'u2' })
    await hubs.clock.advance(20_000)
    expect(told(witness)).toEqual([])
    for (const { hub } of [a!, b!]) expect(await ids(hub, hubs.clock)).toEqual(['u1', 'u2'])
  })

  it('all instances are gone and the log has their last words: the next one tells who left meanwhile', async () => {
    const [a] = await hubs.start(1, { presence })
    for (const userId of ['leaves', 'stays']) await open(a!.hub, { projectId: 'p', userId })
    await hubs.clock.advance(100)
    const closed = a!.hub.close()
    await hubs.clock.advance(3_000)
    await closed
    const b = hubs.add({ presence })
    const witness = await open(b.hub, { projectId: 'p' })
    await open(b.hub, { projectId: 'p', userId: 'stays' })
    // Well before an instance of which nobody knows would count as gone.
    await hubs.clock.advance(13_000)
    expect(told(witness)).toEqual(['-leaves'])
    expect(await ids(b.hub, hubs.clock)).toEqual(['stays'])
  })

  it('what it costs: a few records for each user who comes or goes, none for a reconnect to the same instance, none for nobody', async () => {
    const [a, b] = await hubs.start(2, { presence })
    await open(a!.hub, { projectId: 'p', userId: 'u0' })
    await open(b!.hub, { projectId: 'p', userId: 'u1' })
    await hubs.clock.advance(100)
    let before = counts()
    const stream = await open(a!.hub, { projectId: 'p', userId: 'u2' })
    await hubs.clock.advance(100)
    expect(counts() - before).toBeLessThanOrEqual(3)
    before = counts()
    stream.leave()
    await hubs.clock.advance(5_000)
    const back = await open(a!.hub, { projectId: 'p', userId: 'u2' })
    await hubs.clock.advance(60_000)
    expect(counts() - before).toBe(0)
    back.leave()
    await hubs.clock.advance(20_000)
    expect(counts() - before).toBeLessThanOrEqual(3)
    before = counts()
    for (let n = 0; n < 300; n++) await open(b!.hub, { projectId: 'p', userId: `many${n}` })
    await hubs.clock.advance(1_000)
    expect((await ids(a!.hub, hubs.clock)).length).toBe(302)
    expect(hubs.log.appends.get(presenceLog('q'))).toBeUndefined()
    before = hubs.log.appends.get(CONTROL_LOG) ?? 0
    await hubs.clock.advance(60_000)
    expect((hubs.log.appends.get(CONTROL_LOG) ?? 0) - before).toBeLessThanOrEqual(26)
  })
})
