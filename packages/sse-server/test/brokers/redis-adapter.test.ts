import { HubError } from '@entitycast/sse-server'
import { RedisAdapter, type RedisAdapterOptions } from '@entitycast/sse-server/redis'
import { Redis } from 'ioredis'
import { createClient } from 'redis'
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { eventually, ready, stream, told } from '../support/broker-hub'
import { seeded } from '../support/hub'
import { type ClientName, clients, HAS_REDIS, RedisServer, withHeldMessages } from '../support/redis'
import { RedisHubs } from '../support/redis-hub'
import { SlammingServer } from '../support/slamming-server'

const hubs = new RedisHubs()
afterEach(() => hubs.end())

describe.runIf(HAS_REDIS).each(Object.keys(clients) as ClientName[])('the Redis adapter, with %s', (name) => {
  let server: RedisServer
  let outside: Redis
  let tests = 0
  let keyPrefix: string
  beforeAll(async () => {
    server = await RedisServer.start()
    outside = new Redis({ port: server.port, host: '127.0.0.1' })
  })
  afterAll(async () => {
    outside?.disconnect()
    await server?.end()
  })
  const add = (options: RedisAdapterOptions = {}, hubOptions = {}) =>
    hubs.add(name, server, { keyPrefix, ...options }, hubOptions)
  const fresh = () => {
    keyPrefix = `test-${++tests}:`
    return keyPrefix
  }

  it('[D1] three hubs, each with publishers, listeners and streams: all see one order', async () => {
    fresh()
    const all = [add(), add(), add()]
    const random = seeded(11)
    const projects = ['p', 'q']
    const heard = new Map<string, unknown[][]>(projects.map((project) => [project, []]))
    const streams = new Map<string, Awaited<ReturnType<typeof stream>>[]>(projects.map((project) => [project, []]))
    for (const each of all) {
      for (const projectId of projects) {
        const list: unknown[] = []
        heard.get(projectId)?.push(list)
        each.hub.listen({ projectId, type: 'a:*' }, ({ data }) => void list.push(data))
        await each.hub.cursor(projectId)
        streams.get(projectId)?.push(await stream(each, projectId))
      }
    }
    const expected = new Map(projects.map((project) => [project, 0]))
    const publishers = Array.from({ length: 9 }, async (_, publisher) => {
      for (let n = 0; n < 40; n++) {
        const project = projects[Math.floor(random() * 2)] as string
        expected.set(project, (expected.get(project) ?? 0) + 1)
        const publish = all[publisher % 3]!.hub.project(project).emit('a:b', [publisher, n])
        // Some wait, some do not.
        if (random() < 0.5) await publish
        else await Promise.all([publish, null])
      }
    })
    await Promise.all(publishers)
    for (const project of projects) {
      const lists = [...(heard.get(project) ?? [])]
      await eventually(() => {
        for (const list of lists) expect(list).toHaveLength(expected.get(project) ?? 0)
        for (const each of streams.get(project) ?? []) expect(told(each)).toHaveLength(expected.get(project) ?? 0)
      })
      for (const list of lists) expect(list).toEqual(lists[0])
      for (const each of streams.get(project) ?? []) {
        expect(told(each)).toEqual(lists[0])
        expect(each.resyncs).toEqual([])
      }
      // Inside it each publisher's events have their own order.
      for (let publisher = 0; publisher < 9; publisher++) {
        const own = (lists[0] as [number, number][]).filter(([by]) => by === publisher).map(([, n]) => n)
        expect(own).toEqual([...own].sort((a, b) => a - b))
      }
    }
    for (const { adapter } of all) expect(adapter.oddities).toMatchObject({ garbage: 0, doubts: 0 })
  })

  it('[B1] one connection listens, and one sends, however many projects there are; after close there is none', async () => {
    fresh()
    const before = await eventually(async () => {
      const open = await connections(outside)
      expect(open).toHaveLength(1)
      return open
    })
    const one = add()
    for (let n = 0; n < 40; n++) await stream(one, `p${n}`)
    // Forty, and the log in which hubs speak to each other.
    const open = (await connections(outside)).filter(({ id }) => !before.some((known) => known.id === id))
    expect(open.map(({ sub }) => sub).sort()).toEqual([0, 41])
    await hubs.end()
    await eventually(async () => expect(await connections(outside)).toHaveLength(before.length))
  })

  it('[S2] the subscription to a project is given up when nobody reads it, and taken up again', async () => {
    fresh()
    const adapter = new RedisAdapter(clients[name](server.port), { keyPrefix })
    adapter.start({ ageMs: 60_000, events: 100, bytes: 100_000 })
    const seen: number[] = []
    const listener = {
      entries: (entries: readonly { offset: number }[]) => void seen.push(...entries.map(({ offset }) => offset)),
      doubt() {},
    }
    const subscribers = async () => ((await outside.pubsub('CHANNELS', `${keyPrefix}*`)) as string[]).length
    for (let round = 1; round <= 5; round++) {
      const log = await adapter.open('p', listener)
      expect(log.head.offset).toBe(round - 1)
      expect(await subscribers()).toBe(1)
      await adapter.append('p', [{ type: 'a:b', data: '1', channel: 'default' }])
      await eventually(() => expect(seen).toEqual(Array.from({ length: round }, (_, n) => n + 1)))
      log.close()
      // At once again, now and then: the end of one subscription must not be the end of the next.
      if (round % 2 === 0) await eventually(async () => expect(await subscribers()).toBe(0))
    }
    await adapter.close()
  })

  it('[D3] the epoch lives as long as somebody listens, and a dead project is forgotten', async () => {
    fresh()
    const one = add({ idleProjectTtlMs: 60_000 }, { retention: { ageMs: 20_000 } })
    const keys = [`${keyPrefix}{events.p}:head`, `${keyPrefix}{events.p}:log`] as const
    await one.hub.project('p').emit('a:b', 1)
    expect(await outside.pttl(keys[0])).toBeGreaterThan(50_000)
    expect(await outside.pttl(keys[1])).toBeLessThanOrEqual(20_000)
    const client = await stream(one, 'p')
    await outside.pexpire(keys[0], 10_000)
    await eventually(async () => expect(await outside.pttl(keys[0])).toBeGreaterThan(50_000))
    expect(client.resyncs).toEqual([])
  })

  it('[D3] what Redis keeps is bounded: by number, by bytes and by age, whatever the size of the appends', async () => {
    fresh()
    const adapter = new RedisAdapter(clients[name](server.port), { keyPrefix })
    adapter.start({ ageMs: 60_000, events: 20, bytes: 5_000 })
    const size = () => outside.xlen(`${keyPrefix}{events.p}:log`)
    const bytes = async () => Number(await outside.hget(`${keyPrefix}{events.p}:head`, 'b'))
    const records = (count: number, length: number) =>
      Array.from({ length: count }, () => ({ type: 'a:b', data: 'x'.repeat(length - 3), channel: 'default' }))
    for (let n = 0; n < 30; n++) await adapter.append('p', records(1, 100))
    expect([await size(), await bytes()]).toEqual([20, 2_000])
    await adapter.append('p', records(70, 100))
    expect([await size(), await bytes()]).toEqual([20, 2_000])
    await adapter.append('p', records(3, 1_000))
    expect([await size(), await bytes()]).toEqual([20, 4_700])
    await adapter.append('p', records(7, 1_000))
    expect([await size(), await bytes()]).toEqual([5, 5_000])
    await adapter.append('p', records(1, 30_000))
    expect([await size(), await bytes()]).toEqual([1, 30_000])
    await adapter.append('p', records(1, 100))
    expect([await size(), await bytes()]).toEqual([1, 100])
    await adapter.close()
    const quick = new RedisAdapter(clients[name](server.port), { keyPrefix })
    quick.start({ ageMs: 200, events: 20, bytes: 5_000 })
    await quick.append('p', records(2, 100))
    // It expires by itself, and what follows counts from nothing.
    await eventually(async () => expect(await size()).toBe(0))
    await quick.close()
    const last = new RedisAdapter(clients[name](server.port), { keyPrefix })
    last.start({ ageMs: 60_000, events: 20, bytes: 5_000 })
    const { offset } = await last.append('p', records(1, 100))
    expect([await size(), await bytes(), offset]).toEqual([1, 100, 115])
    await last.close()
  })

  it('[P7] at most so many appends wait for Redis: the next is refused at once, and those that waited are accepted', async () => {
    fresh()
    const one = add({ maxPendingAppends: 5, timeoutMs: 10_000 }, { instanceTtlMs: 300_000 })
    await one.hub.project('p').emit('a:b', 0)
    // What it says to other hubs has been said: it would be one of those that wait.
    await one.hub.clusterStats()
    await server.stop()
    const waiting = Array.from({ length: 5 }, (_, n) => one.hub.project('p').emit('a:b', n))
    const refused = await one.hub
      .project('p')
      .emit('a:b', 'too much')
      .catch((error) => error)
    expect(refused).toMatchObject({ code: 'UNAVAILABLE' })
    expect(refused.message).toContain('maxPendingAppends')
    await server.restart()
    expect(await Promise.all(waiting)).toHaveLength(5)
    await one.hub.project('p').emit('a:b', 6)
  })

  it('[P7] the script cache is emptied in between: nothing is lost', async () => {
    fresh()
    const one = add()
    const client = await stream(one, 'p')
    for (let n = 0; n < 5; n++) {
      await outside.script('FLUSH')
      await one.hub.project('p').emit('a:b', n)
    }
    await eventually(() => expect(told(client)).toEqual([0, 1, 2, 3, 4]))
  })

  it("[B3] the same project in another database is another project, and so is one behind the client's own key prefix", async () => {
    const [here, there] = [0, 3].map((db) => {
      const client =
        name === 'ioredis'
          ? new Redis({ port: server.port, host: '127.0.0.1', db, lazyConnect: true })
          : createClient({ socket: { host: '127.0.0.1', port: server.port }, database: db })
      return hubs.add(name, server, {}, {}, client as never)
    })
    const apart = hubs.add(
      name,
      server,
      {},
      {},
      (name === 'ioredis'
        ? new Redis({ port: server.port, host: '127.0.0.1', keyPrefix: 'app:', lazyConnect: true })
        : createClient({ socket: { host: '127.0.0.1', port: server.port }, keyPrefix: 'app:' })) as never,
    )
    const all = [here!, there!, apart]
    const streams = await Promise.all(all.map((each) => stream(each, 'p')))
    for (const [n, { hub }] of all.entries()) await hub.project('p').emit('a:b', n)
    for (const [n, each] of streams.entries()) await eventually(() => expect(told(each)).toEqual([n]))
    for (const { adapter } of all) expect(adapter.oddities).toMatchObject({ garbage: 0, holes: 0 })
    expect(await outside.exists('app:entitycast:{events.p}:head')).toBe(1)
  })

  it('[B2] a message that is lost is repaired as soon as the next one comes, and one that comes twice costs nothing', async () => {
    fresh()
    const ear = outside.duplicate()
    await ear.psubscribe('held:*')
    const held: [string, string][] = []
    ear.on('pmessage', (_, channel: string, text: string) => held.push([channel.slice('held:'.length), text]))
    let areHeld = true
    // So long that it plays no part here.
    const never = { keyPrefix, checkIntervalMs: 600_000 }
    const one = hubs.add(name, server, never)
    const two = hubs.add(
      name,
      server,
      never,
      {},
      withHeldMessages(clients[name](server.port), (channel) => areHeld && channel.includes('{events.p}')),
    )
    const client = await stream(one, 'p')
    // When each hub has heard the other, what they said to each other is behind us: it is counted too.
    await eventually(async () => expect((await one.hub.clusterStats()).instances).toHaveLength(2))
    const before = { ...one.adapter.oddities }
    const since = () => {
      const { holes, repaired, repeated, doubts } = one.adapter.oddities
      return [holes - before.holes, repaired - before.repaired, repeated - before.repeated, doubts]
    }
    await two.hub.project('p').emit('a:b', 1)
    await two.hub.project('p').emit('a:b', 2)
    await eventually(() => expect(held).toHaveLength(2))
    areHeld = false
    await two.hub.project('p').emit('a:b', 3)
    await eventually(() => expect(told(client)).toEqual([1, 2, 3]))
    await eventually(() => expect(since()).toEqual([1, 3, 0, 0]))
    for (const [channel, text] of held) await outside.publish(channel, text)
    await two.hub.project('p').emit('a:b', 4)
    await eventually(() => expect(told(client)).toEqual([1, 2, 3, 4]))
    expect(since()).toEqual([1, 3, 2, 0])
    ear.disconnect()
  })

  it('[B1] what was published while the listening connection was cut is told as soon as it is back', async () => {
    fresh()
    const never = { checkIntervalMs: 600_000 }
    const [one, two] = [add(never), add(never)]
    const client = await stream(one, 'p')
    await eventually(() => expect([one.hub.status(), two.hub.status()]).toEqual(['ok', 'ok']))
    for (let n = 0; n < 5; n++) {
      const cut = outside.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
      const published = two.hub.project('p').emit('a:b', n)
      await Promise.all([cut, published])
      await eventually(() => expect(told(client)).toHaveLength(n + 1))
    }
    expect(told(client)).toEqual([0, 1, 2, 3, 4])
    expect(client.resyncs).toEqual([])
  })

  it('[D7] close answers what it was asked before', async () => {
    fresh()
    const adapter = new RedisAdapter(clients[name](server.port), { keyPrefix })
    adapter.start({ ageMs: 60_000, events: 100, bytes: 100_000 })
    const append = (data: string) => adapter.append('p', [{ type: 'a:b', data, channel: 'default' }])
    await append('1')
    const sent = [append('2'), append('3')]
    const closed = adapter.close()
    await expect(append('4')).rejects.toMatchObject({ code: 'CLOSED' })
    expect((await Promise.all(sent)).map(({ offset }) => offset)).toEqual([2, 3])
    await closed
  })

  it('[B3] garbage is counted', async () => {
    fresh()
    const one = add()
    const client = await stream(one, 'p')
    for (const text of ['', 'x', '{}', 'a 1 1 b c\n[null]']) await outside.publish(`${keyPrefix}{events.p}@0`, text)
    await one.hub.project('p').emit('a:b', 1)
    await eventually(() => expect(told(client)).toEqual([1]))
    await eventually(() => expect(one.adapter.oddities).toMatchObject({ garbage: 4, doubts: 0 }))
  })

  it('[B1] no credentials in an error, whatever Redis says of them', async () => {
    const guarded = await RedisServer.start('--requirepass', 'right-secret', '--save', '')
    onTestFinished(() => guarded.end())
    const url = `redis://somebody:wrong-secret@127.0.0.1:${guarded.port}`
    const client = name === 'ioredis' ? new Redis(url, { lazyConnect: true }) : createClient({ url })
    const lines: unknown[] = []
    const logger = {
      warn: (...line: unknown[]) => void lines.push(line),
      error: (...line: unknown[]) => void lines.push(line),
    }
    const one = hubs.add(name, guarded, {}, { logger }, client as never)
    const publishing = one.hub.project('p').emit('a:b', 'some payload')
    const [error, refused] = await Promise.all([publishing.catch((thrown) => thrown), stream(one, 'p')])
    expect(error).toBeInstanceOf(HubError)
    expect(error).toMatchObject({ code: 'UNAVAILABLE' })
    expect(error.message).toContain('WRONGPASS')
    const everything = [
      error.stack,
      JSON.stringify(error),
      JSON.stringify(error.cause) ?? '',
      refused.body,
      JSON.stringify(lines),
    ]
    for (const text of everything) expect(text).not.toMatch(/secret|somebody|payload/)
  })

  it('[B1] a server that accepts and drops us at once is not dialled without end, nor in step', async () => {
    const trap = await SlammingServer.start()
    const { port, times } = trap
    const one = hubs.add(name, server, {}, {}, clients[name](port))
    const start = performance.now()
    await expect(one.hub.project('p').emit('a:b', 1)).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    const seconds = (performance.now() - start) / 1_000
    // Two connections, each at 100, 200, 400 … ms and less: some attempts in the first second, few afterwards.
    expect([times.length >= 4, times.length < 30 * Math.max(1, seconds)]).toEqual([true, true])
    const waits = times.slice(1).map((time, i) => time - times[i]!)
    expect(new Set(waits.map((wait) => Math.round(wait))).size).toBeGreaterThan(2)
    await hubs.end()
    trap.end()
  })

  it('[P7] a bad option throws at construction and names the fix', () => {
    const client = clients[name](server.port)
    for (const [options, said] of [
      [{ keyPrefix: 'a{b}' }, 'keyPrefix'],
      [{ prefix: 'a' }, 'keyPrefix'],
      [{ timeoutMs: 0 }, 'timeoutMs'],
      [{ checkIntervalMs: '5' }, 'checkIntervalMs'],
      [{ maxPendingAppends: 1.5 }, 'maxPendingAppends'],
      [{ idleProjectTtlMs: Number.NaN }, 'idleProjectTtlMs'],
      [{ durable: 'yes' }, 'durable'],
      [{ sharded: true }, 'cluster'],
    ] as const) {
      expect(() => new RedisAdapter(client, options as never)).toThrow(said)
    }
    for (const none of [undefined, null, {}, 'redis://localhost', { duplicate() {} }]) {
      expect(() => new RedisAdapter(none as never)).toThrow('createClient')
    }
  })

  it('[D7] an adapter belongs to one hub', async () => {
    const adapter = new RedisAdapter(clients[name](server.port))
    const retention = { ageMs: 1_000, events: 10, bytes: 10_000 }
    adapter.start(retention)
    expect(() => adapter.start(retention)).toThrow('one hub')
    await adapter.close()
    await expect(new RedisAdapter(clients[name](server.port)).append('p', [])).rejects.toMatchObject({
      code: 'INVALID_OPTION',
    })
  })

  it('[B1] is ready for the first publish as soon as it is made, and before', async () => {
    fresh()
    const one = add()
    expect(one.hub.status()).toBe('degraded')
    await one.hub.project('p').emit('a:b', 1)
    await ready(one)
  })
})

async function connections(redis: Redis): Promise<{ id: string; sub: number }[]> {
  const list = String(await redis.client('LIST'))
  return list
    .trim()
    .split('\n')
    .map((line) => ({ id: /id=(\d+)/.exec(line)?.[1] ?? '', sub: Number(/ sub=(\d+)/.exec(line)?.[1] ?? 0) }))
}
