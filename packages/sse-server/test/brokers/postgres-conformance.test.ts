import type { AdapterManifest } from '@entitycast/sse-server'
import { type AdapterUnderTest, describeAdapter, type LogUnderTest } from '@entitycast/sse-server/conformance'
import { PostgresAdapter } from '@entitycast/sse-server/postgres'
import pg from 'pg'
import { afterAll, beforeAll, describe, it } from 'vitest'
import { HAS_POSTGRES, PostgresServer } from '../support/postgres'

const MANIFEST: AdapterManifest = {
  name: 'postgres',
  durability: 'broker-disk',
  shared: true,
  maxRecordBytes: 16_777_216,
}

const runner = { describe, it: (name: string, body: () => Promise<void>) => it(name, body, 120_000) }

describe.runIf(HAS_POSTGRES)('a real PostgreSQL', () => {
  let server: PostgresServer
  beforeAll(async () => {
    server = await PostgresServer.start()
  })
  afterAll(() => server?.end())
  describeAdapter(
    runner,
    subject(() => server),
  )
})

type Hold = (deliver: () => Promise<void>) => void | Promise<void>

let logs = 0

function subject(server: () => PostgresServer): AdapterUnderTest {
  return {
    patienceMs: 30_000,
    manifest: MANIFEST,
    harms: ['stop', 'kill', 'restart', 'wipe'],
    intercepts: true,
    async begin(isHarmed): Promise<LogUnderTest> {
      const names = { schema: 'public', prefix: `log${++logs}_` }
      const broker = server()
      let hold: Hold | undefined
      await broker.ask(PostgresAdapter.sql(names))
      const pool = broker.pool({ Client: holding(`public.${names.prefix}`, () => hold) })
      return {
        create: () =>
          new PostgresAdapter({ pool, ...names, timeoutMs: isHarmed ? 1_000 : 10_000, pollIntervalMs: 250 }),
        broker: {
          stop: () => broker.stop(),
          kill: () => broker.kill(),
          restart: () => broker.restart(),
          wipe: () => wipe(broker, names.prefix),
        },
        messages: {
          intercept: (given) => {
            hold = given
          },
          garbage: async (projectId) => {
            for (const text of [
              '',
              '{"a":1}',
              '__proto__ 1',
              `${projectId} 1`,
              'x'.repeat(7_000),
              '0123456789abcdef -1',
            ]) {
              await broker.ask('SELECT pg_notify($1, $2)', [`public.${names.prefix}`, text])
            }
          },
        },
        async end() {
          await pool.end()
          await broker.restart()
        },
      }
    },
  }
}

/** A client whose notifications of a channel are held up, while there is somebody who holds them. */
function holding(channel: string, hold: () => Hold | undefined): new () => pg.ClientBase {
  return class extends pg.Client {
    override emit(event: string, ...args: never[]): boolean {
      const holder =
        event === 'notification' && ((args as unknown[])[0] as pg.Notification).channel === channel ? hold() : undefined
      if (!holder) return super.emit(event, ...args)
      void holder(async () => void super.emit(event, ...args))
      return true
    }
  } as new () => pg.ClientBase
}

/** Everything is forgotten, whatever is under way. */
async function wipe(server: PostgresServer, prefix: string): Promise<void> {
  for (;;) {
    try {
      await server.ask(`TRUNCATE ${['project', 'outbox', 'log'].map((name) => prefix + name).join()}`)
      return
    } catch (error) {
      // A deadlock with an append, of which one is given up.
      if ((error as { code?: string }).code !== '40P01') throw error
    }
  }
}
