import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { eventually, ready } from '../support/broker-hub'
import { Child } from '../support/child'
import type { PresenceOrder } from '../support/presence-app'
import { HAS_REDIS, RedisServer } from '../support/redis'
import { type RedisHub, RedisHubs } from '../support/redis-hub'
import { open, type TestStream } from '../support/stream'

/*
 * Presence, and what one instance ends and the others too: real hubs, a real Redis, processes that are killed.
 */

const GRACE_MS = 400
const TTL_MS = 6_000

const told = ({ events }: TestStream): string[] =>
  events.flatMap(({ type, data }) =>
    type === 'user:joined' ? `+${data.userId}` : type === 'user:left' ? `-${data.userId}` : [],
  )
const whoIn = async ({ hub }: RedisHub, projectId: string) =>
  (await hub.presence(projectId)).map(({ userId }) => userId).sort()

describe.runIf(HAS_REDIS)('three hubs on one Redis', () => {
  const hubs = new RedisHubs()
  const children: Child[] = []
  let server: RedisServer
  let names = 0
  beforeAll(async () => {
    server = await RedisServer.start()
  })
  afterEach(async () => {
    await hubs.end()
    for (const child of children.splice(0)) await child.stop()
  })
  afterAll(() => server.end())

  /** A project that no test before has used. */
  const project = () => `p${++names}`

  async function three(graceMs = GRACE_MS): Promise<RedisHub[]> {
    const options = { presence: { graceMs }, instanceTtlMs: TTL_MS }
    const all = (['node-redis', 'ioredis', 'node-redis'] as const).map((name) => hubs.add(name, server, {}, options))
    for (const each of all) await ready(each)
    return all
  }

  async function process(
    graceMs = GRACE_MS,
  ): Promise<{ ask: <Answer>(order: PresenceOrder) => Promise<Answer>; child: Child }> {
    const child = await Child.start('presence-app')
    children.push(child)
    await child.ask({ begin: { port: server.port, graceMs, instanceTtlMs: TTL_MS } })
    return { ask: (order) => child.ask(order), child }
  }

  it('a user with tabs on all of them has come once and left once, and each of them knows who is there', async () => {
    const all = await three()
    const projectId = project()
    const witnesses = await Promise.all(all.map(({ hub }) => open(hub, { projectId })))
    const tabs = await Promise.all(all.map(({ hub }) => open(hub, { projectId, userId: 'tabs' })))
    for (const witness of witnesses) await eventually(() => expect(told(witness)).toEqual(['+tabs']))
    for (const each of all) expect(await whoIn(each, projectId)).toEqual(['tabs'])
    for (const tab of tabs) tab.leave()
    for (const witness of witnesses) await eventually(() => expect(told(witness)).toEqual(['+tabs', '-tabs']))
    for (const each of all) expect(await whoIn(each, projectId)).toEqual([])
    // A fence: whatever would have come twice has come by now.
    await open(all[1]!.hub, { projectId, userId: 'fence' })
    for (const witness of witnesses) {
      await eventually(() => expect(told(witness)).toEqual(['+tabs', '-tabs', '+fence']))
    }
  })

  it('a hundred users come and go on three hubs at once: each is told of once, in the same order to everybody', async () => {
    const all = await three()
    const projectId = project()
    const witnesses = await Promise.all(all.map(({ hub }) => open(hub, { projectId })))
    const ids = Array.from({ length: 100 }, (_, n) => `u${n}`)
    const streams = await Promise.all(ids.map((userId, n) => open(all[n % 3]!.hub, { projectId, userId })))
    for (const each of all) await eventually(async () => expect(await whoIn(each, projectId)).toEqual(ids.toSorted()))
    await eventually(() => expect(told(witnesses[0]!).toSorted()).toEqual(ids.map((id) => `+${id}`).toSorted()))
    for (const stream of streams) stream.leave()
    const expected = ids.flatMap((id) => [`+${id}`, `-${id}`]).toSorted()
    await eventually(() => expect(told(witnesses[0]!).toSorted()).toEqual(expected))
    for (const witness of witnesses) await eventually(() => expect(told(witness)).toEqual(told(witnesses[0]!)))
  })

  it('[W23] kill -9 of the process that publishes: its users are gone after its time to live, and those who moved are not', async () => {
    const [one, two] = await three()
    const projectId = project()
    // The first in a project publishes.
    const { ask, child } = await process()
    for (const userId of ['gone', 'moves']) {
      expect(await ask({ join: { projectId, userId } })).toMatchObject({ status: 200 })
    }
    // Only now: whoever sees them is not the first.
    await eventually(async () => expect((await ask<{ users: string[] }>({ who: projectId })).users).toHaveLength(2))
    const cursor = await one!.hub.cursor(projectId)
    const witness = await open(one!.hub, { projectId }, { lastEventId: cursor.replace(/\.\d+$/, '.0') })
    await eventually(() => expect(told(witness).toSorted()).toEqual(['+gone', '+moves']))
    await open(two!.hub, { projectId, userId: 'stays' })
    await eventually(() => expect(told(witness)).toContain('+stays'))
    await child.stop()
    await open(two!.hub, { projectId, userId: 'moves' })
    await eventually(() => expect(told(witness).slice(2)).toEqual(['+stays', '-gone']))
    expect(await whoIn(one!, projectId)).toEqual(['moves', 'stays'])
    await open(one!.hub, { projectId, userId: 'fence' })
    await eventually(() => expect(told(witness)).toContain('+fence'))
    expect(told(witness).slice(2)).toEqual(['+stays', '-gone', '+fence'])
  })

  it('a process that ends in order hands over: who comes back elsewhere within the grace time has not left', async () => {
    const [one] = await three(6_000)
    const projectId = project()
    const { ask } = await process(6_000)
    const witness = await open(one!.hub, { projectId })
    for (const userId of ['gone', 'moves']) await ask({ join: { projectId, userId } })
    await eventually(() => expect(told(witness).toSorted()).toEqual(['+gone', '+moves']))
    await ask({ end: true })
    await open(one!.hub, { projectId, userId: 'moves' })
    await eventually(() => expect(told(witness)).toContain('-gone'))
    expect(told(witness).filter((event) => event.endsWith('moves') && event.startsWith('-'))).toEqual([])
    expect(await whoIn(one!, projectId)).toEqual(['moves'])
  })

  it('[B1] Redis hangs for longer than the time to live: nobody has left, since nobody could see it', async () => {
    const all = await three()
    const projectId = project()
    const witness = await open(all[0]!.hub, { projectId })
    for (const [n, { hub }] of all.entries()) await open(hub, { projectId, userId: `u${n}` })
    await eventually(() => expect(told(witness).toSorted()).toEqual(['+u0', '+u1', '+u2']))
    await server.stop()
    for (const { hub } of all) await eventually(() => expect(hub.status()).toBe('degraded'))
    await expect(all[1]!.hub.revoke({ userId: 'nobody' })).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    const until = performance.now() + TTL_MS
    await eventually(() => expect(performance.now()).toBeGreaterThan(until))
    await server.restart()
    for (const each of all) await ready(each)
    await eventually(async () => expect(await whoIn(all[2]!, projectId)).toEqual(['u0', 'u1', 'u2']))
    await open(all[0]!.hub, { projectId, userId: 'fence' })
    await eventually(() => expect(told(witness)).toContain('+fence'))
    expect(told(witness).toSorted()).toEqual(['+fence', '+u0', '+u1', '+u2'])
  })

  it('[D8 S5] revoke reaches all of them, disconnect too, and clusterStats asks them all', async () => {
    const all = await three()
    const projectId = project()
    const streams = await Promise.all(all.map(({ hub }) => open(hub, { projectId, userId: 'u1' })))
    const other = await open(all[2]!.hub, { projectId, userId: 'u2' })
    const { ask, child } = await process()
    await ask({ join: { projectId, userId: 'u3' } })
    await eventually(async () => {
      const { instances, missing, totals } = await all[0]!.hub.clusterStats()
      expect([instances.length, missing, totals.connections]).toEqual([4, [], 5])
    })
    expect(await all[0]!.hub.revoke({ userId: 'u1' })).toBe(1)
    for (const stream of streams) await eventually(() => expect(stream.closing).toBe('revoked'))
    expect(other.closed).toBe(false)
    await all[0]!.hub.disconnect({ projectId })
    await eventually(() => expect(other.closing).toBe('rotated'))
    await child.stop()
    // It counts as alive for some seconds yet. A machine that stands still makes others late in one answer, and not in all of them.
    await eventually(async () => expect((await all[0]!.hub.clusterStats({ timeoutMs: 500 })).missing).toHaveLength(1))
    await eventually(async () => {
      const { instances, missing } = await all[0]!.hub.clusterStats({ timeoutMs: 2_000 })
      expect([instances.length, missing]).toEqual([3, []])
    })
  })
})
