import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { EventHub } from '@entitycast/sse-server'
import { eventStream } from '@entitycast/sse-server/node'
import { connect, type Target } from '@entitycast/sse-server/testing'
import { describe, expect, it, onTestFinished } from 'vitest'

const grant = { projectId: 'proj_1', userId: 'ann' }

function newHub(): EventHub {
  const hub = new EventHub({ logger: false })
  onTestFinished(() => hub.close())
  return hub
}

async function listening(listener: RequestListener): Promise<string> {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/api/events/stream`
}

const inMemory = async (hub: EventHub): Promise<Target> => ({ hub, grant })
const overHttp = (hub: EventHub): Promise<Target> =>
  listening(eventStream(hub, { authorize: (req) => (req.headers['x-test'] === 'refuse' ? null : grant) }))

describe.each([
  ['a hub in memory', inMemory],
  ['a server of its own', overHttp],
])('[testing] connect to %s', (_, targetOf) => {
  it('[testing] it is connected when connect resolves, and what is published then is received', async () => {
    const hub = newHub()
    const client = await connect(await targetOf(hub))
    expect(hub.connections()).toHaveLength(1)
    await hub.project('proj_1').updated('document', 'doc_1', { chunks: 3 })
    const { data, id } = await client.received('entity.updated')
    expect(data).toMatchObject({ entity: 'document', id: 'doc_1', data: { chunks: 3 } })
    expect(client.cursor).toBe(id)
    client.close()
  })

  it('[testing] each frame is given once, and what lies before it is passed over', async () => {
    const hub = newHub()
    const client = await connect(await targetOf(hub))
    for (const id of ['a', 'b', 'c']) await hub.project('proj_1').updated('document', id)
    expect((await client.received(({ data }) => data.id === 'b')).data.id).toBe('b')
    expect((await client.received('entity.*')).data.id).toBe('c')
    await expect(client.received('entity.*', 20)).rejects.toMatchObject({ code: 'DEADLINE' })
    expect(client.events).toHaveLength(3)
    client.close()
  })

  it('[testing] the error of a wait that has ended says what was waited for, and what came instead', async () => {
    const hub = newHub()
    const client = await connect(await targetOf(hub))
    await hub.project('proj_1').updated('document', 'doc_1')
    await client.received('entity.*')
    const error = await client.received('lock:acquired', 20).catch((thrown: Error) => thrown)
    expect(error).toMatchObject({ name: 'TestClientError', code: 'DEADLINE' })
    expect((error as Error).message).toMatch(
      /"lock:acquired" did not come within 20 ms; it had connected .*, entity\.updated .*doc_1/,
    )
    client.close()
  })

  it('[testing] quiet: what another project is told does not arrive, and what does arrive is an error', async () => {
    const hub = newHub()
    const client = await connect(await targetOf(hub))
    await hub.project('proj_2').updated('document', 'secret')
    await hub.project('proj_1').emit('test:fence', null)
    await client.quiet('test:fence')
    await hub.project('proj_1').updated('document', 'mine')
    await hub.project('proj_1').emit('test:fence', null)
    const error = await client.quiet('test:fence').catch((thrown: Error) => thrown)
    expect(error).toMatchObject({ code: 'NOT_QUIET', message: expect.stringContaining('mine') })
    client.close()
  })

  it('[D3] it goes on at a cursor', async () => {
    const hub = newHub()
    const target = await targetOf(hub)
    const client = await connect(target)
    await hub.project('proj_1').updated('document', 'a')
    await client.received('entity.updated')
    client.close()
    await hub.project('proj_1').updated('document', 'b')
    const next = await connect(target, { lastEventId: client.cursor })
    expect((await next.received('entity.updated')).data.id).toBe('b')
    expect(next.frames[0]?.data.resume).toBe('replayed')
    next.close()
  })

  it('[testing] it reads the channels that it asks for', async () => {
    const hub = newHub()
    const client = await connect(await targetOf(hub), { channels: ['locks'] })
    await hub.project('proj_1').emit('lock:acquired', 1, { channel: 'notes' })
    await hub.project('proj_1').emit('lock:released', 2, { channel: 'locks' })
    await client.quiet('lock:released')
    client.close()
  })

  it('[testing] the end of the stream is seen, and a wait after it does not wait', async () => {
    const hub = newHub()
    const client = await connect(await targetOf(hub))
    await hub.close()
    await client.ended()
    expect((await client.received('closing')).data).toEqual({ reason: 'shutdown' })
    await expect(client.received('entity.*')).rejects.toMatchObject({ code: 'ENDED' })
  })

  it('[testing] a client that leaves is gone from the hub, and its waits end', async () => {
    const hub = newHub()
    const client = await connect(await targetOf(hub))
    const waiting = client.received('entity.*')
    client.close()
    client.close()
    await expect(waiting).rejects.toMatchObject({ code: 'ENDED' })
    await expect.poll(() => hub.connections(), { timeout: 15_000 }).toEqual([])
  })

  it('[testing] text of any kind comes as it was sent', async () => {
    const hub = newHub()
    const client = await connect(await targetOf(hub))
    await hub.project('proj_1').emit('note:added', { text: 'a: b\n\ndata: 1\r\u2028 \u{1f600}' })
    expect((await client.received('note:added')).data.data).toEqual({ text: 'a: b\n\ndata: 1\r\u2028 \u{1f600}' })
    client.close()
  })
})

it('[testing] who is refused is told with which status', async () => {
  const hub = newHub()
  await expect(connect({ hub, grant: null })).rejects.toMatchObject({ code: 'REFUSED', status: 401 })
  const url = (await overHttp(hub)) as string
  const refused = connect(url, { headers: { 'x-test': 'refuse' } })
  await expect(refused).rejects.toMatchObject({
    code: 'REFUSED',
    status: 401,
    message: expect.stringContaining('UNAUTHORIZED'),
  })
  const forbidden = connect({ hub, grant: { ...grant, channels: ['a'] } }, { channels: ['b'] })
  await expect(forbidden).rejects.toMatchObject({ code: 'REFUSED', status: 403 })
})

it('[testing] a server that says nothing, one that ends at once and none at all do not hang it', async () => {
  const silent = await listening(
    (_, res) => void res.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders(),
  )
  await expect(connect(silent, { deadlineMs: 50 })).rejects.toMatchObject({ code: 'DEADLINE' })
  const mute = await listening(() => {})
  await expect(connect(mute, { deadlineMs: 50 })).rejects.toMatchObject({ code: 'DEADLINE' })
  const ends = await listening((_, res) => void res.writeHead(200, { 'content-type': 'text/event-stream' }).end())
  await expect(connect(ends)).rejects.toMatchObject({ code: 'ENDED' })
  const html = await listening((_, res) => void res.writeHead(200, { 'content-type': 'text/html' }).end('<p>hello'))
  await expect(connect(html)).rejects.toMatchObject({
    code: 'REFUSED',
    status: 200,
    message: expect.stringContaining('<p>hello'),
  })
  await expect(connect('http://127.0.0.1:1/')).rejects.toMatchObject({ code: 'ENDED' })
})
