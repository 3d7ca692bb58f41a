// A page that waits for a moment of its own before it loads again, as docs/loading-and-listening.md has it; and whose first loading fails.
import { EventSubscriber } from '@entitycast/sse-client'
import { EventHub } from '@entitycast/sse-server'
import { eventStream } from '@entitycast/sse-server/node'
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'

const projectId = 'proj_123'
const hub = new EventHub({ retention: { events: 5 } })
const server = http.createServer(eventStream(hub, { authorize: () => ({ projectId }) })).listen(0, '127.0.0.1')
await once(server, 'listening')
// The shortest moment is long enough here.
Math.random = () => 0

let loads = 0
let documents: string[] = []
const load = async () => {
  assert.equal(updates.state, 'resyncing')
  if (++loads === 1) throw new Error('503')
  return { documents: ['doc_1'] }
}
const updates = new EventSubscriber(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, {
  projectId,
  since: await hub.cursor(projectId),
})
const errors: string[] = []
updates.onError(({ code }) => errors.push(code))

// >>> loading-many
updates.onResync(async () => {
  await new Promise((go) => setTimeout(go, Math.random() * 5_000))
  documents = (await load()).documents
})
// <<<

// More than is kept: the page has to load again.
for (let i = 0; i < 8; i++) await hub.project(projectId).updated('document', 'doc_1')
const connected = new Promise<void>((resolve) => updates.onState((state) => state === 'connected' && loads > 1 && resolve()))
updates.connect()
await connected
assert.deepEqual([loads, documents, errors], [2, ['doc_1'], ['HANDLER_FAILED']])

updates.close()
await hub.close()
server.close()
console.log('ran')
