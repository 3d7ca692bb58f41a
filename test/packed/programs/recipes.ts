// docs/recipes.md: each recipe against a hub, read by our client.
import { applyEntityEvent, type EntityEvent, eventsOf, EventSubscriber } from '@entitycast/sse-client'
import { EventHub } from '@entitycast/sse-server'
import { eventStream } from '@entitycast/sse-server/fetch'
import assert from 'node:assert/strict'

const projectId = 'proj_123'
const hub = new EventHub({ limits: false })
const stream = eventStream(hub, {
  authorize: (request) => ({ projectId, userId: request.headers.get('x-user') ?? 'ann' }),
})
const options = {
  projectId,
  fetch: (url: string, init: object) => stream(new Request(url, init as RequestInit)),
}
const url = 'http://recipes.invalid/stream'
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
const until = async (isSo: () => boolean) => {
  for (let i = 0; !isSo(); i++) {
    assert(i < 2_000, 'it never came')
    await sleep(5)
  }
}
const opened = async (updates: EventSubscriber) => {
  updates.connect()
  await until(() => updates.state === 'connected')
}

// --- Progress
interface Job {
  id: string
  done: number
  total: number
  version: number
}
const table = new Map<string, Job>([['job_1', { id: 'job_1', done: 0, total: 3, version: 0 }]])
const database = {
  async countDone(id: string) {
    const job = table.get(id)!
    table.set(id, { ...job, done: job.done + 1, version: job.version + 1 })
    return table.get(id)!
  },
}
let jobs: Job[] = [...table.values()]
const progress = new EventSubscriber(url, options)
progress.subscribe('job:*', (event) => {
  jobs = applyEntityEvent(jobs, event)
})
progress.onResync(() => {})
await opened(progress)

// >>> recipe-progress
async function work(id: string, parts: (() => Promise<void>)[]) {
  for (const part of parts) {
    await part()
    const { done, version } = await database.countDone(id)       // set done = done + 1, version = version + 1 … returning
    await hub.project(projectId).updated('job', id, { done }, { version })
  }
}
// <<<
await work('job_1', [async () => {}, async () => {}, async () => {}])
await until(() => jobs[0]?.done === 3)
progress.close()

// --- Locks
const held = new Map<string, string>()
const locks = {
  /** insert … on conflict do nothing, and where it has expired */
  async take(id: string, userId: string) {
    if (held.has(id)) return false
    held.set(id, userId)
    return true
  },
  async drop(id: string, userId: string) {
    return held.get(id) === userId && held.delete(id)
  },
  all: async () => [...held].map(([id, userId]) => ({ id, userId })),
}

// >>> recipe-locks-server
export async function lock(id: string, userId: string) {
  if (!(await locks.take(id, userId))) return false               // the database decides, and nobody else
  await hub.project(projectId).created('lock', id, { id, userId })
  return true
}

export async function unlock(id: string, userId: string) {
  if (await locks.drop(id, userId)) await hub.project(projectId).deleted('lock', id)
}
// <<<
const loadLocks = async () => ({ cursor: await hub.cursor(projectId), locks: await locks.all() })

// >>> recipe-locks-client
const loaded = await loadLocks()                                 // { cursor, locks }, as in "Loading and listening"
let shown = loaded.locks
const updates = new EventSubscriber(url, { ...options, since: loaded.cursor })
updates.subscribe('lock:*', (event) => {
  shown = applyEntityEvent(shown, event)
})
updates.onResync(async () => {
  shown = (await loadLocks()).locks
})
updates.connect()
// <<<
assert.equal(await lock('doc_1', 'ann'), true)
assert.equal(await lock('doc_1', 'bob'), false)
await until(() => shown[0]?.userId === 'ann')
await unlock('doc_1', 'bob')
await unlock('doc_1', 'ann')
await until(() => shown.length === 0)
updates.close()

// --- Optimistic updates
interface Document {
  id: string
  title: string
  pages: number
  version: number
}
const rows = new Map<string, Document>([['doc_1', { id: 'doc_1', title: 'Draft', pages: 1, version: 1 }]])
const change = async (fields: Partial<Document>) => {
  const before = rows.get('doc_1')!
  const row = { ...before, ...fields, version: before.version + 1 }
  rows.set('doc_1', row)
  await hub.project(projectId).updated('document', 'doc_1', fields, { version: row.version })
  return row
}
let refuses = false
const api = {
  rename: async (_id: string, title: string) => {
    if (refuses) throw new Error('409')
    return change({ title })
  },
  document: async (id: string) => rows.get(id)!,
}
let documents = [...rows.values()]
let renders: string[] = []
const render = () => renders.push(documents[0]!.title)
const editor = new EventSubscriber(url, options)
editor.onResync(() => {})

// >>> recipe-optimistic
editor.subscribe('document:*', (event) => {
  documents = applyEntityEvent(documents, event)
  render()
})

async function rename(id: string, title: string) {
  documents = documents.map((row) => (row.id === id ? { ...row, title } : row))   // at once, and its version stays
  render()
  const row = await api.rename(id, title).catch(() => api.document(id))           // the row as it is now, whoever won
  documents = documents.map((old) => (old.id === id && row.version >= old.version ? row : old))
  render()
}
// <<<
await opened(editor)
await rename('doc_1', 'Contract')
await change({ pages: 2 })
await until(() => documents[0]!.pages === 2)
assert.deepEqual(documents, [...rows.values()])
refuses = true
renders = []
await rename('doc_1', 'Refused')
assert.deepEqual([renders[0], renders.at(-1)], ['Refused', 'Contract'])
assert.deepEqual(documents, [...rows.values()])
editor.close()

// --- To one user
const received: Record<string, string[]> = { ann: [], bob: [] }
const readers = ['ann', 'bob'].map((user) => {
  const reader = new EventSubscriber(url, { ...options, headers: { 'x-user': user } })
  reader.on('*', ({ type }) => received[user]!.push(type))
  return reader
})
for (const reader of readers) await opened(reader)
const user = { id: 'ann' }

// >>> recipe-one-user
await hub.project(projectId).emit('export:ready', { url: '/exports/7' }, { audience: { users: [user.id] } })
// <<<
await hub.project(projectId).emit('test:fence', null)
await until(() => received.bob!.length === 1 && received.ann!.length === 2)
assert.deepEqual(received, { ann: ['export:ready', 'test:fence'], bob: ['test:fence'] })
for (const reader of readers) reader.close()

// --- Inside the server
const forgotten: string[] = []
const cache = { delete: (id: string) => forgotten.push(id), clear: () => forgotten.push('*') }

// >>> recipe-cache
const stop = hub.listen(
  { projectId, pattern: 'document:*' },
  (event) => { for (const id of event.ids ?? [event.id]) cache.delete(id) },
  { onResync: () => cache.clear() },                              // events may have been missed
)
// <<<
await hub.cursor(projectId)
await until(() => {
  void hub.project(projectId).batch('document', ['doc_1', 'doc_2'])
  return forgotten.includes('doc_2')
})
stop()

// --- A program that follows
const indexed: string[] = []
const index = async (event: EntityEvent) => void indexed.push(event.id ?? 'batch')
const indexAll = async () => {}
const controller = new AbortController()
const { signal } = controller
const follower = new EventSubscriber(url, options)

// >>> recipe-follow
follower.onResync(() => indexAll())                               // before the events behind the gap
follower.connect()
const loop = async () => {
  for await (const event of eventsOf(follower, 'document:*', { signal })) await index(event)
}
// <<<
const following = loop()
await until(() => follower.state === 'connected')
await hub.project(projectId).updated('document', 'doc_9')
await until(() => indexed.includes('doc_9'))
controller.abort()
await following.catch((error) => assert.equal(error.name, 'AbortError'))
follower.close()

// --- Signed out
const ended: string[] = []
const visitor = new EventSubscriber(url, options)
visitor.onError(({ code, retrying }) => ended.push(`${code} ${retrying}`))
await opened(visitor)
const sessions = { end: async (_userId: string) => {} }

// >>> recipe-signed-out
async function signOut(userId: string) {
  await sessions.end(userId)                                      // first the right, so that no new stream is opened
  await hub.revoke({ projectId, userId })                         // then the streams: nothing more is written to them
}
// <<<
await signOut('ann')
await until(() => ended.includes('REVOKED false'))
visitor.close()

await hub.close()
console.log('ran')
