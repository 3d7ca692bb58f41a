// A stream for pages of another origin: what the browser asks, and what is answered.
import { EventHub } from '@entitycast/sse-server'
import { eventStream } from '@entitycast/sse-server/express'
import express, { type Request } from 'express'
import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'

const app = express()
const hub = new EventHub()
const grantFor = async (req: Request) => (req.get('authorization') === 'Bearer secret' ? { projectId: 'proj_123' } : null)

// >>> cors
app.all('/api/events/stream', eventStream(hub, {       // all, not get: the question is an OPTIONS
  cors: { origins: ['https://app.example.com'], credentials: true },
  authorize: async (req) => grantFor(req),
}))
// <<<
app.get('/get-only', eventStream(hub, { cors: { origins: '*' }, authorize: async (req) => grantFor(req) }))

const server = app.listen(0, '127.0.0.1')
await once(server, 'listening')
const ask = async (path: string, method: string, headers: Record<string, string>) => {
  const left = new AbortController()
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`
  const { status, headers: answered } = await fetch(url, { method, headers, signal: left.signal })
  left.abort()
  return { status, origin: answered.get('access-control-allow-origin'), headers: answered.get('access-control-allow-headers') }
}
const question = { origin: 'https://app.example.com', 'access-control-request-method': 'GET', 'access-control-request-headers': 'last-event-id' }
assert.deepEqual(await ask('/api/events/stream', 'OPTIONS', question), {
  status: 204,
  origin: 'https://app.example.com',
  headers: 'Authorization, Last-Event-ID, X-Project-Id',
})
const headers = { origin: 'https://app.example.com', authorization: 'Bearer secret' }
assert.deepEqual(await ask('/api/events/stream', 'GET', headers), { status: 200, origin: 'https://app.example.com', headers: null })
assert.equal((await ask('/api/events/stream', 'GET', { ...headers, origin: 'https://evil.example' })).origin, null)
// The trap that the page warns of: Express answers by itself, and no page may go on.
assert.equal((await ask('/get-only', 'OPTIONS', question)).headers, null)

await hub.close()
server.close()
console.log('ran')
