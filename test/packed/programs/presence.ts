// The server and the client of docs/presence.md, in one process: a page that lists who is there, and somebody who comes and goes.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import express from 'express'

const app = express()
const server = app.listen(0, '127.0.0.1')
await once(server, 'listening')
const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
const verify = async (authorization: string | undefined) => ({ projectId: 'proj_123', id: `${authorization}`.replace('Bearer ', '') })

// >>> presence-server
import { EventHub } from '@entitycast/sse-server'
import { eventStream } from '@entitycast/sse-server/express'

const hub = new EventHub({ presence: true })          // with several instances: and an adapter that they share

app.get('/api/events/stream', eventStream(hub, {
  authorize: async (req) => {
    const user = await verify(req.get('authorization'))
    return { projectId: user.projectId, userId: user.id }   // who has no userId counts for nobody
  },
}))
app.get('/api/people', async (req, res) => {
  const { projectId } = await verify(req.get('authorization'))
  const cursor = await hub.cursor(projectId)          // first the cursor, then the people: nobody is missed in between
  res.json({ cursor, people: await hub.presence(projectId) })
})
// <<<

const url = `${origin}/api/events/stream`
const headersOf = (userId: string) => ({ authorization: `Bearer ${userId}` })
const headers = headersOf('u1')
let shown: string[] = []
const show = (now: Iterable<string>) => void (shown = [...now].sort())
const load = async () => (await fetch(`${origin}/api/people`, { headers })).json() as Promise<{ cursor: string; people: { userId: string }[] }>

// >>> presence-client
import { EventSubscriber } from '@entitycast/sse-client'

const first = await load()
const people = new Set(first.people.map(({ userId }) => userId))

const updates = new EventSubscriber(url, { headers, since: first.cursor })
updates.on('user:joined', ({ userId }) => show(people.add(`${userId}`)))
updates.on('user:left', ({ userId }) => show((people.delete(`${userId}`), people)))
updates.onResync(async () => {
  const again = await load()                          // events wait until this is done
  people.clear()
  for (const { userId } of again.people) people.add(userId)
  show(people)
})
updates.connect()
// <<<

const until = async (expected: string[]) => {
  while (JSON.stringify(shown) !== JSON.stringify(expected)) await new Promise((resolve) => setTimeout(resolve, 10))
}
await until(['u1'])
const other = new EventSubscriber(url, { headers: headersOf('u2') })
other.connect()
await until(['u1', 'u2'])
assert.deepEqual((await hub.presence('proj_123')).map(({ userId }) => userId).sort(), ['u1', 'u2'])

// >>> presence-cluster
const { instances, totals } = await hub.clusterStats()      // of all instances; hub.stats() is of this one
const ended = await hub.revoke({ projectId: 'proj_123', userId: 'u2' })   // on all instances; `ended` of this one
// <<<

assert.deepEqual([instances.length, totals.connections, ended], [1, 2, 1])
other.close()
updates.close()
await hub.close()
server.close()
server.closeAllConnections()
await once(server, 'close')
console.log('ran')
