import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { eventually, ready, stream, told } from '../support/broker-hub'
import { publishWhileCut } from '../support/cut-appends'
import { HAS_POSTGRES, PostgresServer } from '../support/postgres'
import { type PostgresHub, PostgresHubs, transaction } from '../support/postgres-hub'

/*
 * A PostgreSQL that is there and takes nothing, or ends what we had begun. Publishers are told so with a code; who reads goes on reading; and when
 * it is over everything goes on by itself.
 */

const hubs = new PostgresHubs()
const RECORD = { type: 'a:b', data: '1', channel: 'default' }
const emit = ({ hub }: PostgresHub, data: unknown, client?: object, projectId = 'p') =>
  hub.project(projectId).emit('a:b', data, { client })

describe.runIf(HAS_POSTGRES)('a PostgreSQL that takes nothing', () => {
  let server: PostgresServer
  beforeAll(async () => {
    server = await PostgresServer.start()
  })
  afterAll(() => server?.end())
  beforeEach(async () => {
    await hubs.migrate(server)
    await server.ask(`DO $$ BEGIN CREATE ROLE app LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
      GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO app;
      GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO app`)
  })
  afterEach(() => hubs.end())

  const sessions = async () =>
    (await server.ask("SELECT pid FROM pg_stat_activity WHERE usename = 'app'")).map(({ pid }) => pid)
  const reasons: Record<string, { refuse: () => string; allow: () => string }> = {
    // Read only, as some hosts make it when the disk is nearly full.
    '25006': {
      refuse: () => 'ALTER ROLE app SET default_transaction_read_only = on',
      allow: () => 'ALTER ROLE app RESET default_transaction_read_only',
    },
    // It may not.
    '42501': {
      refuse: () => `REVOKE INSERT ON ${hubs.prefix}log, ${hubs.prefix}outbox FROM app`,
      allow: () => `GRANT INSERT ON ${hubs.prefix}log, ${hubs.prefix}outbox TO app`,
    },
    // The disk is full: as PostgreSQL says it when it cannot make a file longer.
    '53100': {
      refuse: () => `CREATE OR REPLACE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS $$
          BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = '53100'; END $$;
        CREATE TRIGGER no_room BEFORE INSERT ON ${hubs.prefix}log EXECUTE FUNCTION no_room();
        CREATE TRIGGER no_room BEFORE INSERT ON ${hubs.prefix}outbox EXECUTE FUNCTION no_room()`,
      allow: () =>
        `DROP TRIGGER no_room ON ${hubs.prefix}log; DROP TRIGGER no_room ON ${hubs.prefix}outbox; DROP FUNCTION no_room`,
    },
  }
  for (const [sqlState, { refuse, allow }] of Object.entries(reasons)) {
    it(`[B1 P7] ${sqlState}: publishes are refused with a code, in transactions too; streams stay and resume, and all goes on when it is over`, async () => {
      const pool = hubs.pool(server, { user: 'app' })
      const [one, two] = [hubs.add(server, { pool }), hubs.add(server, { pool })]
      const clients = [await stream(one, 'p'), await stream(two, 'p')]
      const first = await emit(one, 1)
      await emit(one, 2)
      for (const client of clients) await eventually(() => expect(told(client)).toEqual([1, 2]))
      await Promise.all([ready(one), ready(two)])
      await server.ask(refuse())
      // What a role is given counts for new sessions.
      const before = await sessions()
      await server.ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'")
      await eventually(async () => {
        const now = await sessions()
        // Two of each instance.
        expect([now.length, now.filter((pid) => before.includes(pid))]).toEqual([4, []])
      })
      await Promise.all([ready(one), ready(two)])
      for (const each of await Promise.allSettled([3, 4, 5].map((n) => emit(one, n)))) {
        expect(each).toMatchObject({ status: 'rejected', reason: { code: 'UNAVAILABLE', sqlState } })
      }
      await transaction(hubs.pool(server, { user: 'app' }), 'ROLLBACK', async (own) => {
        await expect(emit(one, 'in a transaction', own)).rejects.toMatchObject({ code: 'UNAVAILABLE', sqlState })
      })
      // PostgreSQL alone knows what this one tells.
      const three = hubs.add(server, { pool })
      await ready(three)
      const back = await stream(three, 'p', first)
      await eventually(() => expect(told(back)).toEqual([2]))
      await Promise.all([one, two, three].map(ready))
      await server.ask(allow())
      await Promise.all([one, two, three].map(({ adapter }) => eventually(() => adapter.append('other', [RECORD]))))
      const cursor = await emit(two, 6)
      await transaction(hubs.pool(server, { user: 'app' }), 'COMMIT', (own) => emit(one, 7, own))
      for (const client of clients) await eventually(() => expect(told(client)).toEqual([1, 2, 6, 7]))
      await eventually(() => expect(told(back)).toEqual([2, 6, 7]))
      expect(cursor.split('.')[0]).toBe(first.split('.')[0])
      for (const each of [...clients, back]) expect([each.closed, each.resyncs]).toEqual([false, []])
      for (const { adapter } of [one, two, three]) expect(adapter.oddities.doubts).toBe(0)
    })
  }

  it('[B1] our sessions are ended in mid-append, again and again: what was accepted is told once and in order, what was rejected at most once', async () => {
    const pool = hubs.pool(server, { application_name: 'cut me' })
    const [one, two] = [hubs.add(server, { pool }), hubs.add(server)]
    const clients = [await stream(one, 'p'), await stream(two, 'p')]
    await publishWhileCut(one, clients, 2_000, () =>
      server.ask('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1', ['cut me']),
    )
  })

  it('[B1] the defaults of a role that would end our sessions do not reach us', async () => {
    await server.ask(`DROP ROLE IF EXISTS hasty; CREATE ROLE hasty LOGIN SUPERUSER;
      ALTER ROLE hasty SET lock_timeout = 1; ALTER ROLE hasty SET idle_in_transaction_session_timeout = 1`)
    // From 14 and from 17 on. Long beside the moments in which a busy machine lets a session wait that has begun and has not set its own yet.
    for (const name of ['idle_session_timeout', 'transaction_timeout']) {
      const [known] = await server.ask('SELECT 1 FROM pg_settings WHERE name = $1', [name])
      if (known) await server.ask(`ALTER ROLE hasty SET ${name} = 500`)
    }
    const pool = hubs.pool(server, { user: 'hasty' })
    // Nothing is asked that nobody has to ask: a session that has work is not idle.
    const never = { pool, pollIntervalMs: 600_000 }
    const [one, two] = [hubs.add(server, never), hubs.add(server, never)]
    const client = await stream(two, 'p')
    const pids = () =>
      server
        .ask("SELECT pid FROM pg_stat_activity WHERE usename = 'hasty' ORDER BY pid")
        .then((rows) => rows.map(({ pid }) => pid))
    await Promise.all([ready(one), ready(two)])
    // Two of each; one of an attempt that failed may not have gone yet.
    const before = await eventually(async () => {
      const now = await pids()
      expect(now).toHaveLength(4)
      return now
    })
    for (const n of [1, 2]) {
      await emit(one, n)
      await eventually(() => expect(told(client).at(-1)).toBe(n))
      // For longer than the server would let an idle session be.
      await server.ask('SELECT pg_sleep(0.7)')
    }
    expect(told(client)).toEqual([1, 2])
    expect(await pids()).toEqual(before)
    await hubs.end()
  })

  it('[D7] the server ends a transaction that is idle for too long: what it published is never seen, and nothing is left behind', async () => {
    const [one, two] = [hubs.add(server), hubs.add(server)]
    const client = await stream(two, 'p')
    const own = await hubs.pool(server).connect()
    const ended = new Promise<Error>((resolve) => own.on('error', resolve))
    await own.query('BEGIN')
    await emit(one, 'never', own)
    // From here on only: a machine that is busy is itself idle for longer between two of our statements.
    await own.query('SET idle_in_transaction_session_timeout = 20')
    expect(await ended).toMatchObject({ code: '25P03' })
    await expect(emit(one, 'neither', own)).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    own.release(true)
    await emit(two, 'sentinel')
    await eventually(() => expect(told(client)).toEqual(['sentinel']))
    expect(await server.ask(`SELECT FROM ${hubs.prefix}outbox`)).toEqual([])
  })

  it('[B1] a statement takes longer than the server allows: UNAVAILABLE with 57014, surely not done, and the connections stay', async () => {
    const one = hubs.add(server)
    const client = await stream(one, 'p')
    await emit(one, 1)
    await server.ask(`CREATE OR REPLACE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN PERFORM pg_sleep(10); RETURN NEW; END $$;
      CREATE TRIGGER slow BEFORE INSERT ON ${hubs.prefix}log FOR EACH ROW EXECUTE FUNCTION slow()`)
    // The server says so first, unless it was busy: then our own time was over before.
    const refused = { code: 'UNAVAILABLE', sqlState: '57014' }
    await eventually(() => expect(emit(one, 'slow')).rejects.toMatchObject(refused))
    await server.ask(`DROP TRIGGER slow ON ${hubs.prefix}log`)
    await emit(one, 2)
    await eventually(() => expect(told(client)).toEqual([1, 2]))
    expect(client.resyncs).toEqual([])
  })

  it('[D1 P7] a transaction that has left more than a statement can do in its time: it is done in several, in order, before what is published after it', async () => {
    // Nobody else does any of it meanwhile.
    const one = hubs.add(server, { pollIntervalMs: 600_000, timeoutMs: 60_000 })
    await emit(one, 'first')
    const leave = (project: string, count: number, size: number) =>
      server.ask(`INSERT INTO ${hubs.prefix}outbox (project, record, size)
        SELECT '${project}', '["a:b","{\\"data\\":' || n || '}","default",0,0]', ${size} FROM generate_series(1, ${count}) n`)
    const statements = async (project: string) =>
      (
        await server.ask(`SELECT count(*)::integer AS count, min("offset")::integer AS first FROM ${hubs.prefix}log
          WHERE project = '${project}' GROUP BY tag ORDER BY 2`)
      ).map(({ count }) => count)
    // A project that has events, or none yet; many, or large.
    for (const [project, count, size, parts] of [
      ['p', 25_000, 10, [1, 10_000, 10_000, 5_001]],
      ['many', 25_000, 10, [10_000, 10_000, 5_001]],
      ['large', 40, 1_000_000, [17, 17, 7]],
    ] as const) {
      await leave(project, count, size)
      const cursor = await emit(one, 'after', undefined, project)
      expect(Number(cursor.split('.')[1])).toBe(parts.reduce<number>((sum, part) => sum + part, 0))
      expect(await statements(project)).toEqual(parts)
      const [last] = await server.ask(
        `SELECT record FROM ${hubs.prefix}log WHERE project = '${project}' ORDER BY "offset" DESC LIMIT 1`,
      )
      expect(last?.record).toContain('after')
    }
  })

  it('[D1 P7] events that are committed while others get their place come after: an append does not wait for an end of them', async () => {
    const one = hubs.add(server, { pollIntervalMs: 600_000 })
    await emit(one, 'first')
    const [log, outbox] = [`${hubs.prefix}log`, `${hubs.prefix}outbox`]
    const leave = (n: number) =>
      `INSERT INTO public.${outbox} (project, record, size) VALUES ('p', '["a:b","{\\"data\\":${n}}","default",0,0]', 10);`
    await server.ask(`CREATE FUNCTION ${outbox}_more() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN ${leave(2)} RETURN NULL; END $$;
      CREATE TRIGGER more AFTER INSERT ON ${log} FOR EACH STATEMENT EXECUTE FUNCTION ${outbox}_more(); ${leave(1)}`)
    await emit(one, 'after')
    // Each step that gives places has left one more, so there is never none left; what was there before has come before.
    expect(await server.ask(`SELECT FROM ${outbox} LIMIT 1`)).toHaveLength(1)
    const records = (await server.ask(`SELECT record FROM ${log} ORDER BY "offset"`)).map(({ record }) =>
      String(record),
    )
    const [left, own] = ['data\\":1}', 'after'].map((data) => records.findIndex((record) => record.includes(data)))
    expect(left).toBeGreaterThan(0)
    expect(own).toBeGreaterThan(left as number)
  })
})
