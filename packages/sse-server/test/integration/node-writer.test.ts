import { once } from 'node:events'
import { createServer, type RequestListener, type Server, ServerResponse } from 'node:http'
import { connect as connectHttp2, createServer as createHttp2Server, type ServerHttp2Session } from 'node:http2'
import { connect, type Socket } from 'node:net'
import { EventHub, type EventHubOptions } from '@entitycast/sse-server'
import { eventStream } from '@entitycast/sse-server/node'
import { createParser } from 'eventsource-parser'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { type Listening, listening } from './listening'
import { StreamClient } from './stream-client'

const WAIT = { timeout: 15_000 }
const cleanups: (() => unknown)[] = []
afterEach(async () => {
  vi.restoreAllMocks()
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function start(
  wrap: (stream: RequestListener) => RequestListener = (stream) => stream,
  options: EventHubOptions = {},
) {
  const hub = new EventHub({ logger: false, ...options })
  const http: Server = createServer(wrap(eventStream(hub, { authorize: () => ({ projectId: 'p1' }) })))
  const server: Listening = await listening(http)
  cleanups.push(async () => {
    await hub.close()
    await server.close()
  })
  return { hub, http, server, project: hub.project('p1') }
}

/** A socket of one's own, for what no HTTP client sends. */
async function dial(server: Listening, request: string) {
  const socket: Socket = connect(Number(new URL(server.url).port), '127.0.0.1')
  cleanups.push(() => socket.destroy())
  await once(socket, 'connect')
  const received = { text: '' }
  socket.setEncoding('utf8').on('data', (text) => {
    received.text += text
  })
  socket.on('error', () => {})
  socket.write(request)
  return { socket, received, has: (text: string) => vi.waitFor(() => expect(received.text).toContain(text), WAIT) }
}

/** An open stream whose socket hands nothing to the system: the first write waits in `held`, and the others behind it, until `release`. */
async function startHeld() {
  const responses: ServerResponse[] = []
  const { server, hub, project } = await start((stream) => (req, res) => {
    responses.push(res)
    stream(req, res)
  })
  const client = await dial(server, 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await client.has('event: connected')
  const [res] = responses as [ServerResponse]
  const socket = res.socket as Socket
  const held: (() => void)[] = []
  const { _write: write } = socket
  socket._write = (...args) => held.push(() => write.apply(socket, args))
  const release = () => {
    socket._write = write
    held[0]?.()
  }
  return { hub, project, client, res, socket, held, release }
}

describe('on HTTP/1', () => {
  it('a plain response gets ready-framed chunks, and a wrapped one is written through', async () => {
    const { server, project } = await start((stream) => (req, res) => {
      if (req.url === '/wrapped') res.write = ServerResponse.prototype.write.bind(res)
      stream(req, res)
    })
    const write = vi.spyOn(ServerResponse.prototype, 'write')
    const plain = await StreamClient.open(server.url)
    await plain.next('connected')
    expect(write).not.toHaveBeenCalled()
    const wrapped = await StreamClient.open(`${server.url}/wrapped`)
    await wrapped.next('connected')
    await project.updated('document', 'd1', { text: 'ü' })
    for (const client of [plain, wrapped]) {
      expect((await client.next('entity.updated')).data).toMatchObject({ id: 'd1', data: { text: 'ü' } })
      client.close()
    }
  })

  it('a client of HTTP/1.0 gets the bytes without chunks', async () => {
    const { server, project, hub } = await start()
    const { socket, received, has } = await dial(server, 'GET / HTTP/1.0\r\n\r\n')
    await has('event: connected')
    await project.updated('document', 'd1')
    await has('event: entity.updated')
    expect(received.text).not.toMatch(/transfer-encoding/i)
    expect(received.text.split('\r\n\r\n')[1]).toMatch(/^event: connected\n/)
    socket.destroy()
    await vi.waitFor(() => expect(hub.stats().connections).toBe(0), WAIT)
  })

  it('a pipelined request waits for its turn, and then streams', async () => {
    let release: (() => void) | undefined
    const { server, project, hub } = await start((stream) => (req, res) => {
      if (req.url === '/slow') release = () => res.end('slow')
      else stream(req, res)
    })
    const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`
    const { received, has } = await dial(server, get('/slow') + get('/stream'))
    await vi.waitFor(() => expect(hub.stats().connections).toBe(1), WAIT)
    await project.updated('document', 'meanwhile')
    expect(received.text).toBe('')
    release?.()
    await has('event: connected')
    await has('"id":"meanwhile"')
    await project.updated('document', 'after')
    await has('"id":"after"')
    expect(received.text.indexOf('slow')).toBeLessThan(received.text.indexOf('event: connected'))
  })

  it('[C9] a pipelined request that never got its turn is forgotten when the client leaves', async () => {
    const { server, hub, http } = await start((stream) => (req, res) => {
      if (req.url !== '/slow') stream(req, res)
    })
    const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`
    const { socket } = await dial(server, get('/slow') + get('/stream'))
    await vi.waitFor(() => expect(hub.stats().connections).toBe(1), WAIT)
    socket.destroy()
    await vi.waitFor(() => expect(hub.stats().connections).toBe(0), WAIT)
    await vi.waitFor(async () => expect(await server.sockets()).toBe(0), WAIT)
    expect(http.listening).toBe(true)
  })

  it('[C9] nothing is left on the socket or the response after the end', async () => {
    const responses: { res: ServerResponse; socket: Socket }[] = []
    const { server, hub } = await start((stream) => (req, res) => {
      responses.push({ res, socket: req.socket })
      stream(req, res)
    })
    const client = await StreamClient.open(server.url)
    await client.next('connected')
    const { res, socket } = responses[0]!
    client.close()
    await vi.waitFor(() => expect(hub.stats().connections).toBe(0), WAIT)
    expect(socket.listenerCount('drain')).toBe(1)
    expect(res.listenerCount('close') + res.listenerCount('drain') + res.listenerCount('prefinish')).toBe(0)
  })

  it('a response that somebody else has ended is written to no more, also while its socket still holds the end', async () => {
    const { hub, project, client, res, socket, held, release } = await startHeld()
    res.end()
    const { writes } = hub.stats()
    await project.updated('document', 'late')
    await vi.waitFor(() => expect(hub.stats().writes).toBe(writes + 1), WAIT)
    expect(held).toHaveLength(1)
    release()
    await vi.waitFor(() => expect(hub.stats().connections).toBe(0), WAIT)
    const closed = once(client.socket, 'close')
    socket.end()
    await closed
    expect(client.received.text).toMatch(/\r\n0\r\n\r\n$/)
    expect(client.received.text).not.toContain('late')
  })

  it('what somebody writes after the end of the response is no uncaught error', async () => {
    const { server, hub } = await start((stream) => (req, res) => {
      stream(req, res)
      if (req.url !== '/ended') return
      res.end()
      res.write('late', (error) => told.push((error as NodeJS.ErrnoException).code))
    })
    const told: (string | undefined)[] = []
    const client = await dial(server, 'GET /ended HTTP/1.1\r\nHost: localhost\r\n\r\n')
    await vi.waitFor(() => expect(told).toEqual(['ERR_STREAM_WRITE_AFTER_END']), WAIT)
    await vi.waitFor(() => expect(hub.stats().connections).toBe(0), WAIT)
    client.socket.destroy()
    expect(client.received.text).not.toContain('late')
    const next = await StreamClient.open(server.url)
    await next.next('connected')
    next.close()
  })

  it('what somebody writes after the end of the response is none either where the socket, ended first, still holds something', async () => {
    const { hub, client, res, socket, release } = await startHeld()
    socket.write('4\r\n:ok\n\r\n')
    // As http does when the client has ended its side.
    socket.end()
    res.end()
    const code = await new Promise((told) => {
      res.write('late', (error) => told((error as NodeJS.ErrnoException).code))
    })
    expect(code).toBe('ERR_STREAM_WRITE_AFTER_END')
    release()
    await vi.waitFor(() => expect(hub.stats().connections).toBe(0), WAIT)
    expect(client.received.text).not.toContain('late')
  })

  it('[C9] a response that is more than Node’s own has ended when it says so', async () => {
    const responses: ServerResponse[] = []
    const { server, hub } = await start((stream) => (req, res) => {
      res.write = ServerResponse.prototype.write.bind(res)
      responses.push(res)
      stream(req, res)
    })
    const client = await StreamClient.open(server.url)
    await client.next('connected')
    responses[0]?.emit('close')
    expect(hub.stats().connections).toBe(0)
    client.close()
  })

  it('[C9] headers and first frame are one text on their way to the socket', async () => {
    const sent: unknown[][] = []
    const { server } = await start((stream) => (req, res) => {
      const { _write, _writev } = req.socket
      req.socket._write = function (chunk, ...rest) {
        sent.push([chunk])
        return _write.call(this, chunk, ...rest)
      }
      req.socket._writev = function (chunks, done) {
        sent.push([...chunks])
        return _writev?.call(this, chunks, done)
      }
      stream(req, res)
    })
    const client = await StreamClient.open(server.url)
    await client.next('connected')
    client.close()
    expect(sent).toHaveLength(1)
    expect(sent[0]).toHaveLength(1)
    expect(sent[0]?.[0]).toMatch(/^HTTP\/1\.1 200 OK\r\n[\s\S]*event: connected\n/)
  })

  it('[S7] a server that was told to close first returns as soon as the hub has closed', async () => {
    const { server, hub } = await start()
    const client = await StreamClient.open(server.url)
    await client.next('connected')
    const closed = server.close()
    await hub.close()
    await closed
    cleanups.length = 0
    await client.ended
    expect(client.events.at(-1)).toMatchObject({ event: 'closing', data: { reason: 'shutdown' } })
  })
})

describe.each(['http', 'http2'] as const)('[S7] while the hub is closing, on %s', (protocol) => {
  it('whoever is refused does not keep its connection, and no warning is given', async () => {
    const warnings: Error[] = []
    const warned = (warning: Error) => warnings.push(warning)
    process.on('warning', warned)
    cleanups.push(() => process.off('warning', warned))
    const hub = new EventHub({ logger: false })
    const stream = eventStream(hub, { authorize: () => ({ projectId: 'p1' }) })
    const server = await listening(protocol === 'http' ? createServer(stream) : createHttp2Server(stream))
    await hub.close()
    if (protocol === 'http') {
      const client = await StreamClient.open(server.url)
      expect([client.status, client.headers.connection]).toEqual([503, 'close'])
    } else {
      const session = connectHttp2(server.url)
      const [headers] = await once(session.request().resume(), 'response')
      expect([headers[':status'], headers.connection]).toEqual([503, undefined])
      session.close()
    }
    await server.close()
    expect(warnings).toEqual([])
  })
})

describe('[C8] on the compatibility API of HTTP/2', () => {
  async function startHttp2(options: EventHubOptions = {}) {
    const hub = new EventHub({ logger: false, ...options })
    const http = createHttp2Server(
      eventStream(hub, { authorize: (req) => (req.headers.authorization ? { projectId: 'p1' } : null) }),
    )
    const sessions: ServerHttp2Session[] = []
    http.on('session', (session) => sessions.push(session))
    const server = await listening(http)
    const client = connectHttp2(server.url)
    cleanups.push(async () => {
      await hub.close()
      client.destroy()
      await server.close()
    })
    const open = async (headers: Record<string, string> = { authorization: 'Bearer good' }, method = 'GET') => {
      const stream = client.request({ ':path': '/stream', ':method': method, ...headers })
      const [response] = await once(stream, 'response')
      const events: { event: string | undefined; data: Record<string, unknown> }[] = []
      const parser = createParser({ onEvent: ({ event, data }) => events.push({ event, data: JSON.parse(data) }) })
      const read = () => stream.setEncoding('utf8').on('data', (text) => parser.feed(text))
      const has = (event: string) => vi.waitFor(() => expect(events.map((one) => one.event)).toContain(event), WAIT)
      return { stream, response, events, read, has }
    }
    return { hub, http, sessions, client, open, project: hub.project('p1') }
  }

  it('streams, without a Connection header', async () => {
    const { open, project, hub, sessions } = await startHttp2()
    const { stream, response, read, has } = await open()
    expect(response[':status']).toBe(200)
    expect(response['content-type']).toBe('text/event-stream; charset=utf-8')
    expect(response).not.toHaveProperty('connection')
    expect(response).not.toHaveProperty('transfer-encoding')
    expect(sessions[0]?.socket.timeout ?? 0).toBe(0)
    read()
    await has('connected')
    await project.updated('document', 'd1')
    await has('entity.updated')
    stream.close()
    await vi.waitFor(() => expect(hub.stats().connections).toBe(0), WAIT)
  })

  it('refuses, and lives on', async () => {
    const { open, has, hub } = Object.assign(await startHttp2(), { has: undefined })
    expect(has).toBeUndefined()
    const refused = await open({})
    expect(refused.response[':status']).toBe(401)
    refused.stream.resume()
    const head = await open(undefined, 'HEAD')
    expect(head.response[':status']).toBe(200)
    head.stream.resume()
    const granted = await open()
    expect(granted.response[':status']).toBe(200)
    expect(hub.stats().opened).toBe(1)
  })

  it('[6] a reader who stops and comes back gets the newest; the other streams of its session go on', async () => {
    const { open, project, hub } = await startHttp2({ retention: { bytes: 64 * 1_048_576 } })
    const stopped = await open()
    const going = await open()
    going.read()
    await going.has('connected')
    const text = 'x'.repeat(60_000)
    let n = 0
    while (hub.stats().lagging === 0) {
      if (++n > 900) throw new Error('54 MB went out, and nobody read them')
      await project.updated('document', 'd1', { n, text })
      await new Promise((resolve) => setImmediate(resolve))
    }
    await project.emit('last:one', {})
    await going.has('last:one')
    expect(stopped.events).toEqual([])
    stopped.read()
    await stopped.has('last:one')
  })

  it('[S5] a revoked stream with a full window is cut, and its session goes on', async () => {
    const { open, project, hub, client } = await startHttp2({ retention: { bytes: 64 * 1_048_576 } })
    const stopped = await open()
    const text = 'x'.repeat(60_000)
    while (hub.stats().lagging === 0) {
      await project.updated('document', 'd1', { text })
      await new Promise((resolve) => setImmediate(resolve))
    }
    stopped.stream.on('error', () => {})
    const closed = once(stopped.stream, 'close')
    void hub.revoke({ projectId: 'p1' })
    stopped.read()
    await closed
    expect(hub.stats()).toMatchObject({ connections: 0, closed: { revoked: 1 } })
    expect(client.destroyed).toBe(false)
    const next = await open()
    expect(next.response[':status']).toBe(200)
  })
})
