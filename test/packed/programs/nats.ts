// The NATS adapter. There is no NATS here: the program compiles, knows that it is degraded, and ends by itself.
import assert from 'node:assert/strict'

process.env.NATS_URL = '127.0.0.1:1'

// >>> nats
import { EventHub } from '@entitycast/sse-server'
import { NatsAdapter } from '@entitycast/sse-server/nats'
import { connect } from '@nats-io/transport-node'

const adapter = new NatsAdapter({ connect: () => connect({ servers: process.env.NATS_URL ?? 'localhost:4222' }) })
const hub = new EventHub({ adapter })
// <<<

assert.equal(NatsAdapter.streamConfig({ replicas: 3 }).num_replicas, 3)
assert.throws(() => new NatsAdapter({ connect: () => connect(), subjectPrefix: '*' }), { code: 'INVALID_OPTION' })
assert.deepEqual([hub.status(), hub.stats().degraded], ['degraded', true])
const waiting = hub.project('proj_123').updated('document', 'doc_456', { embeddedChunks: 5 }).catch((error) => error.code)
await hub.close()
assert.match(await waiting, /^(CLOSED|UNAVAILABLE)$/)
console.log('ran')
