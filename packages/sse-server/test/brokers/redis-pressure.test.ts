import { mkdir, rm } from 'node:fs/promises'
import type { LogEntry } from '@entitycast/sse-server'
import { RedisAdapter } from '@entitycast/sse-server/redis'
import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { eventually, stream, told } from '../support/broker-hub'
import { type ClientName, clients, HAS_REDIS, RedisServer } from '../support/redis'
import { RedisHubs } from '../support/redis-hub'

/*
 * A Redis that is there and takes nothing: full, without a disk, without replicas, or not for us. Publishers are told so with a code; who reads goes
 * on reading; and when it takes events again everything goes on by itself.
 */

const hubs = new RedisHubs()
afterEach(() => hubs.end())

describe.runIf(HAS_REDIS).each(Object.keys(clients) as ClientName[])('a Redis that takes nothing, with %s', (name) => {
  let server: RedisServer
  let outside: Redis
  let tests = 0
  beforeAll(async () => {
    server = await RedisServer.start('--save', '3600 100000', '--enable-protected-configs', 'local')
    outside = new Redis({ port: server.port, host: '127.0.0.1' })
  })
  afterAll(async () => {
    outside?.disconnect()
    await server?.end()
  })

  const scripts = async () => Number(/cmdstat_evalsha:calls=(\d+)/.exec(await outside.info('commandstats'))?.[1] ?? 0)

  const reasons: Record<string, { refuse: () => Promise<unknown>; allow: () => Promise<unknown> }> = {
    OOM: {
      refuse: () => outside.config('SET', 'maxmemory', '1mb'),
      allow: () => outside.config('SET', 'maxmemory', '0'),
    },
    MISCONF: {
      refuse: async () => {
        await rm(server.folder, { recursive: true, force: true })
        await outside.bgsave()
        await eventually(async () => expect(await outside.info('persistence')).toContain('last_bgsave_status:err'))
      },
      allow: async () => {
        await mkdir(server.folder, { recursive: true })
        await outside.config('SET', 'dir', server.folder)
        await outside.bgsave()
        await eventually(async () => expect(await outside.info('persistence')).toContain('last_bgsave_status:ok'))
      },
    },
    NOREPLICAS: {
      refuse: () => outside.config('SET', 'min-replicas-to-write', '1'),
      allow: () => outside.config('SET', 'min-replicas-to-write', '0'),
    },
    NOPERM: {
      refuse: () => outside.call('ACL', 'SETUSER', 'default', '-xadd'),
      allow: () => outside.call('ACL', 'SETUSER', 'default', '+xadd'),
    },
  }
  for (const [reason, { refuse, allow }] of Object.entries(reasons)) {
    it(`[B1 P7] ${reason}: publishes are refused with a code, streams stay and resume, and all goes on when it is over`, async () => {
      const keyPrefix = `test-${++tests}:`
      const [one, two] = [0, 1].map(() => hubs.add(name, server, { keyPrefix })) as [
        ReturnType<typeof hubs.add>,
        ReturnType<typeof hubs.add>,
      ]
      const clients = [await stream(one, 'p'), await stream(two, 'p')]
      const first = await one.hub.project('p').emit('a:b', 1)
      await one.hub.project('p').emit('a:b', 2)
      for (const client of clients) await eventually(() => expect(told(client)).toEqual([1, 2]))
      await refuse()
      const refused = await Promise.allSettled([3, 4, 5].map((n) => one.hub.project('p').emit('a:b', n)))
      for (const each of refused) {
        expect(each).toMatchObject({ status: 'rejected', reason: { code: 'UNAVAILABLE' } })
        expect((each as PromiseRejectedResult).reason.message).toContain(reason)
      }
      // Redis alone knows what this one tells.
      const three = hubs.add(name, server, { keyPrefix })
      const back = await eventually(async () => {
        const back = await stream(three, 'p', first)
        expect(back.status).toBe(200)
        return back
      })
      await eventually(() => expect(told(back)).toEqual([2]))
      // Several rounds of checks, by each.
      const before = await scripts()
      await eventually(async () => expect((await scripts()) - before).toBeGreaterThan(10))
      for (const { hub } of [one, two, three]) expect(hub.status()).toBe('ok')
      await allow()
      const cursor = await two.hub.project('p').emit('a:b', 6)
      for (const client of clients) await eventually(() => expect(told(client)).toEqual([1, 2, 6]))
      await eventually(() => expect(told(back)).toEqual([2, 6]))
      expect(cursor.split('.')[0]).toBe(first.split('.')[0])
      for (const each of [...clients, back]) expect([each.closed, each.resyncs]).toEqual([false, []])
      for (const { adapter } of [one, two, three]) expect(adapter.oddities.doubts).toBe(0)
    })
  }

  it('[B4] full at the moment when the log must begin anew: never a part of the old one, and one resync', async () => {
    const keyPrefix = `test-${++tests}:`
    const one = hubs.add(name, server, { keyPrefix })
    const client = await stream(one, 'p')
    const first = await one.hub.project('p').emit('a:b', 1)
    await one.hub.project('p').emit('a:b', 2)
    await eventually(() => expect(told(client)).toEqual([1, 2]))
    await outside.config('SET', 'maxmemory', '1mb')
    await outside.del(`${keyPrefix}{events.p}:head`)
    await eventually(() => expect(client.resyncs).toEqual(['epoch']))
    await outside.config('SET', 'maxmemory', '0')
    await one.hub.project('p').emit('a:b', 3)
    await eventually(() => expect(told(client)).toEqual([1, 2, 3]))
    const back = await stream(one, 'p', first)
    expect(back.resyncs).toEqual(['epoch'])
  })
})

describe.runIf(HAS_REDIS)('a Redis that is far away', () => {
  it('[B1] what is listened to is asked for at once, and not one part after the other: there is time enough', async () => {
    const server = await RedisServer.start()
    const client = new Redis({ port: server.port, host: '127.0.0.1', lazyConnect: true })
    const duplicate = client.duplicate.bind(client)
    client.duplicate = (overrides) => {
      const own = duplicate(overrides)
      const subscribe = own.subscribe.bind(own) as (...channels: string[]) => Promise<unknown>
      let asked = 0
      let answer = () => {}
      const whenAllAreAsked = new Promise<void>((resolve) => {
        answer = resolve
      })
      own.subscribe = (async (...channels: string[]) => {
        if (channels.length > 1 && ++asked === 3) answer()
        if (channels.length > 1) await whenAllAreAsked
        return subscribe(...channels)
      }) as typeof own.subscribe
      return own
    }
    const adapter = new RedisAdapter(client, { keyPrefix: 'far:', timeoutMs: 30_000 })
    adapter.start({ ageMs: 60_000, events: 100, bytes: 100_000 })
    try {
      const heard: number[] = []
      const listener = { entries: (entries: readonly LogEntry[]) => heard.push(entries.length), doubt: () => {} }
      // Before there is a connection.
      await Promise.all(Array.from({ length: 250 }, (_, n) => adapter.open(`p${n}`, listener)))
      await adapter.append('p249', [{ type: 'a:b', data: '1', channel: 'default' }])
      await eventually(() => expect(heard).toEqual([1]))
    } finally {
      await adapter.close()
      await server.end()
    }
  })
})
