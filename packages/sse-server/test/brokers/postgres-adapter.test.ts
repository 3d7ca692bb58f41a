import { HubError } from '@entitycast/sse-server'
import { PostgresAdapter, type PostgresAdapterOptions } from '@entitycast/sse-server/postgres'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { degraded, emit, eventually, ready, stream, told, upTo } from '../support/broker-hub'
import { HAS_POSTGRES, PostgresServer } from '../support/postgres'
import { PostgresHubs, transaction } from '../support/postgres-hub'
import { SlammingServer } from '../support/slamming-server'
import { open } from '../support/stream'

const hubs = new PostgresHubs()
const record = (data: string) => ({ type: 'a:b', data, channel: 'default' })

describe.runIf(HAS_POSTGRES)('the PostgreSQL adapter', () => {
  let server: PostgresServer
  beforeAll(async () => {
    server = await PostgresServer.start()
  })
  afterAll(() => server?.end())
  beforeEach(() => hubs.migrate(server))
  afterEach(() => hubs.end())

  const make = (options: Partial<PostgresAdapterOptions> = {}) =>
    new PostgresAdapter({ pool: hubs.pool(server), prefix: hubs.prefix, pollIntervalMs: 250, ...options })

  it('[B1] two connections of its own, however many projects there are, and none of the pool; after close there is none', async () => {
    const pool = hubs.pool(server, { application_name: 'ours', max: 1 })
    const count = async () =>
      (await server.ask("SELECT count(*)::integer AS count FROM pg_stat_activity WHERE application_name = 'ours'"))[0]
        ?.count
    // Every client of the pool is in use, for ever.
    const taken = await pool.connect()
    const one = hubs.add(server, { pool })
    for (let n = 0; n < 40; n++) await stream(one, `p${n}`)
    await emit(one, 1, 'p7')
    expect(await count()).toBe(3)
    await one.hub.close()
    await eventually(async () => expect(await count()).toBe(1))
    taken.release()
  })

  it('[B1] is ready for the first publish as soon as it is made, and before', async () => {
    const one = hubs.add(server)
    expect(one.hub.status()).toBe('degraded')
    await emit(one, 1)
    await ready(one)
  })

  it('[B1] several instances run the migration as they start: whoever is second waits, and finds it done', async () => {
    const text = PostgresAdapter.sql({ prefix: 'at_once_' })
    await transaction(hubs.pool(server), 'COMMIT', async (first) => {
      await first.query(text)
      const second = server.ask(text)
      second.catch(() => {})
      await eventually(async () =>
        expect(
          await server.ask(`SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%at_once_%'`),
        ).toHaveLength(1),
      )
      await first.query('COMMIT')
      await second
    })
  })

  it('[B1] nothing that somebody puts into the search path is run with our rights', async () => {
    // Fits better than PostgreSQL's own, which takes anything: whoever may create in `public` would have us run this.
    await server.ask(`CREATE FUNCTION theirs(text, bigint) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE 'run'; END $$;
      CREATE OPERATOR public.|| (LEFTARG = text, RIGHTARG = bigint, FUNCTION = theirs)`)
    try {
      const [one, two] = [hubs.add(server), hubs.add(server)]
      const client = await stream(two, 'p')
      await emit(one, 1)
      await transaction(hubs.pool(server), 'COMMIT', (own) => one.hub.project('p').emit('a:b', 2, { client: own }))
      await eventually(() => expect(told(client)).toEqual([1, 2]))
    } finally {
      await server.ask('DROP OPERATOR public.|| (text, bigint); DROP FUNCTION theirs')
    }
  })

  it('[D7] an event in the transaction of another database is refused, also where that has the tables: nobody would look for it there', async () => {
    await server.ask('CREATE DATABASE other TEMPLATE template0')
    const pool = hubs.pool(server, { database: 'other' })
    await pool.query(PostgresAdapter.sql({ prefix: hubs.prefix }))
    const { hub } = hubs.add(server)
    await hub.project('p').emit('a:b', 1)
    await transaction(pool, 'ROLLBACK', (client) =>
      expect(hub.project('p').emit('a:b', 'lost', { client })).rejects.toMatchObject({
        code: 'INVALID_OPTION',
        message: expect.stringContaining('of the database other, and the adapter of postgres'),
      }),
    )
  })

  it('[B2] without any notification the log is asked in time: the polling floor', async () => {
    const Deaf = class extends pg.Client {
      override emit(event: string, ...args: never[]): boolean {
        const { channel = '' } = ((args as unknown[])[0] ?? {}) as { channel?: string }
        return event === 'notification' && channel.startsWith('public.') ? true : super.emit(event, ...args)
      }
    }
    const deaf = hubs.add(server, { pool: hubs.pool(server, { Client: Deaf as never }) })
    const other = hubs.add(server)
    const client = await stream(deaf, 'p')
    for (const n of upTo(5)) {
      await emit(other, n)
      await eventually(() => expect(told(client)).toEqual(upTo(n)))
    }
    // Counted at the end of a round, which may be asking for other logs still.
    await eventually(() => expect(deaf.adapter.oddities.repaired).toBeGreaterThanOrEqual(5))
    expect(client.resyncs).toEqual([])
  })

  it('[B2] the queue of notifications is full because somebody does not read it: publishing goes on, told by polling', async () => {
    const refusedAt: number[] = []
    const Full = class extends pg.Client {
      override query(...args: unknown[]): never {
        const [{ name, values = [] } = {}] = args as [{ name?: string; values?: unknown[] }?]
        if (name === 'entitycast_append' && values[6] !== null) {
          refusedAt.push(performance.now())
          return Promise.reject(Object.assign(new Error('too many notifications'), { code: '54000' })) as never
        }
        return (super.query as (...all: unknown[]) => never)(...args)
      }
    }
    const one = hubs.add(server, { pool: hubs.pool(server, { Client: Full as never }) })
    const client = await stream(hubs.add(server), 'p')
    for (const n of upTo(5)) await emit(one, n)
    await eventually(() => expect(told(client)).toEqual(upTo(5)))
    // Once, and for 10 s it does not try; on a machine that has stood still for so long, once more.
    expect(refusedAt.length).toBeGreaterThan(0)
    refusedAt.slice(1).forEach((at, i) => {
      expect(at - (refusedAt[i] as number)).toBeGreaterThanOrEqual(10_000)
    })
  })

  it('[D1] publishes that wait while a statement is under way share the next: few commits, in the order of the calls', async () => {
    let statements = 0
    const Counting = class extends pg.Client {
      override query(...args: unknown[]): never {
        if ((args[0] as { name?: string }).name === 'entitycast_append') statements++
        return (super.query as (...all: unknown[]) => never)(...args)
      }
    }
    const one = hubs.add(server, { pool: hubs.pool(server, { Client: Counting as never }) })
    const clients = new Map<string, Awaited<ReturnType<typeof stream>>>()
    for (const id of ['p', 'q', 'r']) clients.set(id, await stream(one, id))
    const before = statements
    await Promise.all(upTo(900).map((n) => emit(one, n, ['p', 'q', 'r'][n % 3])))
    expect(statements - before).toBeLessThanOrEqual(4)
    for (const [i, client] of [...clients.values()].entries()) {
      await eventually(() => expect(told(client)).toEqual(upTo(900).filter((n) => n % 3 === i)))
    }
  })

  it('[D1] several instances append to the same projects at once, in any order: nobody waits for ever, and nothing is refused', async () => {
    const all = upTo(3).map(() => hubs.add(server))
    const ids = upTo(12).map((n) => `p${n}`)
    await Promise.all(upTo(600).map((n) => emit(all[n % 3]!, n, ids[(n * 7 + (n % 3) * 5) % 12])))
    const rows = await server.ask(`SELECT sum(head)::integer AS sum FROM ${hubs.prefix}project WHERE project LIKE 'p%'`)
    expect(rows).toEqual([{ sum: 600 }])
  })

  it('[P7] at most so many appends wait: the next is refused at once, and those that waited are accepted', async () => {
    const adapter = make({ maxPendingAppends: 5, timeoutMs: 10_000 })
    adapter.start({ ageMs: 60_000, events: 100, bytes: 100_000 })
    await adapter.append('p', [record('0')])
    await server.stop()
    const waiting = upTo(5).map((n) => adapter.append('p', [record(String(n))]))
    const refused = await adapter.append('p', [record('too much')]).catch((error) => error)
    expect(refused).toMatchObject({ code: 'UNAVAILABLE' })
    expect(refused.message).toContain('maxPendingAppends')
    await server.restart()
    expect((await Promise.all(waiting)).map(({ offset }) => offset)).toEqual([2, 3, 4, 5, 6])
    await adapter.append('p', [record('6')])
    await adapter.close()
  })

  it('[D8] what a hub tells the others goes the same way: revoke ends the streams of all, presence knows of all, clusterStats asks all', async () => {
    const all = upTo(3).map(() => hubs.add(server, {}, { presence: true }))
    const streams = await Promise.all(all.map(({ hub }, n) => open(hub, { projectId: 'p', userId: `u${n % 2}` })))
    await eventually(async () => {
      const users = await all[0]!.hub.presence('p')
      expect(users.map(({ userId }) => userId).sort()).toEqual(['u0', 'u1'])
      const { missing, totals } = await all[1]!.hub.clusterStats()
      expect([missing, totals.connections]).toEqual([[], 3])
    })
    await all[1]!.hub.revoke({ userId: 'u0' })
    await eventually(() => expect(streams.map(({ closing }) => closing)).toEqual(['revoked', undefined, 'revoked']))
  })

  it('[B3] garbage is counted', async () => {
    const one = hubs.add(server)
    const client = await stream(one, 'p')
    for (const text of ['', 'x', '0123456789abcdef', '0123456789abcdef 01', '0123456789abcdef 1 1']) {
      await server.ask('SELECT pg_notify($1, $2)', [`public.${hubs.prefix}`, text])
    }
    await emit(one, 1)
    await eventually(() => expect(told(client)).toEqual([1]))
    await eventually(() => expect(one.adapter.oddities).toMatchObject({ garbage: 5, doubts: 0 }))
  })

  it('[B3] the same project behind another prefix, schema or database is another project', async () => {
    const others = [
      { schema: 'public', prefix: `other_${hubs.prefix}` },
      { schema: 'apart', prefix: hubs.prefix },
    ]
    await server.ask('CREATE SCHEMA apart')
    for (const names of others) await server.ask(PostgresAdapter.sql(names))
    // So long that nothing is found before its notification has come. A hub would write into a log of its own, and look at the start.
    const adapters: PostgresAdapter[] = []
    const add = async (names: Partial<PostgresAdapterOptions>) => {
      const adapter = make({ pollIntervalMs: 600_000, ...names })
      adapters.push(adapter)
      adapter.start({ ageMs: 60_000, events: 100, bytes: 100_000 })
      await adapter.ready()
      return adapter
    }
    try {
      const all = await Promise.all(
        [{}, ...others].map(async (names) => {
          const heard: string[] = []
          const reader = await add(names)
          await reader.open('p', {
            entries: (entries) => heard.push(...entries.map((each) => each.record.data)),
            doubt() {},
          })
          return { heard, reader, writer: await add(names) }
        }),
      )
      for (const [n, { writer }] of all.entries()) {
        expect(await writer.append('p', [record(String(n))])).toMatchObject({ offset: 1 })
      }
      for (const [n, { heard }] of all.entries()) await eventually(() => expect(heard).toEqual([String(n)]))
      for (const { reader } of all) expect(reader.oddities).toEqual({ garbage: 0, repaired: 0, doubts: 0 })
    } finally {
      await Promise.all(adapters.map((adapter) => adapter.close()))
    }
  })

  it("[D4] the application's own parsers and settings of its role do not reach us", async () => {
    const types = { getTypeParser: () => () => 'spoilt' }
    await server.ask(`CREATE ROLE strange LOGIN SUPERUSER;
      ALTER ROLE strange SET default_transaction_isolation = 'serializable'; ALTER ROLE strange SET search_path = nowhere;
      ALTER ROLE strange SET statement_timeout = 1; ALTER ROLE strange SET client_encoding = 'LATIN1'`)
    const pool = hubs.pool(server, { user: 'strange', types: types as never, statement_timeout: 1, query_timeout: 1 })
    const [one, two] = [hubs.add(server, { pool }), hubs.add(server, { pool })]
    const client = await stream(two, 'p')
    // One after the other at each, so that the two meet in the same row.
    const publishing = [one, two].map(async (each, i) => {
      for (const n of upTo(100)) await emit(each, `☃ ${i} ${n}`)
    })
    await Promise.all(publishing)
    await eventually(() => expect(told(client)).toHaveLength(200))
    expect(new Set(told(client)).size).toBe(200)
  })

  it('[D7] close does what it was asked before', async () => {
    const adapter = make()
    adapter.start({ ageMs: 60_000, events: 100, bytes: 100_000 })
    await adapter.append('p', [record('1')])
    const sent = [adapter.append('p', [record('2')]), adapter.append('p', [record('3')])]
    const ended = adapter.close()
    await expect(adapter.append('p', [record('4')])).rejects.toMatchObject({ code: 'CLOSED' })
    expect((await Promise.all(sent)).map(({ offset }) => offset)).toEqual([2, 3])
    await ended
    await adapter.close()
  })

  it('[B1] a migration that is missing is named, with what to run; when it has run everything is served', async () => {
    hubs.prefix = 'missing_'
    const one = hubs.add(server)
    for (const call of [() => one.adapter.ready(), () => emit(one, 1)]) {
      const error = await call().then(
        () => undefined,
        (thrown: HubError) => thrown,
      )
      expect(error).toMatchObject({
        code: 'MIGRATION_MISSING',
        message: expect.stringMatching(/Migration 1 .* PostgresAdapter\.sql/),
      })
    }
    const refused = await stream(one, 'p')
    expect([refused.status, refused.code]).toEqual([503, 'MIGRATION_MISSING'])
    // All instances of a deployment at once, and once more.
    const run = () => server.ask(PostgresAdapter.sql({ prefix: 'missing_' }))
    await run()
    await run()
    await ready(one)
    await emit(one, 2)
  })

  it('[B1] a database that cannot hold every character is refused with a code', async () => {
    await server.ask("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    const one = hubs.add(server, { pool: hubs.pool(server, { database: 'latin' }) })
    await expect(one.adapter.ready()).rejects.toMatchObject({
      code: 'UNSUPPORTED',
      message: expect.stringContaining('LATIN1'),
    })
  })

  it('[B1] no credentials in an error, whatever PostgreSQL says of them', async () => {
    await server.ask("CREATE ROLE guarded LOGIN PASSWORD 'right-secret'")
    const pool = hubs.pool(server, { user: 'guarded', password: 'wrong-secret' })
    const lines: unknown[] = []
    const logger = {
      warn: (...line: unknown[]) => void lines.push(line),
      error: (...line: unknown[]) => void lines.push(line),
    }
    const one = hubs.add(server, { pool }, { logger })
    const publishing = emit(one, 'some payload').catch((thrown) => thrown)
    const [error, refused] = await Promise.all([publishing, stream(one, 'p')])
    expect(error).toBeInstanceOf(HubError)
    expect(error).toMatchObject({ code: 'UNAVAILABLE' })
    expect(error.message).toContain('28P01')
    const everything = [
      error.stack,
      JSON.stringify(error),
      JSON.stringify(error.cause) ?? '',
      refused.body,
      JSON.stringify(lines),
    ]
    for (const text of everything) expect(text).not.toMatch(/secret|guarded|payload/)
    // The right one, from a pool that hides it and asks for it anew each time.
    const right = hubs.pool(server, { user: 'postgres', password: async () => 'right-secret' })
    await emit(hubs.add(server, { pool: right }), 1)
  })

  it('[B1] a server that accepts and drops us at once is not dialled without end, nor in step', async () => {
    const trap = await SlammingServer.start()
    const { port, times } = trap
    const one = hubs.add(server, { pool: hubs.pool(server, { port }) })
    const start = performance.now()
    await expect(emit(one, 1)).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    const seconds = (performance.now() - start) / 1_000
    // Two connections, each at 100, 200, 400 … ms and less: some attempts in the first second, few afterwards.
    expect(times.length).toBeGreaterThanOrEqual(4)
    expect(times.length).toBeLessThan(30 * Math.max(1, seconds))
    await degraded(one)
    await hubs.end()
    trap.end()
  })

  it('[P7] a bad option throws at construction and names the fix', () => {
    const pool = hubs.pool(server)
    for (const [options, said] of [
      [{ schema: 'Public' }, 'schema'],
      [{ prefix: 'a"b' }, 'prefix'],
      [{ prefix: '' }, 'prefix'],
      [{ keyPrefix: 'a' }, 'prefix'],
      [{ timeoutMs: 0 }, 'timeoutMs'],
      [{ pollIntervalMs: '5' }, 'pollIntervalMs'],
      [{ maxPendingAppends: 1.5 }, 'maxPendingAppends'],
      [{ idleProjectTtlMs: Number.NaN }, 'idleProjectTtlMs'],
      [{ durable: 'yes' }, 'durable'],
    ] as const) {
      expect(() => new PostgresAdapter({ pool, ...options } as never)).toThrow(said)
    }
    for (const none of [undefined, null, {}, 'postgres://localhost', { options: {}, connect() {} }]) {
      expect(() => new PostgresAdapter({ pool: none as never })).toThrow('new Pool()')
    }
    expect(() => PostgresAdapter.sql({ schema: 'a; DROP TABLE b' })).toThrow('schema')
  })

  it('[D7] an adapter belongs to one hub', async () => {
    const adapter = make()
    const retention = { ageMs: 1_000, events: 10, bytes: 10_000 }
    adapter.start(retention)
    expect(() => adapter.start(retention)).toThrow('one hub')
    await adapter.close()
    await expect(make().append('p', [])).rejects.toMatchObject({ code: 'INVALID_OPTION' })
    await expect(make().ready()).rejects.toMatchObject({ code: 'INVALID_OPTION' })
  })
})
