// The Redis adapter with both client libraries. There is no Redis here: the programs compile, know that they are degraded, and end by themselves.
import assert from 'node:assert/strict'

process.env.REDIS_URL = 'redis://127.0.0.1:1'
process.env.REDIS_PORT = '1'

// >>> redis
import { EventHub } from '@entitycast/sse-server'
import { RedisAdapter } from '@entitycast/sse-server/redis'
import { createClient } from 'redis'

const redis = createClient({ url: process.env.REDIS_URL })
const hub = new EventHub({ adapter: new RedisAdapter(redis) })
// <<<
// >>> ioredis
import { Redis } from 'ioredis'

const ioredis = new Redis({ port: Number(process.env.REDIS_PORT), lazyConnect: true })
const otherHub = new EventHub({ adapter: new RedisAdapter(ioredis, { keyPrefix: 'shop:events:' }) })
// <<<
import { createCluster, createSentinel } from 'redis'
import { Cluster } from 'ioredis'

const hubs = [hub, otherHub]
for (const client of [
  createCluster({ rootNodes: [{ url: process.env.REDIS_URL }] }),
  createSentinel({ name: 'events', sentinelRootNodes: [{ host: '127.0.0.1', port: 1 }] }),
  new Cluster([{ host: '127.0.0.1', port: 1 }], { lazyConnect: true }),
]) {
  hubs.push(new EventHub({ adapter: new RedisAdapter(client, { timeoutMs: 500 }) }))
}
assert.throws(() => new RedisAdapter({ duplicate() {} }), { code: 'INVALID_OPTION' })
for (const one of hubs) assert.deepEqual([one.status(), one.stats().degraded], ['degraded', true])
const waiting = hubs.map((one) => one.project('proj_123').updated('document', 'doc_456', { embeddedChunks: 5 }).catch((error) => error.code))
await Promise.all(hubs.map((one) => one.close()))
for (const code of await Promise.all(waiting)) assert.match(code, /^(CLOSED|UNAVAILABLE)$/)
console.log('ran')
