// The two programs of docs/loading-and-listening.md against one database, with a change in every gap that there is.
import { EventHub } from '@entitycast/sse-server'
import { eventStream } from '@entitycast/sse-server/express'
import express from 'express'
import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'

interface Document {
  id: string
  chunks: number
  embeddedChunks: number
  version: number
}

const projectId = 'proj_123'
const hub = new EventHub({ retention: { events: 5 } })
const table: Document[] = [{ id: 'doc_1', chunks: 12, embeddedChunks: 0, version: 0 }]
/** What happens between the cursor and the rows, once; and between the rows and the answer. */
let beforeRead = async () => {}
let afterRead = async () => {}
const database = {
  async documents(): Promise<Document[]> {
    await beforeRead()
    const rows = structuredClone(table)
    await afterRead()
    return rows
  },
  async countEmbedded(id: string): Promise<Document> {
    const row = table.find((one) => one.id === id) ?? assert.fail(`no ${id}`)
    row.embeddedChunks++
    row.version++
    return structuredClone(row)
  },
}
const app = express()
const server = app.listen(0, '127.0.0.1')
await once(server, 'listening')
const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
const streamUrl = `${origin}/api/events/stream`
app.get('/api/events/stream', eventStream(hub, { authorize: () => ({ projectId }) }))

// >>> loading-server
app.get('/api/documents', async (_req, res) => {
  const cursor = await hub.cursor(projectId)          // first the cursor …
  res.json({ cursor, documents: await database.documents() })   // … then the rows
})

export async function embedChunk(id: string) {
  const { embeddedChunks, version } = await database.countEmbedded(id)   // one statement: … set version = version + 1 returning …
  await hub.project(projectId).updated('document', id, { embeddedChunks }, { version })
}
// <<<

const embed = () => embedChunk('doc_1')
// In the rows and in the log after the cursor; and in neither, were it not for `since`.
beforeRead = embed
afterRead = embed
const load = async (): Promise<{ cursor: string; documents: Document[] }> => {
  const answer = (await (await fetch(`${origin}/api/documents`)).json()) as { cursor: string; documents: Document[] }
  // Between the answer and the opening of the stream.
  await embed()
  return answer
}

// >>> loading-client
import { applyEntityEvent, type EntityEvent, EventSubscriber } from '@entitycast/sse-client'

let { cursor, documents } = await load()
let arriving: EntityEvent[] | undefined

const updates = new EventSubscriber(streamUrl, { projectId, since: cursor })
updates.subscribe('document:*', (event) => {
  arriving?.push(event)
  apply(event)
})
updates.onResync(async () => {
  const late: EntityEvent[] = (arriving = [])
  const loaded = await load()
  if (late !== arriving) return                                         // another resync came, and loads again
  arriving = undefined
  documents = loaded.documents
  for (const event of late) apply(event)
})
updates.connect()

function apply(event: EntityEvent) {
  const known = documents.find(({ id }) => id === event.id)?.version ?? -1
  if (event.version !== undefined && event.version <= known) return    // the rows already have it
  documents = applyEntityEvent(documents, event)
}
// <<<

/** All that was published has arrived: a sentinel is the last of it. */
async function settled() {
  const fence = new Promise<void>((resolve) => {
    const off = updates.on('test:fence', () => {
      off()
      resolve()
    })
  })
  await hub.project(projectId).emit('test:fence', null)
  await fence
}
const shown = () => documents.map(({ id, embeddedChunks }) => `${id} ${embeddedChunks}`)
const stored = () => table.map(({ id, embeddedChunks }) => `${id} ${embeddedChunks}`)

assert.equal(documents[0]?.embeddedChunks, 1, 'the first change is in the rows already')
await settled()
assert.deepEqual(stored(), ['doc_1 3'])
assert.deepEqual(shown(), stored())

// While the stream is open.
await embed()
await settled()
assert.deepEqual(shown(), stored())

// The page is away for longer than the log is kept, and comes back: resync, and changes while it loads again.
let resyncs = 0
updates.onResync(() => void resyncs++)
updates.close()
for (let i = 0; i < 8; i++) await embed()
const reloaded = new Promise<void>((resolve) => {
  const arrive = afterRead
  afterRead = async () => {
    await arrive()
    afterRead = arrive
    resolve()
  }
})
updates.connect()
await reloaded
while (arriving) await settled()
await settled()
assert.equal(resyncs, 1)
assert.deepEqual(shown(), stored())
assert.equal(stored()[0], 'doc_1 15')

updates.close()
await hub.close()
server.close()
console.log('ran')
