import { Redis } from 'ioredis'
import { createSentinel } from 'redis'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { eventually, told } from '../support/broker-hub'
import { type ClientName, HAS_REDIS, RedisServer } from '../support/redis'
import { RedisHubs, ReturningClient } from '../support/redis-hub'

/*
 * Redis Sentinel: a master, a replica, and the sentinel that makes the replica the master.
 */

const hubs = new RedisHubs()

describe.runIf(HAS_REDIS).each(['ioredis', 'node-redis'] as ClientName[])('behind a sentinel, with %s', (name) => {
  const servers: RedisServer[] = []
  let sentinel: RedisServer
  beforeEach(async () => {
    const master = await RedisServer.start('--save', '', '--repl-diskless-sync-delay', '0')
    const replica = await RedisServer.start('--save', '', '--replicaof', '127.0.0.1', String(master.port))
    servers.push(master, replica)
    await eventually(async () => expect(await replica.ask('INFO', 'replication')).toContain('master_link_status:up'))
    sentinel = await RedisServer.sentinel(master.port)
    servers.push(sentinel)
    // It looks at its servers every 10 s otherwise; and one that had to stand still for 2 s, or met a clock that was set back, does nothing for
    // the 30 s after that: also where it was so as it began.
    await sentinel.ask('SENTINEL', 'DEBUG', 'INFO-PERIOD', '200', 'TILT-TRIGGER', '600000', 'TILT-PERIOD', '100')
    await eventually(async () =>
      expect(await sentinel.ask('SENTINEL', 'REPLICAS', 'events')).toContain(String(replica.port)),
    )
  })
  afterEach(async () => {
    await hubs.end()
    for (const server of servers.splice(0)) await server.end()
  })

  const client = (pool = {}) => {
    const sentinels = [{ host: '127.0.0.1', port: sentinel.port }]
    return name === 'ioredis'
      ? new Redis({ sentinels, name: 'events', lazyConnect: true })
      : createSentinel({ name: 'events', sentinelRootNodes: sentinels, ...pool })
  }

  it('[B1 D1] many projects publish without a pause, with a pool of connections too: in order, nobody waits for ever', async () => {
    const [one, two] = [{}, { masterPoolSize: 4 }].map((pool) =>
      hubs.add(name, sentinel, { timeoutMs: 10_000 }, {}, client(pool) as never),
    ) as [ReturnType<typeof hubs.add>, ReturnType<typeof hubs.add>]
    const heard: number[] = []
    two.hub.listen({ projectId: 'p' }, ({ data }) => void heard.push(data as number))
    await two.hub.cursor('p')
    const end = performance.now() + 2_000
    const busy = [one, two].flatMap(({ hub }) =>
      Array.from({ length: 8 }, async (_, n) => {
        while (performance.now() < end) await hub.project(`busy-${n}`).emit('a:b', n)
      }),
    )
    let last = 0
    for (const { hub } of [one, two]) {
      for (let round = 0; round < 10; round++) {
        // Not one after the other, and not all in one task.
        const all: Promise<string>[] = []
        for (let n = 0; n < 20; n++) {
          all.push(hub.project('p').emit('a:b', ++last))
          await new Promise(setImmediate)
        }
        await Promise.all(all)
      }
    }
    await Promise.all(busy)
    await eventually(() => expect(heard.at(-1)).toBe(last))
    expect(heard).toEqual(Array.from({ length: last }, (_, n) => n + 1))
  })

  it('[B1 B4] a failover may have lost the newest events: one resync for each client, and everything goes on', async () => {
    const add = () => hubs.add(name, sentinel, { timeoutMs: 10_000 }, {}, client() as never)
    const [one, two] = [add(), add()]
    const streams = [await ReturningClient.open(one, 'p'), await ReturningClient.open(two, 'p')]
    for (let n = 0; n < 5; n++) await one.hub.project('p').emit('a:b', n)
    for (const each of streams) await eventually(() => expect(told(each)).toEqual([0, 1, 2, 3, 4]))
    await eventually(async () => {
      const known = await sentinel.ask('SENTINEL', 'MASTER', 'events')
      // One that is asked for is given up where the machine was busy and the replica was not heard of in time.
      if (known.includes(String(servers[0]!.port)) && !known.includes('failover_in_progress'))
        await sentinel.ask('SENTINEL', 'FAILOVER', 'events').catch(() => {})
      expect(await servers[1]!.ask('ROLE')).toContain('master')
    })
    for (const each of streams) await eventually(() => expect(each.resyncs).toEqual(['epoch']))
    await eventually(() => two.hub.project('p').emit('a:b', 'after'))
    for (const each of streams) await eventually(() => expect(told(each).at(-1)).toBe('after'))
    for (const each of streams) expect([each.returns, each.resyncs]).toEqual([1, ['epoch']])
  })
})
