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
const table: Document[] = ['doc_1', 'doc_2', 'doc_3'].map((id) => ({ id, chunks: 99, embeddedChunks: 0, version: 0 }))
/** What happens between the cursor and the rows, and between the rows and the answer. */
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
// In the rows, and in the log after the cursor.
beforeRead = embed
// In the log only: were it not for `since`, nobody would ever tell the page.
afterRead = () => embedChunk('doc_2')
/** What the page waits for before it takes the answer. */
let beforeAnswer = async () => {}
const load = async (): Promise<{ cursor: string; documents: Document[] }> => {
  const answer = (await (await fetch(`${origin}/api/documents`)).json()) as { cursor: string; documents: Document[] }
  // Between the answer and the opening of the stream.
  await embed()
  await beforeAnswer()
  return answer
}

// >>> loading-client
import { applyEntityEvent, EventSubscriber } from '@entitycast/sse-client'

let { cursor, documents } = await load()

const updates = new EventSubscriber(streamUrl, { projectId, since: cursor })
updates.subscribe('document:*', (event) => {
  documents = applyEntityEvent(documents, event)      // leaves a row alone that is as new as the event
})
updates.onResync(async () => {
  documents = (await load()).documents                // events wait until this is done, and are then applied to the new rows
})
updates.connect()
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

assert.deepEqual(shown(), ['doc_1 1', 'doc_2 0', 'doc_3 0'], 'the first change is in the rows already')
await settled()
assert.deepEqual(shown(), ['doc_1 2', 'doc_2 1', 'doc_3 0'])
assert.deepEqual(shown(), stored())

// While the stream is open.
await embed()
await settled()
assert.deepEqual(shown(), stored())

// The page is away for longer than the log is kept, and comes back: resync. What changes while it loads again arrives before the answer.
let resyncs = 0
updates.onResync(() => void resyncs++)
updates.close()
for (let i = 0; i < 8; i++) await embed()
const seen = new Set<number>()
const witness = new EventSubscriber(streamUrl, { projectId, since: await hub.cursor(projectId) })
witness.subscribe('document:doc_2', ({ version }) => void seen.add(version ?? -1))
witness.connect()
const reloaded = new Promise<void>((resolve) => {
  beforeAnswer = async () => {
    // Whoever does not hold events back has had this one by now.
    while (!seen.has(2)) await new Promise((turn) => setImmediate(turn))
    resolve()
  }
})
updates.connect()
await reloaded
await settled()
witness.close()
assert.equal(resyncs, 1)
assert.deepEqual(shown(), ['doc_1 13', 'doc_2 2', 'doc_3 0'])
assert.deepEqual(shown(), stored())

// Two requests changed a document, and the first one's event came last: after rows that have both.
updates.close()
beforeAnswer = async () => {}
table[2] = { id: 'doc_3', chunks: 99, embeddedChunks: 2, version: 2 }
documents = (await load()).documents
updates.connect()
await hub.project(projectId).updated('document', 'doc_3', { embeddedChunks: 1 }, { version: 1 })
await settled()
assert.deepEqual(shown(), stored())

updates.close()
await hub.close()
server.close()
console.log('ran')
