import { RedisAdapter, type RedisAdapterOptions } from '@entitycast/sse-server/redis'
import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { scripts as ours } from '../../src/adapters/redis-script'
import { eventually, ready, stream, told, upTo } from '../support/broker-hub'
import { publishWhileCut } from '../support/cut-appends'
import { type ClientName, clients, HAS_REDIS, RedisServer, withCommands } from '../support/redis'
import { RedisHubs } from '../support/redis-hub'

/*
 * Appends that wait for Redis go together: what that saves, and what it must not change.
 */

const hubs = new RedisHubs()
afterEach(() => hubs.end())

describe.runIf(HAS_REDIS).each(Object.keys(clients) as ClientName[])('appends to Redis, with %s', (name) => {
  let server: RedisServer
  let outside: Redis
  let tests = 0
  beforeAll(async () => {
    server = await RedisServer.start()
    outside = new Redis({ port: server.port, host: '127.0.0.1' })
  })
  afterAll(async () => {
    outside?.disconnect()
    await server?.end()
  })
  const pair = (options: RedisAdapterOptions = {}) => {
    const keyPrefix = `test-${++tests}:`
    return [0, 1].map(() => hubs.add(name, server, { keyPrefix, ...options })) as [
      ReturnType<typeof hubs.add>,
      ReturnType<typeof hubs.add>,
    ]
  }
  const scripts = async () => Number(/cmdstat_evalsha:calls=(\d+)/.exec(await outside.info('commandstats'))?.[1] ?? 0)

  it('[D1] publishes that wait while a script is under way share the next: few scripts, in the order of the calls, each with a cursor of its own', async () => {
    // So long that what rounds ask is not among what is counted.
    const [one, two] = pair({ checkIntervalMs: 600_000 })
    const ids = ['p', 'q', 'r']
    const clients = [...(await Promise.all(ids.map((id) => stream(one, id)))), await stream(two, 'p')]
    const before = await scripts()
    const cursors = await Promise.all(upTo(900).map((n) => one.hub.project(ids[n % 3] as string).emit('a:b', n)))
    // Two for each project of 300, and what hubs say to each other meanwhile.
    expect((await scripts()) - before).toBeLessThan(30)
    for (const [i, client] of clients.entries()) {
      await eventually(() => expect(told(client)).toEqual(upTo(900).filter((n) => n % 3 === i % 3)))
      expect(client.resyncs).toEqual([])
    }
    expect(new Set(cursors).size).toBe(900)
    // Whoever resumes after one of them gets the next, and not what was beside it.
    const resumed = await stream(two, 'p', cursors[99 * 3 + 2] as string)
    await eventually(() => expect(told(resumed)).toEqual(upTo(900).filter((n) => n % 3 === 0 && n > 300)))
  })

  it('[D1] the script cache is emptied, and filled again by somebody else, between two appends that do not wait for each other: they keep their order', async () => {
    let isEmptied = false
    const client = withCommands(clients[name](server.port), async (args, send) => {
      const isFirst = args.some((word) => word.includes('the first of two'))
      if (!isFirst || isEmptied) return send(args)
      isEmptied = true
      // All in one go: the second append comes right behind.
      const [, answer] = [send(['SCRIPT', 'FLUSH']), send(args), send(['SCRIPT', 'LOAD', ours.append.text])]
      return answer
    })
    const adapter = new RedisAdapter(client, { keyPrefix: `test-${++tests}:` })
    adapter.start({ ageMs: 60_000, events: 100, bytes: 100_000 })
    const append = (data: string) => adapter.append('p', [{ type: 'a:b', data, channel: 'default' }])
    const { epoch } = await append('"before"')
    const first = append('"the first of two"')
    // It is on its way, and not yet answered.
    await Promise.resolve()
    const cursors = await Promise.all([first, append('"the second"'), append('"with the second"')])
    expect(isEmptied).toBe(true)
    const page = await adapter.read('p', { epoch, offset: 1 }, 10)
    expect('entries' in page && page.entries.map(({ record }) => record.data)).toEqual([
      '"the first of two"',
      '"the second"',
      '"with the second"',
    ])
    expect(cursors.map(({ offset }) => offset)).toEqual([2, 3, 4])
    await adapter.close()
  })

  it('[D1] another instance appends so much between two appends that do not wait for each other that the first is not found: both are there all the same, in their order', async () => {
    let isDone = false
    const client = withCommands(clients[name](server.port), async (args, send) => {
      const isFirst = args.some((word) => word.includes('the first of two'))
      if (!isFirst || isDone) return send(args)
      isDone = true
      const [start, record] = [args.slice(0, -2).with(5, 'of-another'), args.slice(-2)]
      const [answer] = [send(args), send([...start, ...upTo(150).flatMap(() => record)])]
      return answer
    })
    const adapter = new RedisAdapter(client, { keyPrefix: `test-${++tests}:` })
    adapter.start({ ageMs: 60_000, events: 1_000, bytes: 100_000 })
    const append = (data: string) => adapter.append('p', [{ type: 'a:b', data, channel: 'default' }])
    await append('"before"')
    const first = append('"the first of two"')
    await Promise.resolve()
    const cursors = await Promise.all([first, append('"the second"')])
    expect(isDone).toBe(true)
    expect(cursors.map(({ offset }) => offset)).toEqual([2, 153])
    await adapter.close()
  })

  it('[D3] a log outlives the time between two looks at it, however short its own time is: who follows it is not told to resync for ever', async () => {
    const options = { keyPrefix: `test-${++tests}:`, idleProjectTtlMs: 1_000, checkIntervalMs: 60_000 }
    const one = hubs.add(name, server, options, { retention: { ageMs: 1_000 } })
    await one.hub.project('p').emit('a:b', 1)
    expect(await outside.pttl(`${options.keyPrefix}{events.p}:head`)).toBeGreaterThan(300_000)
  })

  it('[D3] whom an event is for counts among the bytes that are kept: lists of thousands do not fill Redis', async () => {
    const keyPrefix = `test-${++tests}:`
    const one = hubs.add(name, server, { keyPrefix }, { retention: { bytes: 200_000 } })
    const audience = { users: upTo(1_000).map((n) => `somebody with a long name, number ${n}`) }
    const first = await one.hub.project('p').emit('a:b', 0, { audience })
    for (const n of upTo(30)) await one.hub.project('p').emit('a:b', n, { audience })
    expect(await outside.xlen(`${keyPrefix}{events.p}:log`)).toBeLessThan(10)
    // Another, which has told none of it.
    expect((await stream(hubs.add(name, server, { keyPrefix }), 'p', first)).resyncs).toEqual(['expired'])
  })

  it('[B1] the connection is cut in the middle, again and again: what was accepted is told once and in order, what was rejected at most once', async () => {
    const [one, two] = pair()
    const clients = [await stream(one, 'p'), await stream(two, 'p')]
    await publishWhileCut(one, clients, 200, () => outside.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes'))
  })

  it('[B1] Redis hangs under a burst: everyone is answered in time, and nothing that was never sent happens later', async () => {
    const [one, two] = pair()
    const client = await stream(two, 'p')
    await server.stop()
    const since = performance.now()
    const publishing = upTo(2_000).map((n) => {
      // Whoever publishes takes its time: the first of them have the less of theirs left when they are sent.
      if (n === 1_000) while (performance.now() < since + 1_000);
      return one.hub.project('p').emit('a:b', n)
    })
    const all = await Promise.allSettled(publishing)
    expect(all.every((each) => each.status === 'rejected' && each.reason.code === 'UNAVAILABLE')).toBe(true)
    // Not one time-out after the other, for each batch.
    expect(performance.now() - since).toBeLessThan(15_000)
    await server.restart()
    await Promise.all([ready(one), ready(two)])
    await one.hub.project('p').emit('a:b', 'sentinel')
    await eventually(() => expect(told(client).at(-1)).toBe('sentinel'))
    // Two batches were on their way; and what was is told in its order.
    const late = told(client).slice(0, -1) as number[]
    expect(late).toEqual(upTo(late.length))
    expect(late.length).toBeLessThanOrEqual(500)
  })
})
