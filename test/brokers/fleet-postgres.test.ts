import { PostgresAdapter } from '@entitycast/sse-server/postgres'
import { describe } from 'vitest'
import { HAS_POSTGRES, PostgresServer } from '../../packages/sse-server/test/support/postgres'
import { describeFleet } from './fleet-suite'

describe.runIf(HAS_POSTGRES)('a fleet', () => {
  describeFleet('PostgreSQL', {
    start: async () => {
      const server = await PostgresServer.start()
      await server.ask(PostgresAdapter.sql())
      return {
        engine: 'postgres',
        port: server.port,
        kill: () => server.kill(),
        restart: () => server.restart(),
        wipe: async () => {
          await server.ask('TRUNCATE entitycast_project, entitycast_outbox, entitycast_log')
        },
        end: () => server.end(),
      }
    },
    // What it has accepted it still has.
    killed: [],
    wiped: ['epoch'],
    partitionMs: 60_000,
  })
})
