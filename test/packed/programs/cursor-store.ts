// The client's README: a cursor that outlives the page. A reload is another subscriber over the same storage.
import { EventHub } from '@entitycast/sse-server'
import { eventStream } from '@entitycast/sse-server/node'
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

const projectId = 'proj_123'
const user = { id: 'ada' }
const hub = new EventHub()
const server = createServer(eventStream(hub, { authorize: () => ({ projectId }) })).listen(0, '127.0.0.1')
await once(server, 'listening')
const streamUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/events`
const kept = new Map<string, string>()
const storage = {
  getItem: (key: string) => kept.get(key) ?? null,
  setItem: (key: string, value: string) => void kept.set(key, value),
  removeItem: (key: string) => void kept.delete(key),
}
Object.assign(globalThis, { sessionStorage: storage })

// >>> cursor-store
import { EventSubscriber, sessionCursor } from '@entitycast/sse-client'

const updates = new EventSubscriber(streamUrl, { projectId, identity: user.id, cursorStore: sessionCursor() })
updates.connect()
// <<<

const seen: string[] = []
const see = (page: string, subscriber: typeof updates) =>
  subscriber.subscribe('document:*', ({ id }) => void seen.push(`${page} ${id}`))
const until = async (what: string) => {
  while (!seen.includes(what)) await new Promise((turn) => setImmediate(turn))
}
see('first', updates)
while (updates.state !== 'connected') await new Promise((turn) => setImmediate(turn))
await hub.project(projectId).updated('document', 'doc_1')
await until('first doc_1')
updates.close()
assert.equal(kept.size, 1)

await hub.project(projectId).updated('document', 'doc_2')
{
  using reloaded = new EventSubscriber(streamUrl, { projectId, identity: user.id, cursorStore: sessionCursor() })
  see('second', reloaded)
  reloaded.connect()
  await until('second doc_2')
}
// Somebody else in the same tab.
using other = new EventSubscriber(streamUrl, { projectId, identity: 'bob', cursorStore: sessionCursor() })
see('other', other)
other.connect()
while (other.state !== 'connected') await new Promise((turn) => setImmediate(turn))
await hub.project(projectId).updated('document', 'doc_3')
await until('other doc_3')
assert.deepEqual(seen, ['first doc_1', 'second doc_2', 'other doc_3'])

other.close()
await hub.close()
server.close()
console.log('ran')
