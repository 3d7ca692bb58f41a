import { type Cursor, parseCursor } from '@entitycast/sse-protocol'
import type pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { eventually, stream, told } from '../support/broker-hub'
import { seeded } from '../support/hub'
import { HAS_PGBOUNCER, HAS_POSTGRES, Pooler, PostgresServer } from '../support/postgres'
import { type PostgresHub, PostgresHubs, transaction } from '../support/postgres-hub'

/*
 * Publishing inside of the application's own transactions: what is committed is seen, and nothing else.
 */

const hubs = new PostgresHubs()

describe.runIf(HAS_POSTGRES)('events that are part of a transaction', () => {
  let server: PostgresServer
  let pool: pg.Pool
  let one: PostgresHub
  let two: PostgresHub
  beforeAll(async () => {
    server = await PostgresServer.start()
    await server.ask('CREATE TABLE document (id text PRIMARY KEY, title text)')
  })
  afterAll(() => server?.end())
  beforeEach(async () => {
    await hubs.migrate(server)
    pool = hubs.pool(server)
    one = hubs.add(server)
    two = hubs.add(server)
  })
  afterEach(() => hubs.end())

  const emit = ({ hub }: PostgresHub, data: unknown, client?: object, projectId = 'p') =>
    hub.project(projectId).emit('a:b', data, { client })

  it('[D7] a rolled-back event is never seen, and leaves no hole in the offsets', async () => {
    const clients = [await stream(one, 'p'), await stream(two, 'p')]
    const first = await emit(one, 'first')
    await transaction(pool, 'ROLLBACK', async (client) => {
      await emit(one, 'rolled back', client)
      await emit(two, 'rolled back too', client)
    })
    const last = await emit(two, 'sentinel')
    for (const each of clients) await eventually(() => expect(told(each)).toEqual(['first', 'sentinel']))
    expect(Number(last.split('.')[1])).toBe(Number(first.split('.')[1]) + 1)
  })

  it('[D7] a committed event is seen after the commit and not before, together with what was changed', async () => {
    const clients = [await stream(one, 'p'), await stream(two, 'p')]
    await transaction(pool, 'COMMIT', async (client) => {
      await client.query("INSERT INTO document VALUES ('d1', 'A title')")
      await one.hub.project('p').created('document', 'd1', { title: 'A title' }, { client })
      await emit(two, 'outside, and before')
      for (const each of clients) await eventually(() => expect(each.events).toHaveLength(1))
    })
    for (const each of clients) {
      await eventually(() => expect(each.events.map(({ type }) => type)).toEqual(['a:b', 'entity.created']))
      expect(each.events[1]?.data).toMatchObject({ entity: 'document', id: 'd1', data: { title: 'A title' } })
      expect(each.resyncs).toEqual([])
    }
  })

  it('[D1] what one transaction publishes has its own order, is told together, and lies before what is published after the commit', async () => {
    const client = await stream(two, 'p')
    await transaction(pool, 'COMMIT', async (own) => {
      for (let n = 1; n <= 20; n++) await emit(n % 2 ? one : two, n, own)
    })
    await emit(one, 21)
    await eventually(() => expect(told(client)).toEqual(Array.from({ length: 21 }, (_, n) => n + 1)))
  })

  it('[B5] two transactions that commit in the reverse order of their inserts: both are told, none is skipped', async () => {
    const clients = [await stream(one, 'p'), await stream(two, 'p')]
    const [early, late] = [await pool.connect(), await pool.connect()]
    await early.query('BEGIN')
    await late.query('BEGIN')
    await emit(one, 'inserted first', early)
    await emit(two, 'inserted second', late)
    await late.query('COMMIT')
    for (const each of clients) await eventually(() => expect(told(each)).toEqual(['inserted second']))
    await early.query('COMMIT')
    for (const each of clients) {
      await eventually(() => expect(told(each)).toEqual(['inserted second', 'inserted first']))
      expect(each.resyncs).toEqual([])
    }
    early.release()
    late.release()
  })

  it('[B5] a transaction that stays open holds up nobody: not its own project, not another, and not a new one', async () => {
    const clients = new Map<string, Awaited<ReturnType<typeof stream>>>()
    for (const id of ['p', 'q']) clients.set(id, await stream(two, id))
    await transaction(pool, 'COMMIT', async (open) => {
      for (const id of ['p', 'q', 'new']) await emit(one, 'open', open, id)
      for (const id of ['p', 'q', 'new']) for (let n = 1; n <= 5; n++) await emit(n % 2 ? one : two, n, undefined, id)
      await transaction(pool, 'COMMIT', (quick) => emit(one, 'quick', quick, 'p'))
      await eventually(() => expect(told(clients.get('p')!)).toEqual([1, 2, 3, 4, 5, 'quick']))
      await eventually(() => expect(told(clients.get('q')!)).toEqual([1, 2, 3, 4, 5]))
      clients.set('new', await stream(two, 'new'))
    })
    await eventually(() => expect(told(clients.get('p')!)).toEqual([1, 2, 3, 4, 5, 'quick', 'open']))
    await eventually(() => expect(told(clients.get('q')!)).toEqual([1, 2, 3, 4, 5, 'open']))
    await eventually(() => expect(told(clients.get('new')!)).toEqual(['open']))
    for (const each of clients.values()) expect(each.resyncs).toEqual([])
  })

  it('[D7] publishing never makes a strict transaction fail: repeatable read and serializable, while others publish into the same project', async () => {
    const client = await stream(two, 'p')
    const expected: string[] = []
    for (const level of ['REPEATABLE READ', 'SERIALIZABLE']) {
      await transaction(
        pool,
        'COMMIT',
        async (strict) => {
          await strict.query('SELECT count(*) FROM document')
          await emit(one, `before ${level}`)
          await transaction(pool, 'COMMIT', (other) => emit(two, `beside ${level}`, other))
          await emit(one, `in ${level}`, strict)
        },
        `BEGIN ISOLATION LEVEL ${level}`,
      )
      expected.push(`before ${level}`, `beside ${level}`, `in ${level}`)
      await eventually(() => expect(told(client)).toEqual(expected))
    }
  })

  it('[D7] an error of the transaction itself comes as pg has it, so that whoever runs it again knows', async () => {
    await server.ask('CREATE TABLE IF NOT EXISTS counter (n integer); INSERT INTO counter VALUES (1)')
    const [a, b] = [await pool.connect(), await pool.connect()]
    for (const each of [a, b]) {
      await each.query('BEGIN ISOLATION LEVEL SERIALIZABLE')
      await each.query('SELECT sum(n) FROM counter')
    }
    for (const each of [a, b]) await each.query('INSERT INTO counter VALUES (1)')
    await a.query('COMMIT')
    await expect(emit(one, 'doomed', b)).rejects.toMatchObject({ code: '40001' })
    await b.query('ROLLBACK')
    await b.query('BEGIN')
    await b.query('SELECT 1/0').catch(() => {})
    const failed = emit(one, 'in a failed transaction', b)
    await expect(failed).rejects.toMatchObject({ code: 'UNAVAILABLE', sqlState: '25P02' })
    await b.query('ROLLBACK')
    const client = await stream(one, 'p')
    await emit(two, 'sentinel')
    await eventually(() => expect(told(client)).toEqual(['sentinel']))
    a.release()
    b.release()
  })

  it('[D7] a savepoint that is rolled back takes its events with it', async () => {
    const client = await stream(two, 'p')
    await transaction(pool, 'COMMIT', async (own) => {
      await emit(one, 1, own)
      await own.query('SAVEPOINT s')
      await emit(one, 'taken back', own)
      await own.query('ROLLBACK TO SAVEPOINT s')
      await emit(one, 2, own)
    })
    await eventually(() => expect(told(client)).toEqual([1, 2]))
  })

  it('[D3] the cursor lies before the event: whoever resumes from it gets the event', async () => {
    await emit(one, 'before')
    const cursor = await transaction(pool, 'COMMIT', (client) => emit(one, 'inside', client))
    const first = await transaction(pool, 'COMMIT', (client) => emit(one, 'the first ever', client, 'new'))
    const back = await stream(two, 'p', cursor)
    await eventually(() => expect(told(back)).toEqual(['inside']))
    const fresh = await stream(two, 'new', first)
    await eventually(() => expect(told(fresh)).toEqual(['the first ever']))
    expect([back.resyncs, fresh.resyncs]).toEqual([[], []])
    // A statement that is a transaction by itself.
    const own = await pool.connect()
    for (const n of [1, 2]) {
      const alone = await stream(two, 'alone', await emit(one, n, own, 'alone'))
      await eventually(() => expect(told(alone)).toEqual([n]))
      expect(alone.resyncs).toEqual([])
    }
    own.release()
  })

  it('[D7] the process that published is gone at the commit: others tell it, and in a project that nobody reads it gets its place all the same', async () => {
    const client = await stream(two, 'p')
    const start = await two.hub.cursor('quiet')
    const three = hubs.add(server)
    await transaction(pool, 'COMMIT', async (own) => {
      await emit(three, 'left behind', own)
      await emit(three, 'unread', own, 'unread')
      await three.hub.close()
    })
    await eventually(() => expect(told(client)).toEqual(['left behind']))
    expect(start).toMatch(/\.0$/)
    await eventually(async () => {
      expect(await server.ask(`SELECT project FROM ${hubs.prefix}outbox`)).toEqual([])
      expect(await server.ask(`SELECT project FROM ${hubs.prefix}log WHERE project > 'a' ORDER BY project`)).toEqual([
        { project: 'p' },
        { project: 'unread' },
      ])
    })
  })

  it('[D7] the commit is seen on its own connection, or told by a notification where that cannot be watched; polling plays no part', async () => {
    const never = { pollIntervalMs: 600_000 }
    const [publisher, reader] = [hubs.add(server, never), hubs.add(server, never)]
    const clients = [await stream(publisher, 'p'), await stream(reader, 'p')]
    const expected: string[] = []
    const own = await pool.connect()
    const { connection } = own as unknown as { connection: { listenerCount(event: string): number } }
    const listeners = () => ['readyForQuery', 'end'].map((event) => connection.listenerCount(event))
    const before = listeners()
    const wrapped = { query: (statement: pg.QueryConfig) => own.query(statement) }
    for (const [name, client] of Object.entries({ own, wrapped })) {
      for (const end of ['COMMIT', 'ROLLBACK', 'COMMIT']) {
        await own.query('BEGIN')
        // The answer to the first publish is not waited for.
        const first = emit(publisher, `${name} 1 ${end}`, client)
        await emit(publisher, `${name} 2 ${end}`, client)
        await first
        await own.query(end)
        if (end === 'COMMIT') expected.push(`${name} 1 ${end}`, `${name} 2 ${end}`)
        for (const each of clients) await eventually(() => expect(told(each)).toEqual(expected))
        expect(listeners()).toEqual(before)
      }
      // Without a transaction the statement is one of its own.
      await emit(publisher, name, client)
      expected.push(name)
      for (const each of clients) await eventually(() => expect(told(each)).toEqual(expected))
      expect(listeners()).toEqual(before)
    }
    own.release()
  })

  it('[D7] what a look at the log has given its place just after the commit is told to the others by whoever sees the commit', async () => {
    const never = { pollIntervalMs: 600_000 }
    const [publisher, reader] = [hubs.add(server, never), hubs.add(server, never)]
    const client = await stream(reader, 'p')
    await emit(publisher, 'first')
    await eventually(() => expect(told(client)).toEqual(['first']))
    const own = await pool.connect()
    const { connection } = own as unknown as { connection: { emit(event: string, ...args: unknown[]): boolean } }
    const pass = connection.emit.bind(connection)
    const answers: (() => void)[] = []
    let isHeld = false
    // The answer to the commit is held until the look is over.
    connection.emit = (event, ...args) => {
      if (!isHeld || event !== 'readyForQuery') return pass(event, ...args)
      answers.push(() => pass(event, ...args))
      return true
    }
    await own.query('BEGIN')
    await emit(publisher, 'second', own)
    isHeld = true
    const committed = own.query('COMMIT')
    await eventually(() => expect(answers).toHaveLength(1))
    // Of the publisher's own instance: the look gives the place, and the reader does not hear of it.
    await publisher.adapter.read('p', parseCursor(await publisher.hub.cursor('p')) as Cursor, 10)
    isHeld = false
    for (const answer of answers) answer()
    await committed
    await eventually(() => expect(told(client)).toEqual(['first', 'second']))
    own.release()
  })

  it('[D7] publishes of one transaction need not wait for each other: their statements do, in order, and pg has nothing to warn of', async () => {
    const warnings: Error[] = []
    const warned = (warning: Error) => void warnings.push(warning)
    process.on('warning', warned)
    const client = await stream(two, 'p')
    await transaction(pool, 'COMMIT', async (own) => {
      const { query } = own
      let running = 0
      let most = 0
      own.query = (async (...args: never[]) => {
        most = Math.max(most, ++running)
        try {
          return await (query as (...args: never[]) => unknown).apply(own, args)
        } finally {
          running--
        }
      }) as never
      // Of two hubs, as in an application that has one for each of its parts.
      await Promise.all(Array.from({ length: 10 }, (_, n) => emit(n % 2 ? one : two, n, own)))
      expect(most).toBe(1)
      own.query = query
    })
    await eventually(() => expect(told(client)).toEqual(Array.from({ length: 10 }, (_, n) => n)))
    await transaction(pool, 'ROLLBACK', async (own) => {
      await own.query('SELECT 1/0').catch(() => {})
      const all = await Promise.allSettled([emit(one, 'a', own), emit(one, 'b', own)])
      for (const each of all) {
        expect(each).toMatchObject({ status: 'rejected', reason: { code: 'UNAVAILABLE', sqlState: '25P02' } })
      }
    })
    process.off('warning', warned)
    expect(warnings).toEqual([])
  })

  it('[D7] a hub that is closed, or a connection that is lost, in the middle of a transaction leaves nothing behind', async () => {
    const own = await pool.connect()
    own.on('error', () => {})
    const { connection } = own as unknown as { connection: { listenerCount(event: string): number } }
    const count = () => connection.listenerCount('readyForQuery')
    const before = count()
    const three = hubs.add(server)
    await own.query('BEGIN')
    await emit(three, 'from one that is closed', own)
    expect(count()).toBe(before + 1)
    await three.hub.close()
    expect(count()).toBe(before)
    await emit(one, 'from one that stays', own)
    const [{ pid }] = (await own.query('SELECT pg_backend_pid() AS pid')).rows
    await server.ask('SELECT pg_terminate_backend($1)', [pid])
    await eventually(() => expect(count()).toBe(before))
    own.release(true)
    const client = await stream(two, 'p')
    await emit(one, 'sentinel')
    await eventually(() => expect(told(client)).toEqual(['sentinel']))
  })

  it('[D7] what is no client of a transaction is refused, and nothing is published', async () => {
    for (const wrong of [pool, {}, null, 'client'] as object[]) {
      await expect(emit(one, 'wrong', wrong)).rejects.toMatchObject({ code: 'INVALID_OPTION' })
    }
    const elsewhere = hubs.pool(server, { database: 'template1' })
    await transaction(elsewhere, 'ROLLBACK', async (client) => {
      await expect(emit(one, 'elsewhere', client)).rejects.toMatchObject({ code: 'MIGRATION_MISSING' })
    })
    const client = await stream(one, 'p')
    await emit(two, 'sentinel')
    await eventually(() => expect(told(client)).toEqual(['sentinel']))
  })

  it('[D1 B5] hundreds of transactions at once, some rolled back, some slow: all hubs tell exactly what was committed, in one order', async () => {
    const random = seeded(5)
    const all = [one, two, hubs.add(server)]
    const wide = hubs.pool(server, { max: 12 })
    const projects = ['p', 'q']
    const heard = projects.map((projectId) =>
      all.map(({ hub }) => {
        const list: unknown[] = []
        hub.listen({ projectId, type: 'a:*' }, ({ data }) => void list.push(data))
        return list
      }),
    )
    for (const { hub } of all) for (const projectId of projects) await hub.cursor(projectId)
    const committed: [unknown[], unknown[]] = [[], []]
    await Promise.all(
      Array.from({ length: 12 }, async (_, worker) => {
        for (let n = 0; n < 25; n++) {
          const [by, project, isKept] = [all[(worker + n) % 3]!, n % 2, random() < 0.7]
          const own: unknown[] = []
          if (random() < 0.3) {
            await emit(by, [worker, n], undefined, projects[project]!)
            committed[project]!.push([worker, n])
            continue
          }
          await transaction(wide, isKept ? 'COMMIT' : 'ROLLBACK', async (client) => {
            for (let k = 0; k < 1 + (n % 3); k++) {
              await emit(by, [worker, n, k], client, projects[project]!)
              own.push([worker, n, k])
              if (random() < 0.3) await client.query('SELECT pg_sleep(0.005)')
            }
          })
          if (isKept) committed[project]!.push(...own)
        }
      }),
    )
    for (const [i, lists] of heard.entries()) {
      for (const list of lists) await eventually(() => expect(list).toHaveLength(committed[i]!.length))
      for (const list of lists) expect(list).toEqual(lists[0])
      expect(lists[0]!.map(String).sort()).toEqual(committed[i]!.map(String).sort())
      // Each worker waits for one before it begins the next: so they are in its order.
      for (let worker = 0; worker < 12; worker++) {
        const own = (lists[0] as number[][]).filter(([by]) => by === worker).map(([, n = 0, k = 0]) => n * 10 + k)
        expect(own).toEqual([...own].sort((a, b) => a - b))
      }
    }
    for (const { adapter } of all) expect(adapter.oddities).toMatchObject({ garbage: 0, doubts: 0 })
  })

  it.runIf(HAS_PGBOUNCER)(
    '[D7] the client of a transaction may come through a PgBouncer that pools transactions',
    async () => {
      const pooler = await Pooler.start(server, 'transaction')
      const pooled = hubs.pool(server, { port: pooler.port })
      const client = await stream(two, 'p')
      await transaction(pooled, 'COMMIT', (own) => emit(one, 'committed', own))
      await transaction(pooled, 'ROLLBACK', (own) => emit(one, 'rolled back', own))
      await emit(one, 'sentinel')
      await eventually(() => expect(told(client)).toEqual(['committed', 'sentinel']))
      await pooled.end()
      await pooler.end()
    },
  )
})
