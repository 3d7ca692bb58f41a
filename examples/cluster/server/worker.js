import { createServer } from 'node:http'
import { EventHub } from '@entitycast/sse-server'
import { ClusterAdapter } from '@entitycast/sse-server/cluster'
import { openStream } from '@entitycast/sse-server/node'
import { openDatabase } from './database.js'
import { sendFile } from './files.js'

/* One of several equal processes behind one port. Nothing in it knows of the others: the log does. */

const { PORT = '4330', HOST = '127.0.0.1', DATABASE = 'data/tickets.db', DRAIN_MS = '2000' } = process.env
const PROJECT = 'shop'
const MAX_BODY_BYTES = 10_000

const database = await openDatabase(DATABASE)
const hub = new EventHub({ adapter: new ClusterAdapter() })
const tickets = hub.project(PROJECT)
let stopping = false
/** Changes that are stored, and not yet published. */
const changes = new Set()

/**
 * What is stored is published too, also where this process is leaving.
 *
 * @template Result
 * @param {() => Promise<Result>} work
 * @returns {Promise<Result>}
 */
async function change(work) {
  const running = work()
  changes.add(running)
  try {
    return await running
  } finally {
    changes.delete(running)
  }
}

/** @param {import('node:http').IncomingMessage} req */
async function readBody(req) {
  let text = ''
  for await (const chunk of req) {
    text += chunk
    if (text.length > MAX_BODY_BYTES) throw new Error('the body is too large')
  }
  return JSON.parse(text)
}

/** Whoever is served while this process leaves asks another one the next time. @param {import('node:http').ServerResponse} res */
function endLeaving(res) {
  if (stopping) res.setHeader('connection', 'close')
}

/** @param {import('node:http').IncomingMessage} req @param {import('node:http').ServerResponse} res */
async function answer(req, res) {
  const { pathname } = new URL(req.url ?? '/', 'http://localhost')
  /** @param {number} status @param {unknown} body */
  const json = (status, body) => {
    endLeaving(res)
    res.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  }

  // To see who answers.
  res.setHeader('x-worker', String(process.pid))
  // An application checks here who is asking.
  if (pathname === '/api/events') return openStream(hub, req, res, { projectId: PROJECT, userId: 'somebody' })
  endLeaving(res)
  if (pathname === '/api/tickets' && req.method === 'GET') {
    const cursor = await hub.cursor(PROJECT)
    return json(200, { cursor, tickets: await database.all() })
  }
  if (pathname === '/api/tickets' && req.method === 'POST') {
    const title = String((await readBody(req)).title).slice(0, 200)
    const ticket = await change(async () => {
      const added = await database.add(title)
      await tickets.created('ticket', added.id, added, { version: added.version })
      return added
    })
    return json(201, ticket)
  }
  const [, id] = /^\/api\/tickets\/([\w-]+)\/done$/.exec(pathname) ?? []
  if (id && req.method === 'POST') {
    const ticket = await change(async () => {
      const updated = await database.done(id)
      if (updated) await tickets.updated('ticket', id, { done: true }, { version: updated.version })
      return updated
    })
    return ticket ? json(200, ticket) : json(404, {})
  }
  if (!(await sendFile(pathname, res))) json(404, {})
}

const server = createServer((req, res) => {
  answer(req, res).catch((error) => {
    console.error(error)
    if (res.headersSent) res.destroy()
    else res.writeHead(503).end()
  })
})
server.listen(Number(PORT), HOST)

process.on('SIGTERM', async () => {
  stopping = true
  // First the door: new connections go to the others. Then the streams, spread over a while; their pages resume elsewhere.
  const closed = new Promise((resolve) => server.close(resolve))
  // A change waits for the others' at the database, perhaps for longer than the streams are given.
  await Promise.allSettled(changes)
  await hub.close({ drainMs: Number(DRAIN_MS) })
  server.closeIdleConnections()
  await closed
  database.close()
  // Nothing is left but the channel to the primary.
  process.disconnect()
})
// Ctrl+C reaches all processes of the terminal. The primary decides.
process.on('SIGINT', () => {})
