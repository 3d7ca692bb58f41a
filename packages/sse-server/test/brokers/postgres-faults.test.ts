import { createServer, connect as dial, type Server, type Socket } from 'node:net'
import { PostgresAdapter } from '@entitycast/sse-server/postgres'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { HAS_PGBOUNCER, HAS_POSTGRES, Pooler, PostgresServer } from '../support/postgres'
import {
  degraded,
  eventually,
  Page,
  type PostgresHub,
  PostgresHubs,
  ready,
  stream,
  told,
  transaction,
} from '../support/postgres-hub'

/*
 * What clients see of a PostgreSQL that is harmed: real hubs, a real server, real time.
 */

const hubs = new PostgresHubs()
const emit = ({ hub }: PostgresHub, data: unknown, projectId = 'p') => hub.project(projectId).emit('a:b', data)
const fill = async (hub: PostgresHub, from: number, to: number) => {
  for (let n = from; n <= to; n++) await emit(hub, n)
}
const from1 = (last: number) => Array.from({ length: last }, (_, n) => n + 1)

describe.runIf(HAS_POSTGRES)('hubs on a PostgreSQL that is harmed', () => {
  let server: PostgresServer
  beforeAll(async () => {
    server = await PostgresServer.start()
  })
  afterAll(() => server?.end())
  beforeEach(() => hubs.migrate(server))
  afterEach(async () => {
    await hubs.end()
    await server.restart()
  })

  it('[B1] it is down at the start: the hub is degraded, refuses streams with 503, and serves when it is there', async () => {
    await server.kill()
    const one = hubs.add(server, { timeoutMs: 500 })
    expect(one.hub.status()).toBe('degraded')
    await expect(one.adapter.ready()).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    const refused = await stream(one, 'p')
    expect([refused.status, refused.code]).toEqual([503, 'UNAVAILABLE'])
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0)
    await expect(emit(one, 1)).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    await server.restart()
    await ready(one)
    await one.adapter.ready()
    const served = await stream(one, 'p')
    await emit(one, 2)
    await eventually(() => expect(told(served)).toEqual([2]))
    expect(served.resyncs).toEqual([])
  })

  it('[B1] it stands still and goes on: streams stay open, degraded is seen, and nobody misses anything or is told to resync', async () => {
    const [one, two] = [hubs.add(server), hubs.add(server)]
    const streams = [await stream(one, 'p'), await stream(two, 'p')]
    await emit(one, 'before')
    for (const each of streams) await eventually(() => expect(told(each)).toEqual(['before']))
    await server.stop()
    await expect(emit(one, 'may come late')).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    await Promise.all([degraded(one), degraded(two)])
    for (const each of streams) expect(each.closed).toBe(false)
    await server.restart()
    await Promise.all([ready(one), ready(two)])
    await emit(two, 'after')
    for (const each of streams) await eventually(() => expect(told(each).at(-1)).toBe('after'))
    expect(told(streams[0]!)).toEqual(told(streams[1]!))
    for (const each of streams) expect([each.closed, each.resyncs]).toEqual([false, []])
  })

  it('[B1] killed with -9: what was accepted is there, streams resume, and nobody is told to resync', async () => {
    const [one, two] = [hubs.add(server), hubs.add(server)]
    const streams = [await stream(one, 'p'), await stream(two, 'p')]
    const cursor = await emit(one, 1)
    await fill(one, 2, 20)
    for (const each of streams) await eventually(() => expect(told(each)).toEqual(from1(20)))
    await server.kill()
    await Promise.all([degraded(one), degraded(two)])
    await server.restart()
    await Promise.all([ready(one), ready(two)])
    await emit(two, 21)
    for (const each of streams) await eventually(() => expect(told(each)).toEqual(from1(21)))
    const back = await stream(two, 'p', cursor)
    await eventually(() => expect(told(back)).toEqual(from1(21).slice(1)))
    for (const each of [...streams, back]) expect(each.resyncs).toEqual([])
  })

  it('[B1] the role commits without waiting for the disk, and still what was accepted survives a kill', async () => {
    await server.ask('ALTER ROLE postgres SET synchronous_commit = off')
    const one = hubs.add(server)
    const client = await stream(one, 'p')
    await fill(one, 1, 20)
    await server.kill()
    await degraded(one)
    await server.restart()
    await ready(one)
    await fill(one, 21, 22)
    await eventually(() => expect(told(client)).toEqual(from1(22)))
    expect(client.resyncs).toEqual([])
    await server.ask('ALTER ROLE postgres RESET synchronous_commit')
  })

  it('[B1] the connections are cut and cut again while others publish: everything is told, in order, without a resync', async () => {
    const cut = () =>
      server.ask('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1', ['cut me'])
    const one = hubs.add(server, { pool: hubs.pool(server, { application_name: 'cut me' }) })
    const two = hubs.add(server)
    const client = await stream(one, 'p')
    for (let n = 1; n <= 60; n++) {
      if (n % 20 === 10) await cut()
      await emit(two, n)
    }
    await eventually(() => expect(told(client)).toEqual(from1(60)))
    expect(client.resyncs).toEqual([])
  })

  it('[B1] the network swallows everything and closes nothing: degraded within the timeouts, then repaired without a resync', async () => {
    const proxy = await Wires.start(server.port)
    const one = hubs.add(server, { pool: hubs.pool(server, { port: proxy.port }), timeoutMs: 1_000 })
    const two = hubs.add(server)
    const client = await stream(one, 'p')
    await emit(two, 1)
    await eventually(() => expect(told(client)).toEqual([1]))
    proxy.swallow(true)
    await fill(two, 2, 10)
    await expect(emit(one, 'swallowed')).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    await degraded(one)
    expect(told(client)).toEqual([1])
    proxy.swallow(false)
    await ready(one)
    await eventually(() => expect(told(client)).toEqual(from1(10)))
    expect(client.resyncs).toEqual([])
    await hubs.end()
    proxy.end()
  })

  it('[B4] TRUNCATE: one resync for each page, in quiet projects too', async () => {
    const [one, two] = [hubs.add(server), hubs.add(server)]
    const pages = [await Page.open(one, 'p'), await Page.open(two, 'p'), await Page.open(two, 'quiet')]
    const cursor = await emit(one, 1)
    await emit(one, 1, 'quiet')
    for (const page of pages) await page.until(({ told }) => expect(told).toEqual([1]))
    await server.ask(`TRUNCATE ${hubs.prefix}project, ${hubs.prefix}log`)
    for (const page of pages) await page.until(({ resyncs }) => expect(resyncs).toEqual(['epoch']))
    for (const project of ['p', 'quiet']) await emit(two, 2, project)
    for (const page of pages) await page.until(({ told }) => expect(told).toEqual([1, 2]))
    for (const page of pages) expect(page.resyncs).toEqual(['epoch'])
    expect((await stream(two, 'p', cursor)).resyncs).toEqual(['epoch'])
  })

  it('[B4] only the records are gone, or only the heads: never a partial replay', async () => {
    const one = hubs.add(server)
    const page = await Page.open(one, 'p')
    const first = await emit(one, 1)
    await emit(one, 2)
    await page.until(({ told }) => expect(told).toEqual([1, 2]))
    await server.ask(`DELETE FROM ${hubs.prefix}log WHERE project = 'p'`)
    await emit(one, 3)
    await page.until(({ told }) => expect(told).toEqual([1, 2, 3]))
    // The process that has told them has them still; another has not.
    const two = hubs.add(server)
    expect((await stream(two, 'p', first)).resyncs).toEqual(['expired'])
    expect(page.resyncs).toEqual([])
    await server.ask(`DELETE FROM ${hubs.prefix}project WHERE project = 'p'`)
    await page.until(({ resyncs }) => expect(resyncs).toEqual(['epoch']))
    await emit(two, 4)
    await page.until(({ told }) => expect(told).toEqual([1, 2, 3, 4]))
    // And what lies where new records are to go.
    await fill(one, 5, 6)
    await server.ask(`UPDATE ${hubs.prefix}log SET "offset" = "offset" + 1 WHERE project = 'p' AND "offset" = 3`)
    await emit(two, 7)
    await page.until(({ resyncs }) => expect(resyncs).toHaveLength(2))
    await emit(one, 8)
    await page.until(({ told }) => expect(told.at(-1)).toBe(8))
  })

  it('[B4] the tables are restored from a dump: the cursors that lie beyond it are of another log', async () => {
    const one = hubs.add(server)
    const client = await stream(one, 'p')
    await fill(one, 1, 5)
    const tables = ['project', 'log'].map((name) => hubs.prefix + name)
    for (const name of tables) await server.ask(`CREATE TABLE ${name}_dump AS SELECT * FROM ${name}`)
    await fill(one, 6, 10)
    await eventually(() => expect(told(client)).toEqual(from1(10)))
    const cursor = client.lastEventId
    await one.hub.close()
    await server.ask(
      `TRUNCATE ${tables.join()}; ${tables.map((name) => `INSERT INTO ${name} SELECT * FROM ${name}_dump`).join('; ')}`,
    )
    const two = hubs.add(server)
    for (let n = 0; n < 10; n++) await emit(two, `other ${n}`)
    expect((await stream(two, 'p', cursor)).resyncs).toEqual(['epoch'])
  })

  describe('rows are taken back under a hub that runs', () => {
    const tables = () => ['project', 'log'].map((name) => hubs.prefix + name)
    const save = async () => {
      for (const name of tables()) await server.ask(`CREATE TABLE ${name}_saved AS SELECT * FROM ${name}`)
    }
    /** Row by row, so that nothing but what was seen can tell. */
    const rewind = () =>
      server.ask(
        `BEGIN; ${tables()
          .map((name) => `DELETE FROM ${name}; INSERT INTO ${name} SELECT * FROM ${name}_saved`)
          .join('; ')}; COMMIT`,
      )
    const add = () => hubs.add(server, { durable: true })

    it('[B4] the head is lower than what was seen: a new epoch for all, and one resync', async () => {
      const [one, two] = [add(), add()]
      const pages = [await Page.open(one, 'p'), await Page.open(two, 'p')]
      await fill(one, 1, 5)
      await save()
      await fill(one, 6, 10)
      for (const page of pages) await page.until(({ told }) => expect(told).toHaveLength(10))
      const { cursor } = pages[0]!
      await rewind()
      for (const page of pages) await page.until(({ resyncs }) => expect(resyncs).toEqual(['epoch']))
      await fill(two, 11, 12)
      for (const page of pages) await page.until(({ told }) => expect(told.slice(10)).toEqual([11, 12]))
      for (const page of pages) expect(page.resyncs).toEqual(['epoch'])
      expect((await stream(two, 'p', cursor)).resyncs).toEqual(['epoch'])
    })

    it('[B4] and others have used the lost offsets again, and more: the fork is seen, nothing of it is told as if it went on', async () => {
      const one = add()
      const page = await Page.open(one, 'p')
      await fill(one, 1, 5)
      await save()
      await fill(one, 6, 10)
      await page.until(({ told }) => expect(told).toEqual(from1(10)))
      const other = add()
      await ready(other)
      await rewind()
      // As fast as can be: no round in between.
      await Promise.all(Array.from({ length: 20 }, (_, n) => emit(other, `fork ${n}`)))
      await page.until(({ resyncs }) => expect(resyncs).toEqual(['epoch']))
      await emit(other, 'sentinel')
      await page.until(({ told }) => expect(told.at(-1)).toBe('sentinel'))
      expect(page.before).toEqual(from1(10))
      expect(page.resyncs).toEqual(['epoch'])
    })
  })

  it('[B4] a standby that lacks the newest commits is promoted: offsets are used twice, and each client is told so once', async () => {
    const primary = await PostgresServer.start({ wal_level: 'replica' })
    await primary.ask(PostgresAdapter.sql({ prefix: hubs.prefix }))
    const standby = await primary.standby()
    const proxy = await Wires.start(primary.port)
    const pool = hubs.pool(primary, { port: proxy.port })
    const [one, two] = [hubs.add(primary, { pool }), hubs.add(primary, { pool })]
    const page = await Page.open(one, 'p')
    await emit(one, 'kept', 'unseen')
    await fill(one, 1, 5)
    await eventually(async () => {
      const [row] = await standby.ask(`SELECT head FROM ${hubs.prefix}project WHERE project = 'p'`)
      expect(row).toEqual({ head: '5' })
    })
    // The standby hangs, and the primary dies with what it had not sent.
    await standby.stop()
    await fill(two, 6, 10)
    await page.until(({ told }) => expect(told).toEqual(from1(10)))
    const { cursor } = page
    // Nobody who lives on will have seen these.
    const unseen = await emit(one, 'lost', 'unseen')
    await primary.kill()
    await standby.restart()
    proxy.target = standby.port
    // Nobody writes to a standby: it is dialled until it is one no more.
    await degraded(one)
    await standby.promote()
    await Promise.all([ready(one), ready(two)])
    await page.until(({ resyncs }) => expect(resyncs).toEqual(['epoch']))
    for (let n = 0; n < 10; n++) await emit(two, `other ${n}`)
    await page.until(({ told }) => expect(told).toHaveLength(20))
    expect((await stream(two, 'p', cursor)).resyncs).toEqual(['epoch'])
    expect(page.resyncs).toEqual(['epoch'])
    for (let n = 0; n < 3; n++) await emit(two, `other ${n}`, 'unseen')
    expect((await stream(two, 'unseen', unseen)).resyncs).toEqual(['epoch'])
    await hubs.end()
    proxy.end()
    await Promise.all([primary.end(), standby.end()])
  })

  it('[B1] the tables are dropped and made again: calls say which migration is missing, and then everything goes on with a new epoch', async () => {
    const one = hubs.add(server)
    const page = await Page.open(one, 'p')
    await emit(one, 1)
    await page.until(({ told }) => expect(told).toEqual([1]))
    const tables = ['migration', 'log', 'outbox', 'project'].map((name) => hubs.prefix + name)
    await server.ask(`DROP TABLE ${tables.join()} CASCADE`)
    await eventually(() => expect(emit(one, 'nowhere')).rejects.toMatchObject({ code: 'MIGRATION_MISSING' }))
    expect(one.hub.status()).toBe('degraded')
    expect(page.resyncs).toEqual([])
    await server.ask(PostgresAdapter.sql({ prefix: hubs.prefix }))
    await ready(one)
    await page.until(({ resyncs }) => expect(resyncs).toEqual(['epoch']))
    await emit(one, 2)
    await page.until(({ told }) => expect(told).toEqual([1, 2]))
  })

  it('[B1] somebody has locked the tables: calls reject in time, nothing is done twice, and all goes on after it', async () => {
    const one = hubs.add(server, { timeoutMs: 1_000 })
    const client = await stream(one, 'p')
    await emit(one, 1)
    await transaction(hubs.pool(server), 'ROLLBACK', async (locking) => {
      await locking.query(`LOCK TABLE ${hubs.prefix}log IN ACCESS EXCLUSIVE MODE`)
      await expect(emit(one, 'locked out')).rejects.toMatchObject({ code: 'UNAVAILABLE', sqlState: '57014' })
    })
    await emit(one, 2)
    await eventually(() => expect(told(client)).toEqual([1, 2]))
    expect(client.resyncs).toEqual([])
  })
})

describe.runIf(HAS_PGBOUNCER)('behind a PgBouncer', () => {
  let server: PostgresServer
  beforeAll(async () => {
    server = await PostgresServer.start()
    await hubs.migrate(server)
  })
  afterAll(() => server?.end())
  afterEach(() => hubs.end())

  it('[B1] that pools transactions: refused with a code and the way out, whatever else goes through it', async () => {
    const pooler = await Pooler.start(server, 'transaction')
    const pool = hubs.pool(server, { port: pooler.port })
    const busy = hubs.pool(server, { port: pooler.port })
    let isOver = false
    const others = Array.from({ length: 4 }, async () => {
      while (!isOver) await busy.query('SELECT pg_sleep(0.002)')
    })
    const quiet = hubs.add(server, { pool })
    const code = { code: 'TRANSACTION_POOLING', message: expect.stringContaining('pool_mode = session') }
    await expect(quiet.adapter.ready()).rejects.toMatchObject(code)
    for (let n = 0; n < 3; n++) {
      const one = hubs.add(server, { pool, timeoutMs: 5_000 })
      await expect(one.adapter.ready()).rejects.toMatchObject(code)
      await expect(emit(one, 1)).rejects.toMatchObject(code)
      expect(one.hub.status()).toBe('degraded')
      const refused = await stream(one, 'p')
      expect([refused.status, refused.code]).toEqual([503, 'TRANSACTION_POOLING'])
    }
    isOver = true
    await Promise.all(others)
    await hubs.end()
    await pooler.end()
  })

  it('[B1] that pools sessions: served', async () => {
    const pooler = await Pooler.start(server, 'session')
    const [one, two] = [hubs.add(server, { pool: hubs.pool(server, { port: pooler.port }) }), hubs.add(server)]
    const client = await stream(one, 'p')
    await emit(two, 1)
    await emit(one, 2)
    await eventually(() => expect(told(client)).toEqual([1, 2]))
    await hubs.end()
    await pooler.end()
  })
})

/** Between a client and a server: it may swallow what both say. */
class Wires {
  readonly #sockets = new Set<Socket>()
  #isSwallowing = false

  private constructor(
    readonly server: Server,
    public target: number,
  ) {}

  static async start(target: number): Promise<Wires> {
    const server = createServer()
    const proxy = new Wires(server, target)
    server.on('connection', (near) => proxy.#join(near))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return proxy
  }

  get port(): number {
    return (this.server.address() as { port: number }).port
  }

  swallow(isSwallowing: boolean): void {
    this.#isSwallowing = isSwallowing
  }

  end(): void {
    for (const socket of this.#sockets) socket.destroy()
    this.server.close()
  }

  #join(near: Socket): void {
    const far = dial(this.target, '127.0.0.1')
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(from)
      from.on('data', (bytes) => this.#isSwallowing || to.write(bytes))
      from.on('error', () => {})
      from.on('close', () => {
        this.#sockets.delete(from)
        to.destroy()
      })
    }
  }
}
