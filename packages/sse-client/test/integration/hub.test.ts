import { createServer, type Server } from 'node:http'
import type { Socket } from 'node:net'
import { EventHub, type EventHubOptions, type Grant } from '@entitycast/sse-server'
import { eventStream } from '@entitycast/sse-server/node'
import { expect, onTestFinished, test } from 'vitest'
import { ownPort } from '../../../sse-server/test/support/ports'
import { applyEntityEvent } from '../../src/index'
import { follow, until } from '../support/server'

const PROJECT = 'proj_1'
const all: Grant = { projectId: PROJECT, userId: 'u1', channels: 'all' }

interface Running {
  hub: EventHub
  url: string
  port: number
  /** Cuts every connection, as a network does. */
  cut(): void
  stop(): Promise<void>
}

type Authorize = (authorization: string | undefined) => Grant | null

async function run(options: EventHubOptions = {}, authorize: Authorize = () => all, at?: number): Promise<Running> {
  const hub = new EventHub({ logger: false, ...options })
  const server: Server = createServer(
    eventStream(hub, { authorize: (request) => authorize(request.headers.authorization as string | undefined) }),
  )
  const sockets = new Set<Socket>()
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  // Where another one is to follow at the same, nobody else is given it meanwhile.
  const port = at ?? (await ownPort())
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  const cut = () => {
    for (const socket of sockets) socket.resetAndDestroy()
  }
  let stopped: Promise<void> | undefined
  const stop = () => {
    stopped ??= (async () => {
      await hub.close({ drainMs: 0 })
      cut()
      await new Promise((resolve) => server.close(resolve))
    })()
    return stopped
  }
  onTestFinished(stop)
  return { hub, url: `http://127.0.0.1:${port}/events`, port, cut, stop }
}

test('[D1, W12] what is published is what a handler sees', async () => {
  const { hub, url } = await run()
  const page = follow(url, { projectId: PROJECT })
  await until(() => expect(page.subscriber.state).toBe('connected'))
  const project = hub.project(PROJECT)
  await project.created('document', 'doc_1', { chunks: 12 }, { version: 1, userId: 'u2', channel: 'documents' })
  await project.batch('chunk', ['c1', 'c2'], { status: 'embedded' })
  await project.emit('lock:acquired', { entityId: 7 })
  await project.deleted('document', 'doc_1')
  await until(() => expect(page.events).toHaveLength(4))
  expect(page.events).toMatchObject([
    {
      type: 'entity.created',
      entity: 'document',
      id: 'doc_1',
      projectId: PROJECT,
      data: { chunks: 12 },
      version: 1,
      userId: 'u2',
      channel: 'documents',
    },
    { type: 'entity.batch', entity: 'chunk', id: null, ids: ['c1', 'c2'], data: { status: 'embedded' } },
    { type: 'lock:acquired', data: { entityId: 7 } },
    { type: 'entity.deleted', id: 'doc_1' },
  ])
  expect(page.subscriber.cursor).toBe(await hub.cursor(PROJECT))
})

test('[D3] through a network that is cut again and again each event comes once, in order', async () => {
  const { hub, url, cut } = await run()
  const page = follow(url)
  const got: unknown[] = []
  page.subscriber.on('count:up', ({ data }) => got.push(data))
  await until(() => expect(page.subscriber.state).toBe('connected'))
  const project = hub.project(PROJECT)
  for (let round = 0; round < 6; round++) {
    for (let i = 0; i < 50; i++) await project.emit('count:up', round * 50 + i)
    // In the middle of whatever is on its way, and once while nobody listens.
    cut()
    if (round % 2 === 0) await until(() => expect(page.subscriber.state).toBe('connected'))
  }
  await until(() => expect(got).toHaveLength(300))
  expect(got).toEqual(Array.from({ length: 300 }, (_, i) => i))
  expect(page.resyncs).toEqual([])
})

test('[D3] updates that were missed come merged, and the rows end as they are on the server', async () => {
  const { hub, url, cut } = await run()
  const project = hub.project(PROJECT)
  let rows = ['a', 'b', 'c'].map((id) => ({ id, n: 0 }))
  const page = follow(url)
  page.subscriber.subscribe('document:*', (event) => {
    rows = applyEntityEvent(rows, event)
  })
  await until(() => expect(page.subscriber.state).toBe('connected'))
  cut()
  for (let n = 1; n <= 100; n++) for (const id of ['a', 'b']) await project.updated('document', id, { n })
  await project.deleted('document', 'c')
  await until(() =>
    expect(rows).toEqual([
      { id: 'a', n: 100 },
      { id: 'b', n: 100 },
    ]),
  )
  expect(page.resyncs).toEqual([])
})

test('[D4] a server that has lost its memory says so: one resync, and then what comes after', async () => {
  const first = await run()
  const page = follow(first.url)
  await until(() => expect(page.subscriber.state).toBe('connected'))
  await first.hub.project(PROJECT).updated('document', 'a', {})
  await until(() => expect(page.ids).toContain('a'))
  await first.stop()
  await until(() => expect(page.subscriber.state).toBe('reconnecting'))
  const second = await run({}, () => all, first.port)
  await until(() => expect(page.subscriber.state).toBe('connected'))
  await second.hub.project(PROJECT).updated('document', 'b', {})
  await until(() => expect(page.ids).toEqual(['a', 'b']))
  expect(page.resyncs).toEqual(['epoch'])
})

test('[D4] what was published between loading and listening is not missed', async () => {
  const { hub, url } = await run()
  const project = hub.project(PROJECT)
  await project.updated('document', 'before', {})
  const since = await hub.cursor(PROJECT)
  await project.updated('document', 'between', {})
  const page = follow(url, { since })
  await until(() => expect(page.ids).toEqual(['between']))
  expect(page.resyncs).toEqual([])
})

test('[W15] a page whose channels are quiet keeps a cursor at the head', async () => {
  const { hub, url } = await run({ heartbeatIntervalMs: 100 })
  const page = follow(url, { channels: ['quiet'] })
  await until(() => expect(page.subscriber.state).toBe('connected'))
  for (let i = 0; i < 20; i++) await hub.project(PROJECT).emit('noise:made', i, { channel: 'loud' })
  const head = await hub.cursor(PROJECT)
  await until(() => expect(page.subscriber.cursor).toBe(head))
  expect(page.events).toEqual([])
})

test('[S5] a grant that ends costs fresh headers, and no event', async () => {
  const asked: (string | undefined)[] = []
  const { hub, url } = await run({}, (authorization) =>
    authorization === 'Bearer undefined' ? { ...all, expiresAt: Date.now() + 300 } : all,
  )
  const page = follow(url, {
    headers: ({ reason }) => {
      asked.push(reason)
      return { authorization: `Bearer ${reason}` }
    },
  })
  await until(() => expect(page.subscriber.state).toBe('connected'))
  for (let i = 0; !asked.includes('expired'); i++) {
    await hub.project(PROJECT).emit('count:up', i)
    await new Promise(setImmediate)
  }
  await hub.project(PROJECT).emit('count:end', 'end')
  await until(() => expect(page.events.at(-1)?.data).toBe('end'))
  const counts = page.events.slice(0, -1).map(({ data }) => data)
  expect(counts).toEqual(counts.map((_, i) => i))
  expect([page.errors, page.resyncs, asked]).toEqual([[], [], [undefined, 'expired']])
})

test('[D8] revoked: nothing after it, and no return', async () => {
  const { hub, url } = await run()
  const page = follow(url)
  await until(() => expect(page.subscriber.state).toBe('connected'))
  void hub.revoke({ userId: 'u1' })
  await hub.project(PROJECT).updated('document', 'a', {})
  await until(() => expect(page.subscriber.state).toBe('disconnected'))
  expect([page.codes, page.events]).toEqual([['REVOKED'], []])
})

test('[C1] without credentials: 401, fresh headers once, and stop', async () => {
  const asked: unknown[] = []
  const { url } = await run({}, (authorization) => {
    asked.push(authorization)
    return null
  })
  const page = follow(url)
  await until(() => expect(page.subscriber.state).toBe('disconnected'))
  expect([page.codes, asked.length]).toEqual([['UNAUTHORIZED'], 2])
})

test("[R5] another project than the grant's: 403, and stop", async () => {
  const { url } = await run()
  const page = follow(url, { projectId: 'größer' })
  await until(() => expect(page.subscriber.state).toBe('disconnected'))
  expect(page.errors).toMatchObject([{ code: 'FORBIDDEN', status: 403 }])
})

test('[R5] a project whose id no header can carry is reached', async () => {
  const { url } = await run({}, () => ({ ...all, projectId: 'größer 😀' }))
  const page = follow(url, { projectId: 'größer 😀' })
  await until(() => expect(page.subscriber.state).toBe('connected'))
})

test('[S7] a server that shuts down is left without an error, and what replaces it is found', async () => {
  const first = await run()
  const page = follow(first.url)
  await until(() => expect(page.subscriber.state).toBe('connected'))
  await first.stop()
  await run({}, () => all, first.port)
  await until(() => expect(page.states).toEqual(['connecting', 'connected', 'reconnecting', 'connected']))
  // The port was closed for a moment.
  expect(page.codes.filter((code) => code !== 'NETWORK')).toEqual([])
})

test('[L6, W22] streams whose grants end are renewed before: no state changes, and each event comes once, in order', async () => {
  let logins = 0
  const authorize: Authorize = (authorization) => ({ ...all, expiresAt: Number(authorization) })
  const { hub, url } = await run({}, authorize)
  const reasons: unknown[] = []
  const page = follow(url, {
    headers: ({ reason }) => {
      logins++
      reasons.push(reason)
      return { authorization: String(Date.now() + 2_000) }
    },
  })
  const got: unknown[] = []
  page.subscriber.on('count:up', ({ data }) => got.push(data))
  await until(() => expect(page.subscriber.state).toBe('connected'))
  const project = hub.project(PROJECT)
  let sent = 0
  while (logins < 3) {
    await project.emit('count:up', sent++)
    await new Promise((resolve) => setImmediate(resolve))
  }
  await until(() => expect(got).toHaveLength(sent))
  expect(got).toEqual(Array.from({ length: sent }, (_, i) => i))
  expect(page.resyncs).toEqual([])
  await until(() => expect(hub.stats().connections).toBe(1))
  // On a machine that is busy a renewal may come too late: then the server says so.
  if (reasons.every((reason) => reason !== 'expired')) expect(page.states).toEqual(['connecting', 'connected'])
})
