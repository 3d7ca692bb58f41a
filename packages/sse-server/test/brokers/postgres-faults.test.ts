import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { degraded, emit, eventually, ready, stream, told, upTo } from '../support/broker-hub'
import { HAS_PGBOUNCER, HAS_POSTGRES, Pooler, PostgresServer } from '../support/postgres'
import { fill, PostgresHubs, transaction } from '../support/postgres-hub'
import { Wires } from '../support/wires'

/*
 * What clients see of a PostgreSQL that is harmed: real hubs, a real server, real time.
 */

const hubs = new PostgresHubs()

describe.runIf(HAS_POSTGRES)('hubs on a PostgreSQL that is harmed', () => {
  let server: PostgresServer
  beforeAll(async () => {
    server = await PostgresServer.start()
  })
  afterAll(() => server?.end())
  beforeEach(() => hubs.migrate(server))
  afterEach(async () => {
    // A pool cannot be ended where nobody answers.
    await server.restart()
    await hubs.end()
  })

  it('[B1] it is down at the start: the hub is degraded, refuses streams with 503, and serves when it is there', async () => {
    await server.kill()
    const one = hubs.add(server)
    expect(one.hub.status()).toBe('degraded')
    const [refused] = await Promise.all([
      stream(one, 'p'),
      expect(one.adapter.ready()).rejects.toMatchObject({ code: 'UNAVAILABLE' }),
      expect(emit(one, 1)).rejects.toMatchObject({ code: 'UNAVAILABLE' }),
    ])
    expect([refused.status, refused.code]).toEqual([503, 'UNAVAILABLE'])
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0)
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
    // What was refused may be in the log, and come even after this: the server has it, and goes on where it stood.
    await eventually(() => {
      for (const each of streams) expect(told(each)).toContain('after')
      expect(told(streams[0]!)).toEqual(told(streams[1]!))
    })
    expect(told(streams[0]!).filter((data) => data !== 'may come late')).toEqual(['before', 'after'])
    for (const each of streams) expect([each.closed, each.resyncs]).toEqual([false, []])
  })

  it('[B1] killed with -9: what was accepted is there, streams resume, and nobody is told to resync', async () => {
    const [one, two] = [hubs.add(server), hubs.add(server)]
    const streams = [await stream(one, 'p'), await stream(two, 'p')]
    const cursor = await emit(one, 1)
    await fill(one, 2, 20)
    for (const each of streams) await eventually(() => expect(told(each)).toEqual(upTo(20)))
    await server.kill()
    await Promise.all([degraded(one), degraded(two)])
    await server.restart()
    await Promise.all([ready(one), ready(two)])
    await emit(two, 21)
    for (const each of streams) await eventually(() => expect(told(each)).toEqual(upTo(21)))
    const back = await stream(two, 'p', cursor)
    await eventually(() => expect(told(back)).toEqual(upTo(21).slice(1)))
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
    await eventually(() => expect(told(client)).toEqual(upTo(22)))
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
    await eventually(() => expect(told(client)).toEqual(upTo(60)))
    expect(client.resyncs).toEqual([])
  })

  it('[B1] the network swallows everything and closes nothing: degraded within the timeouts, then repaired without a resync', async () => {
    const proxy = await Wires.start(server.port)
    const one = hubs.add(server, { pool: hubs.pool(server, { port: proxy.port }) })
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
    await eventually(() => expect(told(client)).toEqual(upTo(10)))
    expect(client.resyncs).toEqual([])
    await hubs.end()
    proxy.end()
  })

  it('[B1] somebody has locked the tables: calls reject in time, nothing is done twice, and all goes on after it', async () => {
    const one = hubs.add(server)
    const client = await stream(one, 'p')
    await emit(one, 1)
    await transaction(hubs.pool(server), 'ROLLBACK', async (locking) => {
      await locking.query(`LOCK TABLE ${hubs.prefix}log IN ACCESS EXCLUSIVE MODE`)
      // The server says so first, unless it was busy: then our own time was over before.
      const refused = { code: 'UNAVAILABLE', sqlState: '57014' }
      await eventually(() => expect(emit(one, 'locked out')).rejects.toMatchObject(refused))
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
      const one = hubs.add(server, { pool })
      await expect(one.adapter.ready()).rejects.toMatchObject(code)
      await expect(emit(one, 1)).rejects.toMatchObject(code)
      expect(one.hub.status()).toBe('degraded')
      const refused = await stream(one, 'p')
      expect([refused.status, refused.code]).toEqual([503, 'TRANSACTION_POOLING'])
    }
    isOver = true
    await Promise.all(others)
    // All sessions of the proxy, at the same time: none was left as ours are to be.
    const clients = await Promise.all(Array.from({ length: 10 }, () => busy.connect()))
    await Promise.all(clients.map((client) => client.query('BEGIN')))
    const settings = `SELECT current_setting('search_path') AS path, current_setting('statement_timeout') AS timeout`
    const answers = await Promise.all(clients.map((client) => client.query(settings)))
    await Promise.all(clients.map((client) => client.query('COMMIT')))
    for (const client of clients) client.release()
    for (const { rows } of answers) expect(rows).toEqual([{ path: '"$user", public', timeout: '0' }])
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
