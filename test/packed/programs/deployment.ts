// A server as it is deployed: lean streams, compressed, with a readiness check, and ended by SIGTERM.
import { EventHub } from '@entitycast/sse-server'
import { eventStream } from '@entitycast/sse-server/express'
import express from 'express'
import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'

const app = express()
const hub = new EventHub()
const authorize = () => ({ projectId: 'proj_123' })
const port = 0

// >>> compression
app.get('/api/events/stream', eventStream(hub, { compression: 'gzip', authorize }))
// <<<

// >>> lean-streams
import { createServer } from 'node:http'
import { leanStreams } from '@entitycast/sse-server/node'

const server = createServer(app)                  // Express, Fastify's or Nest's own server: leanStreams(app.getHttpServer())
leanStreams(server)
server.listen(port)
// <<<

// >>> readiness
app.get('/ready', (_req, res) => res.status(hub.status() === 'ok' ? 200 : 503).end())
process.on('SIGTERM', async () => {
  await hub.close({ drainMs: 10_000 })   // streams end spread over 10 s, each with a `retry:` of its own; publishing works until then
  server.close()
})
// <<<

await once(server, 'listening')
const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
assert.equal((await fetch(`${origin}/ready`)).status, 200)
const stream = await fetch(`${origin}/api/events/stream`, { headers: { 'accept-encoding': 'gzip' } })
assert.equal(stream.headers.get('content-encoding'), 'gzip')
const reader = stream.body!.pipeThrough(new TextDecoderStream()).getReader()
let text = ''
const read = async (wanted: string) => {
  while (!text.includes(wanted)) {
    const { done, value } = await reader.read()
    assert(!done, `the stream ended without ${wanted}: ${text}`)
    text += value
  }
}
await read('event: connected')
await hub.project('proj_123').updated('document', 'doc_456', { embeddedChunks: 5 })
await read('"embeddedChunks":5')
const closed = once(server, 'close')                // it may come before the last frame has been read
process.kill(process.pid, 'SIGTERM')
await read('"reason":"shutdown"')
assert.equal(hub.status(), 'draining')
await closed
console.log('ran')
