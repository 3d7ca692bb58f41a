// The PostgreSQL adapter. There is no PostgreSQL here: the program compiles, knows that it is degraded, and ends by itself.
import assert from 'node:assert/strict'

process.env.DATABASE_URL = 'postgres://127.0.0.1:1/none'

// >>> postgres
import { EventHub } from '@entitycast/sse-server'
import { PostgresAdapter } from '@entitycast/sse-server/postgres'
import { Pool } from 'pg'

const pool = new Pool({ connectionString: process.env.DATABASE_URL })
const adapter = new PostgresAdapter({ pool })
const hub = new EventHub({ adapter })
// <<<
// >>> postgres-transaction
async function rename(projectId: string, id: string, title: string): Promise<void> {
  const client = await pool.connect()
  try {
    await client.query('BEGIN')
    await client.query('UPDATE document SET title = $1 WHERE id = $2', [title, id])
    await hub.project(projectId).updated('document', id, { title }, { client })
    await client.query('COMMIT')
  } catch (error) {
    await client.query('ROLLBACK')
    throw error
  } finally {
    client.release()
  }
}
// <<<
async function migrate() {
// >>> postgres-migration
await pool.query(PostgresAdapter.sql({ schema: 'public', prefix: 'entitycast_' }))   // running it again changes nothing
await adapter.ready()                                                                // rejects with MIGRATION_MISSING, TRANSACTION_POOLING …
// <<<
}
assert.deepEqual([hub.status(), hub.stats().degraded], ['degraded', true])
await assert.rejects(migrate(), { code: 'ECONNREFUSED' })
await assert.rejects(rename('proj_123', 'doc_456', 'A title'), { code: 'ECONNREFUSED' })
assert.throws(() => new PostgresAdapter({ pool: { options: {}, async connect() {} } }), { code: 'INVALID_OPTION' })
const client = { query: async () => ({ rows: [] }) }
const other = new EventHub()
await assert.rejects(other.project('proj_123').emit('lock:acquired', {}, { client }), { code: 'UNSUPPORTED' })
const waiting = hub.project('proj_123').updated('document', 'doc_456', { title: 'A title' }).catch((error) => error.code)
await Promise.all([hub.close(), other.close(), pool.end()])
assert.match(await waiting, /^(CLOSED|UNAVAILABLE)$/)
console.log('ran')
