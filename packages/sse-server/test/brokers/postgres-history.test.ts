import { PostgresAdapter } from '@entitycast/sse-server/postgres'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { degraded, emit, eventually, ready, stream, told, upTo } from '../support/broker-hub'
import { HAS_POSTGRES, PostgresServer } from '../support/postgres'
import { fill, Page, PostgresHubs, transaction } from '../support/postgres-hub'
import { Wires } from '../support/wires'

/*
 * A database with another past: truncated, restored, taken back, failed over. What was seen and is no more must never be passed off as what is there.
 */

const hubs = new PostgresHubs()

describe.runIf(HAS_POSTGRES)('a PostgreSQL with another past', () => {
  let server: PostgresServer
  beforeAll(async () => {
    server = await PostgresServer.start()
  })
  afterAll(() => server?.end())
  beforeEach(() => hubs.migrate(server))
  afterEach(() => hubs.end())

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
    expect((await Page.open(two, 'p', cursor)).resyncs).toEqual(['epoch'])
  })

  it('[B4] TRUNCATE, while a publish waits for it: that one is of the new log, and stays', async () => {
    const one = hubs.add(server, { timeoutMs: 60_000 })
    const page = await Page.open(one, 'p')
    await fill(one, 1, 2)
    await page.until(({ told }) => expect(told).toEqual([1, 2]))
    const publishing = await transaction(hubs.pool(server), 'COMMIT', async (own) => {
      await own.query(`TRUNCATE ${hubs.prefix}project, ${hubs.prefix}log`)
      const waiting = emit(one, 3)
      await eventually(async () =>
        expect(
          await server.ask(`SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%append%'`),
        ).toHaveLength(1),
      )
      return { waiting }
    })
    const cursor = await publishing.waiting
    await emit(one, 4)
    const back = await Page.open(hubs.add(server), 'p', cursor)
    await back.until(({ told }) => expect(told).toEqual([4]))
    expect(back.resyncs).toEqual([])
    await page.until(({ resyncs }) => expect(resyncs).toEqual(['epoch']))
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
    expect((await Page.open(two, 'p', first)).resyncs).toEqual(['expired'])
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
    await eventually(() => expect(told(client)).toEqual(upTo(10)))
    const cursor = client.lastEventId
    await one.hub.close()
    await server.ask(
      `TRUNCATE ${tables.join()}; ${tables.map((name) => `INSERT INTO ${name} SELECT * FROM ${name}_dump`).join('; ')}`,
    )
    const two = hubs.add(server)
    for (let n = 0; n < 10; n++) await emit(two, `other ${n}`)
    expect((await Page.open(two, 'p', cursor)).resyncs).toEqual(['epoch'])
  })

  it('[B4] a deployment that changes `durable`, one instance after the other: at most one resync for each page, and not one for each event', async () => {
    const [before, after] = [hubs.add(server), hubs.add(server, { durable: true })]
    const pages = [await Page.open(before, 'p'), await Page.open(after, 'p')]
    for (let n = 1; n <= 5; n++) {
      await emit(n % 2 ? before : after, n)
      for (const page of pages) await page.until(({ told }) => expect(told.at(-1)).toBe(n))
    }
    for (const page of pages) expect(page.resyncs).toEqual([])
    // The other way round there may be one: what the others have begun says nothing of the past.
    await server.ask(
      `UPDATE ${hubs.prefix}project SET history = 'durable/' || split_part(history, '/', 3) WHERE project = 'p'`,
    )
    for (const page of pages) await page.until(({ resyncs }) => expect(resyncs).toEqual(['epoch']))
    for (const n of [6, 7, 8]) {
      await emit(n % 2 ? before : after, n)
      for (const page of pages) await page.until(({ told }) => expect(told.at(-1)).toBe(n))
    }
    for (const page of pages) expect(page.resyncs).toEqual(['epoch'])
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
      expect((await Page.open(two, 'p', cursor)).resyncs).toEqual(['epoch'])
    })

    it('[B4] and others have used the lost offsets again, and more: the fork is seen, nothing of it is told as if it went on', async () => {
      const one = add()
      const page = await Page.open(one, 'p')
      await fill(one, 1, 5)
      await save()
      await fill(one, 6, 10)
      await page.until(({ told }) => expect(told).toEqual(upTo(10)))
      const other = add()
      await ready(other)
      await rewind()
      // As fast as can be: no round in between.
      await Promise.all(Array.from({ length: 20 }, (_, n) => emit(other, `fork ${n}`)))
      await page.until(({ resyncs }) => expect(resyncs).toEqual(['epoch']))
      await emit(other, 'sentinel')
      await page.until(({ told }) => expect(told.at(-1)).toBe('sentinel'))
      expect(page.before).toEqual(upTo(10))
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
    await page.until(({ told }) => expect(told).toEqual(upTo(10)))
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
    expect((await Page.open(two, 'p', cursor)).resyncs).toEqual(['epoch'])
    expect(page.resyncs).toEqual(['epoch'])
    for (let n = 0; n < 3; n++) await emit(two, `other ${n}`, 'unseen')
    expect((await Page.open(two, 'unseen', unseen)).resyncs).toEqual(['epoch'])
    await hubs.end()
    proxy.end()
    await Promise.all([primary.end(), standby.end()])
  })

  it('[B1] the tables are dropped and made again: calls say which migration is missing, and then everything goes on with a new epoch', async () => {
    const one = hubs.add(server)
    const page = await Page.open(one, 'p')
    await emit(one, 1)
    await page.until(({ told }) => expect(told).toEqual([1]))
    const tables = ['project', 'outbox', 'log', 'migration'].map((name) => hubs.prefix + name)
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
})
