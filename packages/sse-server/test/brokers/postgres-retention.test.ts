import { PostgresAdapter } from '@entitycast/sse-server/postgres'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { emit, eventually, stream, told, upTo } from '../support/broker-hub'
import { HAS_POSTGRES, PostgresServer } from '../support/postgres'
import { PostgresHubs } from '../support/postgres-hub'

/*
 * What is kept, how long, and what is said of what is not.
 */

const hubs = new PostgresHubs()
const record = (data: string) => ({ type: 'a:b', data, channel: 'default' })

describe.runIf(HAS_POSTGRES)('what the tables keep', () => {
  let server: PostgresServer
  beforeAll(async () => {
    server = await PostgresServer.start()
  })
  afterAll(() => server?.end())
  beforeEach(() => hubs.migrate(server))
  afterEach(() => hubs.end())

  const make = () => new PostgresAdapter({ pool: hubs.pool(server), prefix: hubs.prefix, pollIntervalMs: 250 })
  /** The size of a project's log in the table. */
  const size = async (projectId = 'p') => {
    const text = `SELECT count(*)::integer AS count FROM ${hubs.prefix}log WHERE project = $1`
    return (await server.ask(text, [projectId]))[0]?.count
  }

  it('[D3] what the table keeps is bounded, by number, by bytes and by age; the edge is told exactly, deleted or not', async () => {
    for (const [retention, left] of [
      [{ ageMs: 20_000, events: 20, bytes: 1_000_000 }, 20],
      [{ ageMs: 20_000, events: 10_000, bytes: 5_030 }, 50],
      [{ ageMs: 500, events: 10_000, bytes: 1_000_000 }, 0],
    ] as const) {
      await hubs.migrate(server)
      const adapter = make()
      adapter.start(retention)
      const { epoch } = await adapter.append(
        'p',
        upTo(700).map(() => record('x'.repeat(97))),
      )
      const { offset } = await adapter.append(
        'p',
        upTo(10).map(() => record('x'.repeat(97))),
      )
      expect(offset).toBe(710)
      if (left > 0) {
        // Whatever is in the table still.
        expect(await adapter.read('p', { epoch, offset: 709 - left }, 1)).toEqual({ gap: 'expired' })
        expect(await adapter.read('p', { epoch, offset: 0 }, 1)).toEqual({ gap: 'expired' })
        const page = await adapter.read('p', { epoch, offset: 710 - left }, 1_000)
        expect('entries' in page && page.entries).toHaveLength(left)
      }
      await eventually(async () => expect(await size()).toBe(left))
      await eventually(async () =>
        expect(await adapter.read('p', { epoch, offset: 709 - left }, 1)).toEqual({ gap: 'expired' }),
      )
      await adapter.close()
      // With time to be read.
      const later = make()
      later.start({ ...retention, ageMs: 60_000 })
      const next = await later.append('p', [record('next')])
      expect(next).toEqual({ epoch, offset: 711 })
      expect(await later.read('p', { epoch, offset: 710 }, 1)).toMatchObject({ entries: [{ offset: 711 }] })
      await later.close()
    }
  })

  it('[D3] all that was seen has been deleted by age: what comes next goes on from it, without a resync', async () => {
    // Long beside the moments in which a busy machine lets a process wait: who reads later than that has to load again.
    const retention = { ageMs: 4_000 }
    const [one, two] = [hubs.add(server, {}, { retention }), hubs.add(server, {}, { retention })]
    const clients = [await stream(one, 'p'), await stream(two, 'p')]
    for (const n of upTo(2)) {
      await emit(two, n)
      for (const client of clients) await eventually(() => expect(told(client)).toEqual(upTo(n)))
      await eventually(async () => expect(await size()).toBe(0))
    }
    for (const client of clients) expect([client.resyncs, client.closed]).toEqual([[], false])
    for (const { adapter } of [one, two]) expect(adapter.oddities.doubts).toBe(0)
  })

  it('[D3] deleting waits for nobody: not for a project whose row somebody holds', async () => {
    const adapter = make()
    adapter.start({ ageMs: 20_000, events: 1, bytes: 1_000_000 })
    await adapter.append(
      'p',
      upTo(900).map(() => record('1')),
    )
    // Somebody holds the row of the project: the records go all the same.
    const client = await hubs.pool(server).connect()
    await client.query(`BEGIN; SELECT FROM ${hubs.prefix}project WHERE project = 'p' FOR NO KEY UPDATE`)
    await eventually(async () => expect(await size()).toBe(1))
    await client.query('COMMIT')
    client.release()
    await adapter.append('p', [record('2')])
    await eventually(async () => expect(await size()).toBe(1))
    await adapter.close()
  })

  it('[D3] deleting looks at so many projects in one call, however many there are, and goes on from there in the next', async () => {
    const { prefix } = hubs
    // Of thirty projects one has something to delete, and another is to be forgotten.
    await server.ask(`
      INSERT INTO ${prefix}project (project, epoch, history, head, first, total, used_at)
        SELECT 'p' || n, 'e', 'h', 2, CASE n WHEN 37 THEN 3 ELSE 1 END, 2, now() - CASE n WHEN 37 THEN 60 ELSE 0 END * interval '1 hour'
        FROM generate_series(10, 39) n;
      INSERT INTO ${prefix}log (project, "offset", record, tag, before, size, total, at)
        SELECT 'p' || n, o, '{}', 't', 't', 1, o, now() - CASE WHEN n = 25 AND o = 1 THEN 60 ELSE 0 END * interval '1 hour'
        FROM generate_series(10, 39) n, generate_series(1, 2) o WHERE n <> 37`)
    // One session, as where it goes on is kept there. A pool would let it go while it is idle.
    const session = await hubs.pool(server).connect()
    const trim = async () => {
      const { rows } = await session.query(`SELECT ${prefix}trim(1, 1800000, 1000, 1000000, 0, 1800000, 10) AS count`)
      const count = async (table: string) => (await server.ask(`SELECT FROM ${prefix}${table}`)).length
      return [rows[0].count, await count('log'), await count('project')]
    }
    expect(await trim()).toEqual([10, 58, 30])
    expect(await trim()).toEqual([10, 57, 30])
    expect(await trim()).toEqual([10, 57, 29])
    // Nothing comes after these: the next round begins.
    expect(await trim()).toEqual([0, 57, 29])
    await server.ask(`UPDATE ${prefix}log SET at = now() - interval '1 hour' WHERE project = 'p10'`)
    expect(await trim()).toEqual([10, 55, 29])
    session.release()
  })

  it('[D3] an instance comes to all projects, where there are more than one call looks at', async () => {
    const { prefix } = hubs
    await server.ask(`
      INSERT INTO ${prefix}project (project, epoch, history, head, total) SELECT 'p' || n, 'e', 'h', 1, 1 FROM generate_series(1001, 2200) n;
      INSERT INTO ${prefix}log (project, "offset", record, tag, before, size, total, at)
        SELECT 'p' || n, 1, '{}', 't', '-', 1, 1, now() - interval '1 hour' FROM generate_series(2191, 2200) n`)
    const adapter = make()
    adapter.start({ ageMs: 20_000, events: 10, bytes: 1_000_000 })
    await eventually(async () => expect(await server.ask(`SELECT FROM ${prefix}log`)).toEqual([]))
    await adapter.close()
  })

  it('[D3] a project that nobody uses is forgotten after its time, and one that somebody reads is not', async () => {
    const one = hubs.add(server, { idleProjectTtlMs: 1_000 }, { retention: { ageMs: 4_000 } })
    const client = await stream(one, 'read')
    await emit(one, 1, 'read')
    await emit(one, 1, 'left')
    await eventually(async () => {
      const rows = await server.ask(`SELECT project FROM ${hubs.prefix}project WHERE project > 'a'`)
      expect(rows).toEqual([{ project: 'read' }])
    })
    await emit(one, 2, 'read')
    await eventually(() => expect(told(client)).toEqual([1, 2]))
    expect(client.resyncs).toEqual([])
  })
})
