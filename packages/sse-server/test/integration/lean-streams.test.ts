import { once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener, request, ServerResponse } from 'node:http'
import { createServer as createSecureServer, request as requestSecurely } from 'node:https'
import { connect, type Socket } from 'node:net'
import { EventHub, type EventHubOptions } from '@entitycast/sse-server'
import { eventStream, leanStreams } from '@entitycast/sse-server/node'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { PSK } from '../support/psk'
import { listening } from './listening'
import { StreamClient } from './stream-client'

const WAIT = { timeout: 15_000 }
const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function start(
  wrap: (stream: RequestListener) => RequestListener = (stream) => stream,
  {
    compression,
    server: serverOptions = {},
    ...options
  }: EventHubOptions & { compression?: 'gzip'; server?: object } = {},
) {
  const hub = new EventHub({ logger: false, ...options })
  const http = createServer(
    serverOptions,
    wrap(eventStream(hub, { compression, authorize: () => ({ projectId: 'p1' }) })),
  )
  leanStreams(http)
  const server = await listening(http)
  cleanups.push(async () => {
    await hub.close()
    await server.close()
  })
  return { hub, http, server, project: hub.project('p1'), port: Number(new URL(server.url).port) }
}

async function dial(port: number, text: string): Promise<Socket> {
  const socket = connect(port, '127.0.0.1').on('error', () => {})
  cleanups.push(() => socket.destroy())
  await once(socket, 'connect')
  socket.write(text)
  return socket
}

describe('leanStreams', () => {
  it('lets go of the request and the response when the stream is open, and the stream goes on', async () => {
    const closed: string[] = []
    const { server, project, hub } = await start((stream) => (req, res) => {
      req.on('close', () => closed.push('request'))
      res.on('close', () => closed.push('response'))
      stream(req, res)
    })
    const client = await StreamClient.open(server.url)
    await client.next('connected')
    await vi.waitFor(() => expect(closed.sort()).toEqual(['request', 'response']), WAIT)
    await project.updated('document', 'd1', { text: 'ü' })
    expect((await client.next('entity.updated')).data).toMatchObject({ id: 'd1', data: { text: 'ü' } })
    expect(hub.stats().connections).toBe(1)
    client.close()
    await vi.waitFor(() => expect(hub.stats().connections).toBe(0), WAIT)
  })

  it('is to a middleware a response that is complete, and a request that nobody broke off', async () => {
    const heard: string[] = []
    const { server, project } = await start((stream) => (req, res) => {
      for (const name of ['end', 'error', 'aborted', 'close']) req.on(name, () => heard.push(`request ${name}`))
      for (const name of ['finish', 'error', 'close']) res.on(name, () => heard.push(`response ${name}`))
      stream(req, res)
    })
    const client = await StreamClient.open(server.url)
    await client.next('connected')
    await vi.waitFor(() => expect(heard).toContain('response close'), WAIT)
    expect(heard).toContain('response finish')
    expect(heard).not.toContain('request error')
    expect(heard).not.toContain('request aborted')
    await project.updated('document', 'd1')
    await client.next('entity.updated')
    expect(client.text).not.toContain('\n0\r\n')
    client.close()
  })

  it('goes on for a client that wants no other answer on its connection', async () => {
    const { port, hub, project } = await start()
    const socket = await dial(port, 'GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')
    let text = ''
    socket.on('data', (bytes) => {
      text += bytes
    })
    await vi.waitFor(() => expect(text).toContain('event: connected'), WAIT)
    await project.updated('document', 'd1')
    await vi.waitFor(() => expect(text).toContain('event: entity.updated'), WAIT)
    const closed = once(socket, 'close')
    await Promise.all([hub.close(), closed])
    expect(text).toContain('event: closing')
    expect(text.endsWith('\r\n0\r\n\r\n')).toBe(true)
  })

  it('ends a stream whole, so that nobody takes it for one that was cut', async () => {
    const { server, hub } = await start()
    const client = await StreamClient.open(server.url)
    await client.next('connected')
    await hub.close()
    await client.ended
    expect(client.response.complete).toBe(true)
    expect(client.text).toContain('event: closing')
  })

  it('leaves a response alone that a middleware has wrapped', async () => {
    let closed = false
    const { server, project } = await start((stream) => (req, res) => {
      res.write = ServerResponse.prototype.write.bind(res)
      res.on('close', () => {
        closed = true
      })
      stream(req, res)
    })
    const client = await StreamClient.open(server.url)
    await client.next('connected')
    await project.updated('document', 'd1')
    await client.next('entity.updated')
    expect(closed).toBe(false)
    client.close()
  })

  it('sends what is compressed compressed', async () => {
    const { server, project } = await start(undefined, { compression: 'gzip' })
    const client = await StreamClient.open(server.url, { headers: { 'accept-encoding': 'gzip' } })
    expect(client.headers['content-encoding']).toBe('gzip')
    await client.next('connected')
    await project.updated('document', 'd1', { text: 'x'.repeat(1_000) })
    expect((await client.next('entity.updated')).data).toMatchObject({ id: 'd1' })
    client.close()
  })

  it('gives nothing to a reader who is behind, and the newest when there is room again', async () => {
    const { server, project, hub } = await start()
    const client = await StreamClient.open(server.url, { paused: true })
    for (let n = 0; hub.stats().lagging === 0; n++) {
      await project.updated('document', 'd1', { n, text: 'x'.repeat(50_000) })
      await new Promise((resolve) => setImmediate(resolve))
    }
    await project.updated('document', 'd1', { last: true })
    client.resume()
    await vi.waitFor(() => expect(client.events.at(-1)?.data).toMatchObject({ data: { last: true } }), WAIT)
    expect(hub.stats()).toMatchObject({ lagging: 0, resyncs: {} })
    client.close()
  })

  it('notices a client that says that it will send no more', async () => {
    const { port, hub } = await start()
    const socket = await dial(port, 'GET / HTTP/1.1\r\nhost: x\r\n\r\n')
    await vi.waitFor(() => expect(hub.stats().connections).toBe(1), WAIT)
    socket.resume().end()
    await vi.waitFor(() => expect(hub.stats().connections).toBe(0), WAIT)
  })

  it('serves other requests on kept connections, with bodies larger than every buffer', async () => {
    const { server } = await start((stream) => (req, res) => {
      if (req.method !== 'POST') stream(req, res)
      else req.pipe(res)
    })
    const sent = Buffer.alloc(3_000_000, 'entity')
    for (let n = 0; n < 3; n++) {
      const outgoing = request(server.url, { method: 'POST' })
      outgoing.end(sent)
      const [answer] = (await once(outgoing, 'response')) as [IncomingMessage]
      const received: Buffer[] = []
      for await (const piece of answer) received.push(piece as Buffer)
      expect(Buffer.concat(received).equals(sent)).toBe(true)
    }
  })

  it('tells of room also where only the socket below was full', async () => {
    let lent: Socket | undefined
    let below: Socket | undefined
    const { port, http } = await start(() => (req) => {
      lent = req.socket
    })
    http.on('connection', (socket: Socket) => {
      below = socket
    })
    const client = await dial(port, 'GET / HTTP/1.1\r\nhost: x\r\n\r\n')
    client.resume()
    await vi.waitFor(() => expect(lent).toBeDefined(), WAIT)
    const [stream, socket] = [lent, below] as unknown as [Socket, Socket]
    socket.cork()
    socket.write('-'.repeat(1_000))
    expect(stream.write('-'.repeat(stream.writableHighWaterMark - 1))).toBe(true)
    expect(stream.writableLength).toBeGreaterThan(0)
    const drained = once(stream, 'drain')
    socket.uncork()
    await drained
    expect(stream.writableLength).toBe(0)
  })

  it('keeps the time limits of the server for requests that do not come to an end', async () => {
    const limits = { headersTimeout: 1_000, requestTimeout: 1_000, connectionsCheckingInterval: 50 }
    const { port, hub } = await start(undefined, { server: limits })
    const stream = await dial(port, 'GET / HTTP/1.1\r\nhost: x\r\n\r\n')
    stream.resume()
    await vi.waitFor(() => expect(hub.stats().connections).toBe(1), WAIT)
    const slow = await dial(port, 'GET / HTTP/1.1\r\nhost: x\r\n')
    const [answer] = (await once(slow, 'data')) as [Buffer]
    expect(String(answer)).toMatch(/^HTTP\/1.1 408 /)
    await once(slow, 'close')
    // An open stream is not a request that does not come to an end.
    expect(hub.stats().connections).toBe(1)
  })

  it('works over TLS, and a request still knows that it came that way', async () => {
    const hub = new EventHub({ logger: false })
    const seen: unknown[] = []
    const stream = eventStream(hub, { authorize: () => ({ projectId: 'p1' }) })
    const http = createSecureServer(PSK.server, (req, res) => {
      seen.push((req.socket as { encrypted?: boolean }).encrypted, req.socket.remoteAddress)
      stream(req, res)
    })
    leanStreams(http)
    const server = await listening(http)
    cleanups.push(async () => {
      await hub.close()
      await server.close()
    })
    const port = Number(new URL(server.url).port)
    const outgoing = requestSecurely({ ...PSK.client, host: '127.0.0.1', port, agent: false }).end()
    const [answer] = (await once(outgoing, 'response')) as [IncomingMessage]
    let text = ''
    answer.setEncoding('utf8').on('data', (piece) => {
      text += piece
    })
    answer.on('error', () => {})
    await vi.waitFor(() => expect(text).toContain('event: connected'), WAIT)
    await hub.project('p1').updated('document', 'd1')
    await vi.waitFor(() => expect(text).toContain('event: entity.updated'), WAIT)
    expect(seen).toEqual([true, '127.0.0.1'])
    outgoing.destroy()
    await vi.waitFor(() => expect(hub.stats().connections).toBe(0), WAIT)
  })

  it('says so where it is not given a server of Node', () => {
    expect(() => leanStreams({ listeners: () => [] } as never)).toThrow(/node:http/)
  })
})
