import { describeAdapter } from '@entitycast/sse-server/conformance'
import { RedisAdapter } from '@entitycast/sse-server/redis'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { eventually, ready, stream, told } from '../support/broker-hub'
import { type ClientName, clients, HAS_REDIS } from '../support/redis'
import { RedisClusterNodes } from '../support/redis-cluster'
import { RedisHubs, ReturningClient } from '../support/redis-hub'

/*
 * Redis Cluster: three masters, with the cluster clients of both libraries, and sharded channels.
 */

const MANIFEST = { name: 'redis', durability: 'broker-memory', shared: true, maxRecordBytes: 16_777_216 } as const
const runner = { describe, it: (name: string, body: () => Promise<void>) => it(name, body, 120_000) }
const hubs = new RedisHubs()
let logs = 0
afterEach(() => hubs.end())

describe.runIf(HAS_REDIS).each(Object.keys(clients) as ClientName[])('Redis Cluster, with %s', (name) => {
  let cluster: RedisClusterNodes
  beforeAll(async () => {
    cluster = await RedisClusterNodes.start()
  })
  afterAll(() => cluster?.end())

  describeAdapter(runner, {
    patienceMs: 30_000,
    manifest: MANIFEST,
    harms: ['wipe'],
    begin: () => {
      const keyPrefix = `log-${++logs}:`
      return {
        create: () => new RedisAdapter(cluster.client(name), { keyPrefix, timeoutMs: 10_000, checkIntervalMs: 250 }),
        broker: { wipe: () => cluster.wipe() },
        end() {},
      }
    },
  })

  it('[B1] projects lie on all nodes; a node that is killed and comes back costs its projects one resync, and the others nothing', async () => {
    const add = () => hubs.add(name, cluster.nodes[0]!, { timeoutMs: 10_000 }, {}, cluster.client(name) as never)
    const [one, two] = [add(), add()]
    const projects = Array.from({ length: 12 }, (_, n) => `p${n}`)
    const streams = await Promise.all(projects.map((project) => ReturningClient.open(one, project)))
    const publish = async (data: unknown) => {
      for (const project of projects) await eventually(() => two.hub.project(project).emit('a:b', data))
    }
    await publish('before')
    for (const each of streams) await eventually(() => expect(told(each)).toEqual(['before']))
    const sizes = await Promise.all(cluster.nodes.map((node) => node.ask('DBSIZE')))
    for (const size of sizes) expect(size).not.toBe(':0\r\n')
    await cluster.nodes[1]!.kill()
    await cluster.nodes[1]!.restart()
    await cluster.ready()
    await Promise.all([ready(one), ready(two)])
    await publish('after')
    // Whoever is told to resync after that was published loads it with everything else.
    for (const each of streams) {
      await eventually(() => expect(told(each).at(-1) === 'after' || each.resyncs.length > 0).toBe(true))
    }
    await publish('sentinel')
    for (const each of streams) await eventually(() => expect(told(each).at(-1)).toBe('sentinel'))
    const resynced = streams.map(({ resyncs }) => resyncs)
    for (const resyncs of resynced) expect([[], ['epoch']]).toContainEqual(resyncs)
    expect(resynced.filter(({ length }) => length > 0).length).toBeGreaterThan(0)
    expect(resynced.filter(({ length }) => length === 0).length).toBeGreaterThan(0)
  })

  it('[B2] without sharded channels, as a cluster before version 7 is used', async () => {
    const options = { sharded: false, timeoutMs: 10_000 }
    const add = () => hubs.add(name, cluster.nodes[0]!, options, {}, cluster.client(name) as never)
    const [one, two] = [add(), add()]
    for (const project of ['p', 'q', 'r']) {
      const client = await stream(one, project)
      for (let n = 0; n < 5; n++) await two.hub.project(project).emit('a:b', n)
      await eventually(() => expect(told(client)).toEqual([0, 1, 2, 3, 4]))
      expect(client.resyncs).toEqual([])
    }
  })
})
