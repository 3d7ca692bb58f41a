// The README's server with Express, in the least that makes it run: an application, its own checks, and a reader that sees what comes.
import { EventSubscriber } from '@entitycast/sse-client'
import express, { type RequestHandler } from 'express'
import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'

const app = express()
const server = app.listen(0, '127.0.0.1')
await once(server, 'listening')
const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
const requireAdmin: RequestHandler = (req, res, next) => (req.get('x-admin') ? next() : void res.sendStatus(403))
const verify = async (authorization: string | undefined) => {
  if (authorization !== 'Bearer secret') return null
  return { projectId: 'proj_123', id: 'u1', exp: Date.now() / 1000 + 600 }
}

// >>> express-server
import { EventHub } from '@entitycast/sse-server'
import { eventStream, eventStats } from '@entitycast/sse-server/express'

const hub = new EventHub()                                            // in memory; nothing else to run
app.get('/api/events/stream', eventStream(hub, {
  authorize: async (req) => {                                         // required
    const user = await verify(req.get('authorization'))               // null for a bad token, which is a 401; a throw is a 503
    return user && { projectId: user.projectId, userId: user.id, expiresAt: user.exp * 1000 }   // in milliseconds
  },
}))
app.get('/api/events/stats', requireAdmin, eventStats(hub))

// <<<
const seen: string[] = []
const reader = new EventSubscriber(`${origin}/api/events/stream`, { headers: { authorization: 'Bearer secret' } })
reader.on('*', (event) => seen.push(`${event.type} ${event.id ?? event.ids ?? event.userId} ${JSON.stringify(event.data)}`))
await new Promise<void>((resolve) => {
  reader.onState((state) => state === 'connected' && resolve())
  reader.connect()
})

// >>> express-server
await hub.publish({ type: 'entity.updated', entity: 'document', id: 'doc_456', projectId: 'proj_123', data: { embeddedChunks: 5 } })
const project = hub.project('proj_123')                               // the same, short
await project.updated('document', 'doc_456', { embeddedChunks: 5, chunks: 10 })
await project.batch('chunk', ['c1', 'c2'], { status: 'embedded' })
await project.emit('lock:acquired', { entityType: 'JobTask', entityId: 7 }, { userId: 'u1', channel: 'locks' })
const stop = hub.listen({ projectId: 'proj_123', type: 'lock:*' }, (event) => {})   // inside the server
// <<<

const heard = new Promise<string>((resolve) => hub.listen({ projectId: 'proj_123', type: 'lock:*' }, ({ type }) => resolve(type)))
await hub.cursor('proj_123')
await project.emit('lock:released', null)
assert.equal(await heard, 'lock:released')
stop()
const last = new Promise<void>((resolve) => reader.on('report:ready', () => resolve()))
await project.emit('report:ready', null)
await last
assert.deepEqual(seen, [
  'entity.updated doc_456 {"embeddedChunks":5}',
  'entity.updated doc_456 {"embeddedChunks":5,"chunks":10}',
  'entity.batch c1,c2 {"status":"embedded"}',
  'lock:acquired u1 {"entityType":"JobTask","entityId":7}',
  'lock:released undefined null',
  'report:ready undefined null',
])
assert.equal((await fetch(`${origin}/api/events/stats`)).status, 403)
const stats = (await (await fetch(`${origin}/api/events/stats`, { headers: { 'x-admin': '1' } })).json()) as { connections: number }
assert.equal(stats.connections, 1)
const left = new Promise<void>((resolve) => reader.onState((state) => state === 'reconnecting' && resolve()))

// >>> express-server
await hub.close({ drainMs: 10_000 })                                  // spreads the reconnects, then ends; never hangs
// <<<

await left
reader.close()
server.close()
await once(server, 'close')
console.log('ran')
