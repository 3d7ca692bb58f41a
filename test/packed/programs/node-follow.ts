// The client's README: a program that follows, and ends when it has nothing else to do. Nothing here closes the subscriber.
import { EventHub } from '@entitycast/sse-server'
import { eventStream } from '@entitycast/sse-server/node'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

const projectId = 'proj_123'
const hub = new EventHub()
const server = createServer(eventStream(hub, { authorize: () => ({ projectId }) })).listen(0, '127.0.0.1')
await once(server, 'listening')
const streamUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/events`
const cache = new Map([['doc_1', 'old'], ['doc_2', 'old']])

// >>> node-follow
import { NodeSubscriber } from '@entitycast/sse-client/node'

const updates = new NodeSubscriber(streamUrl, { projectId, keepProcessAlive: false })
updates.subscribe('document:*', () => cache.clear())
updates.onResync(() => cache.clear())
updates.connect()
// <<<

while (updates.state !== 'connected') await new Promise((turn) => setImmediate(turn))
await hub.project(projectId).updated('document', 'doc_1')
while (cache.size > 0) await new Promise((turn) => setImmediate(turn))

await hub.close({ drainMs: 0 })
server.close()
// It is about to try again, and nobody waits for that.
console.log('ran')
