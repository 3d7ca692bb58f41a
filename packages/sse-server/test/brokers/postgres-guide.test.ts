import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { PostgresAdapter } from '@entitycast/sse-server/postgres'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { eventually, ready, stream, told } from '../support/broker-hub'
import { HAS_POSTGRES, PostgresServer } from '../support/postgres'
import { PostgresHubs, transaction } from '../support/postgres-hub'

/*
 * What docs/adapters/postgres.md says is enough: the file with the migration, and the rights.
 */

const read = (name: string) =>
  readFileSync(fileURLToPath(new URL(`../../../../docs/adapters/${name}`, import.meta.url)), 'utf8')
const grants = /```sql\n(GRANT [\s\S]+?)```/.exec(read('postgres.md'))?.[1] ?? ''
const hubs = new PostgresHubs()
afterEach(() => hubs.end())

it('[docs] the file with the migration is what the adapter needs', () => {
  // Written anew with `npx vitest run postgres-guide -u`.
  return expect(PostgresAdapter.sql()).toMatchFileSnapshot('../../../../docs/adapters/postgres.sql')
})

it('[N1] a misspelt name makes no tables where nobody looks for them', () => {
  expect(() => PostgresAdapter.sql({ prefx: 'shop_' } as never)).toThrow(
    'prefx is not an option of PostgresAdapter.sql; there are schema, prefix',
  )
})

describe.runIf(HAS_POSTGRES)('a role with the rights that the guide names', () => {
  let server: PostgresServer
  beforeAll(async () => {
    server = await PostgresServer.start()
    await server.ask(read('postgres.sql'))
    await server.ask('CREATE ROLE app LOGIN; CREATE ROLE lesser LOGIN')
    await server.ask(grants)
    await server.ask('GRANT INSERT ON entitycast_outbox TO lesser; GRANT SELECT ON entitycast_project TO lesser')
  })
  afterAll(() => server?.end())

  it('[B1] they are enough, also for what is rare', async () => {
    const add = () =>
      hubs.add(
        server,
        { pool: hubs.pool(server, { user: 'app' }), idleProjectTtlMs: 1_000 },
        { retention: { ageMs: 3_000 } },
      )
    const [one, two] = [add(), add()]
    await Promise.all([ready(one), ready(two)])
    const client = await stream(one, 'p')
    const emit = (data: unknown, own?: object) => two.hub.project('p').emit('a:b', data, { client: own })
    await emit(1)
    await transaction(hubs.pool(server, { user: 'app' }), 'COMMIT', (own) => emit(2, own))
    await transaction(hubs.pool(server, { user: 'lesser' }), 'COMMIT', (own) => emit(3, own))
    await eventually(() => expect(told(client)).toEqual([1, 2, 3]))
    // It deletes what is old, and forgets whom nobody reads.
    await two.hub.project('left').emit('a:b', 1)
    await eventually(async () => {
      expect(await server.ask("SELECT FROM entitycast_log WHERE project = 'p'")).toEqual([])
      expect(await server.ask("SELECT FROM entitycast_project WHERE project = 'left'")).toEqual([])
    })
    await emit(4)
    await eventually(() => expect(told(client)).toEqual([1, 2, 3, 4]))
    // A log that begins anew.
    await server.ask("UPDATE entitycast_project SET history = 'another' WHERE project = 'p'")
    await eventually(() => expect(client.resyncs).toEqual(['epoch']))
  })

  it('[B1] a role that may not is refused with a reason', async () => {
    const one = hubs.add(server, { pool: hubs.pool(server, { user: 'lesser' }) })
    await Promise.all([
      expect(one.hub.project('p').emit('a:b', 1)).rejects.toMatchObject({ code: 'UNAVAILABLE' }),
      expect(one.adapter.ready()).rejects.toThrow('42501'),
    ])
  })
})
