/*
 * What the PostgreSQL adapter does on a database of yours: DATABASE_URL=… node bench/postgres.mjs
 * Two hubs in this process, one that publishes and one that listens. It makes tables with the prefix entitycast_bench_, and drops them.
 */
import { EventHub } from '@entitycast/sse-server'
import { PostgresAdapter } from '@entitycast/sse-server/postgres'
import pg from 'pg'

const prefix = 'entitycast_bench_'
const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 16 })
await pool.query(PostgresAdapter.sql({ prefix }))
const hubs = [1, 2].map(() => new EventHub({ adapter: new PostgresAdapter({ pool, prefix }) }))
const [publisher, listener] = hubs
/** How long each event was under way, in milliseconds. */
let delays = []
listener.listen({ projectId: 'p', type: 'bench:event' }, ({ data }) => delays.push(performance.now() - data.at))
await listener.cursor('p')

const emit = (client) => publisher.project('p').emit('bench:event', { at: performance.now() }, { client })
const inTransaction = async () => {
  const client = await pool.connect()
  await client.query('BEGIN')
  await emit(client)
  await client.query('COMMIT')
  client.release()
}

/** `width` publishers, each of which waits for one before it begins the next. */
async function run(name, publish, width, count) {
  delays = []
  let left = count
  const startedAt = performance.now()
  const publishers = Array.from({ length: width }, async () => {
    while (left-- > 0) await publish()
  })
  await Promise.all(publishers)
  const seconds = (performance.now() - startedAt) / 1_000
  while (delays.length < count) await new Promise((resolve) => setTimeout(resolve, 5))
  delays.sort((a, b) => a - b)
  const [p50, p99] = [0.5, 0.99].map((part) => `${delays[Math.floor(count * part)].toFixed(1)} ms`)
  console.log(`| ${name} | ${Math.round(count / seconds).toLocaleString('en')} | ${p50} | ${p99} |`)
}

await run('warming up', emit, 8, 500)
console.log('| publishers | events a second | p50 | p99 |\n| --- | --- | --- | --- |')
await run('one', emit, 1, 1_000)
await run('64 at a time', emit, 64, 20_000)
await run('1,000 at a time', emit, 1_000, 50_000)
await run('one, in transactions', inTransaction, 1, 1_000)
await run('16 at a time, in transactions', inTransaction, 16, 5_000)

await Promise.all(hubs.map((hub) => hub.close()))
await pool.query(
  ['project', 'log', 'outbox', 'migration'].map((name) => `DROP TABLE ${prefix}${name} CASCADE`).join(';'),
)
for (const name of ['append', 'read', 'trim']) await pool.query(`DROP FUNCTION IF EXISTS ${prefix}${name}`)
await pool.end()
