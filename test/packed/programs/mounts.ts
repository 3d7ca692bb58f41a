// `/node`, `/fastify` and `/fetch` with the same hub, each read by our client; and events that are defined once.
import { EventSubscriber } from '@entitycast/sse-client'
import { EventHub } from '@entitycast/sse-server'
import { eventStream as fastifyStream } from '@entitycast/sse-server/fastify'
import { eventStream as fetchStream } from '@entitycast/sse-server/fetch'
import { eventStream as nodeStream } from '@entitycast/sse-server/node'
import fastify from 'fastify'
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

// >>> define-events
import { defineEvents } from '@entitycast/sse-protocol'
import { z } from 'zod'

export const events = defineEvents({
  entities: { document: z.object({ chunks: z.number(), embeddedChunks: z.number() }).partial() },
  named: { 'lock:acquired': z.object({ entityId: z.number() }) },
})
// <<<
const hub = new EventHub({ events })
const authorize = () => ({ projectId: 'proj_123' })

const listener: (req: IncomingMessage, res: ServerResponse) => void = nodeStream(hub, { authorize })
const plain = createServer(listener).listen(0, '127.0.0.1')
await once(plain, 'listening')
const app = fastify()
await app.register(fastifyStream, { hub, authorize, path: '/api/events/stream' })
const fastifyOrigin = await app.listen({ port: 0, host: '127.0.0.1' })
const handle: (request: Request) => Promise<Response> = fetchStream(hub, { authorize })

const readers = [
  new EventSubscriber<typeof events>(`http://127.0.0.1:${(plain.address() as AddressInfo).port}`),
  new EventSubscriber<typeof events>(`${fastifyOrigin}/api/events/stream`),
  new EventSubscriber<typeof events>('http://fetch.invalid/stream', { fetch: (url, init) => handle(new Request(url, init as RequestInit)) }),
]
const arrived = readers.map(
  (reader) =>
    new Promise<number | undefined>((resolve) => {
      reader.subscribe('document:*', (event) => resolve(event.data?.embeddedChunks))
    }),
)
await Promise.all(
  readers.map(
    (reader) =>
      new Promise<void>((resolve) => {
        reader.onState((state) => state === 'connected' && resolve())
        reader.connect()
      }),
  ),
)
await hub.project('proj_123').updated('document', 'doc_456', { embeddedChunks: 5 })
assert.deepEqual(await Promise.all(arrived), [5, 5, 5])

// @ts-expect-error the schema says number
const wrong = hub.project('proj_123').updated('document', 'doc_456', { embeddedChunks: 'five' })
await assert.rejects(wrong, { code: 'INVALID_DATA' })
// @ts-expect-error not defined
await assert.rejects(hub.project('proj_123').emit('lock:broken', { embeddedChunks: 5 }), { code: 'UNKNOWN_EVENT' })

for (const reader of readers) reader.close()
await app.close()
await hub.close()
plain.close()
console.log('ran')
