import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { degraded, eventually, ready, stream, told } from '../support/broker-hub'
import { type ClientName, clients, HAS_REDIS, RedisServer, withHeldMessages } from '../support/redis'
import { type RedisHub, RedisHubs, ReturningClient } from '../support/redis-hub'

/*
 * What clients see of a Redis that is harmed: real hubs, real Redis, real time.
 */

const DURABLE = ['--appendonly', 'yes', '--appendfsync', 'always']
const hubs = new RedisHubs()
afterEach(() => hubs.end())

describe.runIf(HAS_REDIS).each(Object.keys(clients) as ClientName[])(
  'hubs on a Redis that is harmed, with %s',
  (name) => {
    let server: RedisServer
    let outside: Redis
    beforeEach(async () => {
      server = await RedisServer.start()
      outside = new Redis({ port: server.port, host: '127.0.0.1', retryStrategy: () => 20, maxRetriesPerRequest: null })
      outside.on('error', () => {})
    })
    afterEach(async () => {
      await hubs.end()
      outside.disconnect()
      await server.end()
    })

    it('[B1] Redis is down at the start: the hub is degraded, refuses streams with 503, and serves when Redis is there', async () => {
      await server.kill()
      const one = hubs.add(name, server)
      expect(one.hub.status()).toBe('degraded')
      const publishing = one.hub.project('p').emit('a:b', 1)
      const [refused] = await Promise.all([
        stream(one, 'p'),
        expect(publishing).rejects.toMatchObject({ code: 'UNAVAILABLE' }),
      ])
      expect([refused.status, refused.code]).toEqual([503, 'UNAVAILABLE'])
      expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0)
      await server.restart()
      await ready(one)
      const served = await stream(one, 'p')
      await one.hub.project('p').emit('a:b', 2)
      await eventually(() => expect(told(served)).toEqual([2]))
      expect(served.resyncs).toEqual([])
    })

    it('[B1] Redis stands still and goes on: streams stay open, degraded is seen, and nobody misses anything or is told to resync', async () => {
      const [one, two] = [hubs.add(name, server), hubs.add(name, server)]
      const streams = [await stream(one, 'p'), await stream(two, 'p')]
      await one.hub.project('p').emit('a:b', 'before')
      for (const each of streams) await eventually(() => expect(told(each)).toEqual(['before']))
      await server.stop()
      const lost = one.hub.project('p').emit('a:b', 'may come late')
      await expect(lost).rejects.toMatchObject({ code: 'UNAVAILABLE' })
      await Promise.all([degraded(one), degraded(two)])
      for (const each of streams) expect(each.closed).toBe(false)
      await server.restart()
      await Promise.all([ready(one), ready(two)])
      await two.hub.project('p').emit('a:b', 'after')
      for (const each of streams) await eventually(() => expect(told(each).at(-1)).toBe('after'))
      expect(told(streams[0]!)).toEqual(told(streams[1]!))
      for (const each of streams) expect([each.closed, each.resyncs]).toEqual([false, []])
    })

    it('[B1] the connections are cut and cut again while others publish: everything is told, in order, without a resync', async () => {
      const [one, two] = [hubs.add(name, server), hubs.add(name, server)]
      const client = await stream(one, 'p')
      const published: number[] = []
      for (let n = 0; n < 60; n++) {
        if (n % 20 === 10) await outside.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
        // A publish whose connection is cut may or may not have happened; here only the listening ones are.
        await two.hub.project('p').emit('a:b', n)
        published.push(n)
      }
      await eventually(() => expect(told(client)).toEqual(published))
      expect(client.resyncs).toEqual([])
    })

    it('[B1 B4] killed with -9 and empty afterwards: each client is told to resync once, and goes on', async () => {
      const [one, two] = [hubs.add(name, server), hubs.add(name, server)]
      const streams = [
        await ReturningClient.open(one, 'p'),
        await ReturningClient.open(one, 'p'),
        await ReturningClient.open(two, 'p'),
      ]
      await one.hub.project('p').emit('a:b', 'before')
      for (const each of streams) await eventually(() => expect(told(each)).toEqual(['before']))
      const { lastEventId } = streams[0]!
      await server.kill()
      await Promise.all([degraded(one), degraded(two)])
      await server.restart()
      await Promise.all([ready(one), ready(two)])
      for (const each of streams) await eventually(() => expect(each.resyncs).toEqual(['epoch']))
      await one.hub.project('p').emit('a:b', 'after')
      for (const each of streams) await eventually(() => expect(told(each)).toEqual(['before', 'after']))
      for (const each of streams) expect([each.returns, each.resyncs]).toEqual([1, ['epoch']])
      const late = await stream(two, 'p', lastEventId)
      expect(late.resyncs).toEqual(['epoch'])
    })

    it('[B4] FLUSHALL: one resync for each client, in quiet projects too', async () => {
      const [one, two] = [hubs.add(name, server), hubs.add(name, server)]
      const streams = [
        await ReturningClient.open(one, 'p'),
        await ReturningClient.open(two, 'p'),
        await ReturningClient.open(two, 'quiet'),
      ]
      await one.hub.project('p').emit('a:b', 1)
      await one.hub.project('quiet').emit('a:b', 1)
      for (const each of streams) await eventually(() => expect(told(each)).toEqual([1]))
      await outside.flushall()
      for (const each of streams) await eventually(() => expect(each.resyncs).toEqual(['epoch']))
      for (const project of ['p', 'quiet']) await two.hub.project(project).emit('a:b', 2)
      for (const each of streams) await eventually(() => expect(told(each)).toEqual([1, 2]))
      for (const each of streams) expect(each.resyncs).toEqual(['epoch'])
    })

    it('[B4] only the head is evicted, or only the records: never a partial replay', async () => {
      const one = hubs.add(name, server, { keyPrefix: 'x:' })
      const client = await stream(one, 'p')
      const first = await one.hub.project('p').emit('a:b', 1)
      await one.hub.project('p').emit('a:b', 2)
      await eventually(() => expect(told(client)).toEqual([1, 2]))
      await outside.del('x:{events.p}:log')
      await one.hub.project('p').emit('a:b', 3)
      await eventually(() => expect(told(client)).toEqual([1, 2, 3]))
      // The process that has told them has them still; another has not.
      const two = hubs.add(name, server, { keyPrefix: 'x:' })
      expect((await stream(two, 'p', first)).resyncs).toEqual(['expired'])
      expect(client.resyncs).toEqual([])
      await outside.del('x:{events.p}:head')
      await eventually(() => expect(client.resyncs).toEqual(['epoch']))
      await two.hub.project('p').emit('a:b', 4)
      await eventually(() => expect(told(client)).toEqual([1, 2, 3, 4]))
    })

    describe('a failover to a replica that lacks the newest records', () => {
      const names = ['entitycast:{events.p}:head', 'entitycast:{events.p}:log'] as const
      const save = () => Promise.all(names.map((key) => outside.dumpBuffer(key)))
      const rewind = async (saved: readonly (Buffer | null)[]) => {
        const step = outside.multi()
        names.forEach((key, i) => void step.restore(key, 0, saved[i]!, 'REPLACE'))
        await step.exec()
      }
      /** Durable, so that only what was seen can tell. */
      const add = () => hubs.add(name, server, { durable: true })
      const fill = async ({ hub }: RedisHub, from: number, to: number) => {
        for (let n = from; n <= to; n++) await hub.project('p').emit('a:b', n)
      }

      it('[B4] the head is lower than what was seen: a new epoch for all, and one resync', async () => {
        const [one, two] = [add(), add()]
        const streams = [await stream(one, 'p'), await stream(two, 'p')]
        await fill(one, 1, 5)
        const saved = await save()
        await fill(one, 6, 10)
        for (const each of streams) await eventually(() => expect(told(each)).toHaveLength(10))
        const cursor = streams[0]!.lastEventId
        await rewind(saved)
        for (const each of streams) await eventually(() => expect(each.resyncs).toEqual(['epoch']))
        await fill(two, 11, 12)
        for (const each of streams) await eventually(() => expect(told(each).slice(10)).toEqual([11, 12]))
        for (const each of streams) expect(each.resyncs).toEqual(['epoch'])
        expect((await stream(two, 'p', cursor)).resyncs).toEqual(['epoch'])
      })

      it('[B4] and others have used the lost offsets again, and more: the fork is seen, nothing of it is told as if it went on', async () => {
        const one = add()
        const client = await stream(one, 'p')
        await fill(one, 1, 5)
        const saved = await save()
        await fill(one, 6, 10)
        await eventually(() => expect(told(client)).toHaveLength(10))
        const other = add()
        await ready(other)
        await rewind(saved)
        // As fast as can be: no check in between.
        await Promise.all(Array.from({ length: 20 }, (_, n) => other.hub.project('p').emit('a:b', `fork ${n}`)))
        await eventually(() => expect(client.resyncs).toEqual(['epoch']))
        await other.hub.project('p').emit('a:b', 'sentinel')
        await eventually(() => expect(told(client).at(-1)).toBe('sentinel'))
        const resyncAt = client.types.indexOf('resync')
        const before = client.frames
          .slice(0, resyncAt)
          .flatMap(({ data }) => (data?.data === undefined ? [] : [data.data]))
        expect(before).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
        expect(client.resyncs).toEqual(['epoch'])
      })
    })

    it('[B4] something else writes into the stream of a project: a new epoch, and publishing goes on', async () => {
      const one = hubs.add(name, server)
      const client = await stream(one, 'p')
      await one.hub.project('p').emit('a:b', 1)
      await eventually(() => expect(told(client)).toEqual([1]))
      await outside.xadd('entitycast:{events.p}:log', '*', 'not', 'ours')
      await one.hub.project('p').emit('a:b', 2)
      await eventually(() => expect(client.resyncs).toEqual(['epoch']))
      await one.hub.project('p').emit('a:b', 3)
      await eventually(() => expect(told(client).at(-1)).toBe(3))
      await outside.del('entitycast:{events.q}:log')
      await outside.set('entitycast:{events.q}:log', 'no stream')
      await one.hub.project('q').emit('a:b', 1)
      await one.hub.project('q').emit('a:b', 2)
    })

    it('[B2] a client moves to an instance that has not heard yet what it was told: no resync, and nothing twice', async () => {
      let areHeld = false
      const held: [string, string][] = []
      const ear = outside.duplicate()
      await ear.psubscribe('held:*')
      ear.on('pmessage', (_, channel: string, text: string) => held.push([channel.slice('held:'.length), text]))
      const slow = { checkIntervalMs: 60_000 }
      // What hubs say to each other passes.
      const client = withHeldMessages(
        clients[name](server.port),
        (channel) => areHeld && channel.includes('{events.p}'),
      )
      const one = hubs.add(name, server, slow, {}, client as never)
      const two = hubs.add(name, server, slow)
      const before = await stream(two, 'p')
      await one.hub.project('p').emit('a:b', 1)
      await eventually(() => expect(told(before)).toEqual([1]))
      areHeld = true
      const ahead = await one.hub.project('p').emit('a:b', 2)
      await eventually(() => expect(held).toHaveLength(1))
      // Somebody else, who has heard of 2, has told it to this client.
      const moved = await stream(two, 'p', ahead)
      expect([moved.status, moved.resyncs]).toEqual([200, []])
      areHeld = false
      for (const [channel, text] of held) await outside.publish(channel, text)
      await one.hub.project('p').emit('a:b', 3)
      await eventually(() => expect(told(before)).toEqual([1, 2, 3]))
      await eventually(() => expect(told(moved)).toEqual([3]))
      expect(moved.resyncs).toEqual([])
      // One that is ahead of everybody is still told so.
      const [epoch, offset] = ahead.split('.')
      expect((await stream(two, 'p', `${epoch}.${Number(offset) + 5}`)).resyncs).toEqual(['ahead'])
      ear.disconnect()
    })
  },
)

describe.runIf(HAS_REDIS)('what survives a Redis that is killed with -9, with its log on disk', () => {
  let server: RedisServer
  beforeAll(async () => {
    server = await RedisServer.start(...DURABLE)
  })
  afterAll(() => server?.end())

  it('[B1] durable: the log goes on, and nobody is told to resync', async () => {
    const [one, two] = [
      hubs.add('node-redis', server, { durable: true }),
      hubs.add('ioredis', server, { durable: true }),
    ]
    const client = await stream(one, 'p')
    const cursor = await one.hub.project('p').emit('a:b', 1)
    await one.hub.project('p').emit('a:b', 2)
    await eventually(() => expect(told(client)).toEqual([1, 2]))
    await server.kill()
    await Promise.all([degraded(one), degraded(two)])
    await server.restart()
    await Promise.all([ready(one), ready(two)])
    await two.hub.project('p').emit('a:b', 3)
    await eventually(() => expect(told(client)).toEqual([1, 2, 3]))
    expect(client.resyncs).toEqual([])
    const back = await stream(two, 'p', cursor)
    await eventually(() => expect(told(back)).toEqual([2, 3]))
    expect(back.resyncs).toEqual([])
  })

  it('[B4] not said to be durable: what is on disk may lack its end, so the epoch is new', async () => {
    const one = hubs.add('node-redis', server)
    const client = await ReturningClient.open(one, 'q')
    const cursor = await one.hub.project('q').emit('a:b', 1)
    await eventually(() => expect(told(client)).toEqual([1]))
    await server.kill()
    await degraded(one)
    await server.restart()
    await ready(one)
    await eventually(() => expect(client.resyncs).toEqual(['epoch']))
    expect((await stream(one, 'q', cursor)).resyncs).toEqual(['epoch'])
    expect(client.resyncs).toEqual(['epoch'])
  })
})
