import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Redis } from 'ioredis'
import { createClient } from 'redis'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { eventually, ready, stream, told } from '../support/broker-hub'
import { HAS_REDIS, RedisServer, clients as unguarded, withCommands } from '../support/redis'
import { RedisHubs, ReturningClient } from '../support/redis-hub'

/*
 * The rights that docs/adapters/redis.md says are enough: a user that has exactly those.
 */

const page = fileURLToPath(new URL('../../../../docs/adapters/redis.md', import.meta.url))
const [, rule = ''] = /^ACL SETUSER (.+)$/m.exec(readFileSync(page, 'utf8')) ?? []
const hubs = new RedisHubs()
afterEach(() => hubs.end())

describe.runIf(HAS_REDIS)('a user with the rights that the guide names', () => {
  let server: RedisServer
  let admin: Redis
  beforeAll(async () => {
    server = await RedisServer.start()
    admin = new Redis({ port: server.port, host: '127.0.0.1' })
    await admin.call('ACL', 'SETUSER', ...rule.split(' '))
  })
  afterAll(async () => {
    admin?.disconnect()
    await server?.end()
  })

  const clients = {
    'node-redis': () => createClient({ url: `redis://events:secret@127.0.0.1:${server.port}` }),
    ioredis: () => new Redis(`redis://events:secret@127.0.0.1:${server.port}`, { lazyConnect: true }),
  } as const
  for (const name of Object.keys(clients) as (keyof typeof clients)[]) {
    it(`[B1] they are enough with ${name}, also for what is rare`, async () => {
      const add = () => hubs.add(name, server, {}, {}, clients[name]() as never)
      const [one, two] = [add(), add()]
      await Promise.all([ready(one), ready(two)])
      const client = await ReturningClient.open(one, name)
      const first = await two.hub.project(name).emit('a:b', 1)
      await two.hub.project(name).emit('a:b', 2)
      await eventually(() => expect(told(client)).toEqual([1, 2]))
      const back = await stream(two, name, first)
      await eventually(() => expect(told(back)).toEqual([2]))
      await admin.script('FLUSH')
      await admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
      await two.hub.project(name).emit('a:b', 3)
      await eventually(() => expect(told(client)).toEqual([1, 2, 3]))
      await admin.flushall()
      await eventually(() => expect(client.resyncs).toEqual(['epoch']))
      expect(String(await admin.call('ACL', 'LOG'))).not.toContain('events')
    })
  }

  it('[B1] a user who may not is refused with a reason', async () => {
    await admin.call('ACL', 'SETUSER', 'less', ...rule.split(' ').slice(1), '-info')
    const client = new Redis(`redis://less:secret@127.0.0.1:${server.port}`, {
      lazyConnect: true,
      enableReadyCheck: false,
    })
    const one = hubs.add('ioredis', server, {}, {}, client as never)
    const error = await one.hub
      .project('p')
      .emit('a:b', 1)
      .catch((thrown: Error) => thrown)
    expect(error).toMatchObject({ code: 'UNAVAILABLE' })
    expect((error as Error).message).toContain('NOPERM')
  })

  it('[D4] one that does not say which past it has is refused, unless it is said to lose nothing: its restart could not be seen', async () => {
    // Our scripts, as such a server would run them; none of them is there already.
    const ask = ([name, ...args]: unknown[]) =>
      name === 'EVALSHA'
        ? [name, '0'.repeat(40), ...args.slice(1)]
        : [name, ...args.map((one) => String(one).replaceAll('master_replid', 'no_such_line'))]
    const other = () => {
      const client = new Redis({ port: server.port, host: '127.0.0.1', lazyConnect: true })
      const duplicate = client.duplicate.bind(client)
      client.duplicate = (overrides) => {
        const own = duplicate(overrides)
        const call = own.call.bind(own) as (...args: unknown[]) => Promise<unknown>
        own.call = ((...args: unknown[]) => call(...ask(args))) as typeof own.call
        return own
      }
      return client
    }
    const add = (options: object) => hubs.add('ioredis', server, options, {}, other() as never)
    const publishing = add({ keyPrefix: 'no-past:' }).hub.project('p').emit('a:b', 1)
    await expect(publishing).rejects.toMatchObject({
      code: 'UNSUPPORTED',
      message: expect.stringMatching(/master_replid.*durable: true/),
    })
    await add({ keyPrefix: 'no-past:', durable: true }).hub.project('p').emit('a:b', 1)
  })

  it.each(['ioredis', 'node-redis'] as const)(
    '[B1] through %s such a one is said to be degraded, and no longer once it says so',
    async (name) => {
      let saysWhich = false
      const client = withCommands(unguarded[name](server.port), async (args, send) => {
        if (saysWhich) return send(args)
        if (args[0] === 'INFO') return String(await send(args)).replaceAll('master_replid', 'no_such_line')
        return send(
          args[0] === 'EVALSHA'
            ? args.with(1, '0'.repeat(40))
            : args.map((one) => one.replaceAll('master_replid', 'no_such_line')),
        )
      })
      const { hub, adapter } = hubs.add(name, server, { keyPrefix: `degraded-${name}:` }, {}, client as never)
      // It is refused when the other connection is there.
      await expect(adapter.open('p', { entries() {}, doubt() {} })).rejects.toMatchObject({ code: 'UNSUPPORTED' })
      expect([hub.status(), hub.stats().degraded]).toEqual(['degraded', true])
      await expect(hub.project('p').emit('a:b', 1)).rejects.toMatchObject({ code: 'UNSUPPORTED' })
      saysWhich = true
      await eventually(() => expect(hub.status()).toBe('ok'))
      await hub.project('p').emit('a:b', 1)
    },
  )
})
