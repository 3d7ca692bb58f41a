import { execFileSync } from 'node:child_process'
import { getEventListeners } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { Agent, createServer, type RequestListener } from 'node:http'
import { createServer as createTlsServer, Agent as TlsAgent } from 'node:https'
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import {
  EventSubscriber,
  type StreamRequestInit,
  type StreamResponse,
  type SubscriberError,
} from '@entitycast/sse-client'
import { NodeSubscriber, nodePlatform } from '@entitycast/sse-client/node'
import { EventHub } from '@entitycast/sse-server'
import { eventStream } from '@entitycast/sse-server/node'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { serve, streamHead, until } from '../support/server'

const unhandled: unknown[] = []
const warnings: string[] = []
const heard = (reason: unknown) => unhandled.push(reason)
const warned = ({ name }: Error) => warnings.push(name)
beforeAll(() => {
  process.on('unhandledRejection', heard)
  process.on('warning', warned)
})
afterAll(async () => {
  // A rejection that nobody handles is told after the microtasks of its turn.
  await new Promise((resolve) => setImmediate(resolve))
  process.off('unhandledRejection', heard)
  process.off('warning', warned)
  expect([unhandled, warnings]).toEqual([[], []])
})

const choices = [true, false]
const { fetch } = nodePlatform()

function init(fields: Partial<StreamRequestInit> = {}): StreamRequestInit {
  const { signal } = new AbortController()
  return { method: 'GET', headers: {}, cache: 'no-store', redirect: 'manual', signal, ...fields }
}

const textOf = async ({ body }: StreamResponse) => {
  const reader = body?.getReader()
  const pieces: Uint8Array[] = []
  for (;;) {
    const { done, value } = (await reader?.read()) ?? { done: true }
    if (done) return Buffer.concat(pieces).toString()
    if (value) pieces.push(value)
  }
}

/** What a server on this host is asked. */
async function listen(server: ReturnType<typeof createServer>, host = '127.0.0.1'): Promise<number> {
  const sockets = new Set<Socket>()
  const track = (socket: Socket) => void sockets.add(socket)
  server.on('connection', track).on('secureConnection', track)
  await new Promise<void>((resolve, reject) => server.on('error', reject).listen(0, host, resolve))
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  })
  return (server.address() as AddressInfo).port
}

test('[R1] the headers arrive as they are, and nothing compressed is asked for', async () => {
  const { url, requests } = await serve((_, response) => response.end())
  const latin = Buffer.from('Größe').toString('latin1')
  await textOf(
    await fetch(
      `${url}?channels=a%2Cb`,
      init({ headers: { 'last-event-id': latin, 'accept-encoding': 'gzip', authorization: 'Bearer x' } }),
    ),
  )
  const [request] = requests
  expect([request?.method, request?.url]).toEqual(['GET', '/events?channels=a%2Cb'])
  expect(request?.headers).toMatchObject({ authorization: 'Bearer x', 'accept-encoding': 'identity' })
  expect(Buffer.from(request?.headers['last-event-id'] as string, 'latin1').toString()).toBe('Größe')
})

test('[R1] a header that no request can have, and an address that is none, reject', async () => {
  await expect(fetch('http://127.0.0.1:1/', init({ headers: { a: '\n' } }))).rejects.toThrow()
  await expect(fetch('http://[', init())).rejects.toThrow()
})

test('[R1] status and header fields, whatever the case of their names; a redirect is not followed', async () => {
  const { url, requests } = await serve((_, response) => {
    response.writeHead(302, { Location: '/elsewhere', 'Retry-After': '7' }).end('moved')
  })
  const response = await fetch(url, init())
  const fields = ['location', 'Retry-After', 'x-none'].map((name) => response.headers.get(name))
  expect([response.status, fields]).toEqual([302, ['/elsewhere', '7', null]])
  expect(await textOf(response)).toBe('moved')
  expect(requests).toHaveLength(1)
})

test('[R1] a body is what was sent, however it was cut; and an end is an end', async () => {
  const { url } = await serve((_, response) => {
    streamHead(response)
    const bytes = Buffer.from('data: Größe 🙂\n\n')
    const next = (i: number) => {
      if (i === bytes.length) response.end()
      else response.write(bytes.subarray(i, i + 1), () => next(i + 1))
    }
    next(0)
  })
  expect(await textOf(await fetch(url, init()))).toBe('data: Größe 🙂\n\n')
})

test('[R1] a body that breaks off rejects what is being read, and nothing else', async () => {
  const { url } = await serve((_, response) => {
    streamHead(response)
    response.write('data: 1\n\n', () => response.destroy())
  })
  await expect(textOf(await fetch(url, init()))).rejects.toThrow()
  const unread = await fetch(url, init())
  await unread.body?.cancel()
})

test('[R1] before it, in between and after: an abort ends the request in every phase', async () => {
  const aborted = new AbortController()
  aborted.abort()
  const served = await serve((request, response) => {
    if (request.url?.endsWith('stream')) streamHead(response)
  })
  await expect(fetch(served.url, init({ signal: aborted.signal }))).rejects.toMatchObject({ name: 'AbortError' })

  // Before there is a connection: nobody accepts one.
  const connecting = new AbortController()
  const attempt = fetch(served.url, init({ signal: connecting.signal }))
  connecting.abort()
  await expect(attempt).rejects.toMatchObject({ name: 'AbortError' })

  const waiting = new AbortController()
  const answer = fetch(served.url, init({ signal: waiting.signal }))
  await until(() => expect(served.open).toBe(1))
  waiting.abort()
  await expect(answer).rejects.toMatchObject({ name: 'AbortError' })
  await until(() => expect(served.open).toBe(0))

  const reading = new AbortController()
  const reader = (await fetch(`${served.url}/stream`, init({ signal: reading.signal }))).body?.getReader()
  const read = reader?.read()
  reading.abort()
  await expect(read).rejects.toThrow('aborted')
  await until(() => expect(served.open).toBe(0))

  // As the subscriber lets go of a stream: first of the body, then of the request.
  const leaving = new AbortController()
  const left = (await fetch(`${served.url}/stream`, init({ signal: leaving.signal }))).body?.getReader()
  const last = left?.read()
  await left?.cancel()
  leaving.abort()
  await expect(last).rejects.toThrow()
  await until(() => expect(served.open).toBe(0))
  for (const { signal } of [connecting, waiting, reading, leaving]) {
    expect(getEventListeners(signal, 'abort')).toEqual([])
  }
})

test('[R1] what is not read stays at the server', async () => {
  let sent = 0
  const { url } = await serve((_, response) => {
    streamHead(response)
    const piece = Buffer.alloc(65_536, 'x')
    const more = () => {
      while (sent < 100_000_000) {
        sent += piece.length
        if (!response.write(piece)) {
          response.once('drain', more)
          return
        }
      }
      response.end()
    }
    more()
  })
  const { body } = await fetch(url, init())
  const reader = body?.getReader()
  await reader?.read()
  // It has stopped when two others were asked and answered meanwhile, and nothing more was sent.
  const other = await serve((_, response) => response.end())
  let before: number
  do {
    before = sent
    for (let i = 0; i < 2; i++) await textOf(await fetch(other.url, init()))
  } while (sent !== before)
  expect(sent).toBeLessThan(50_000_000)
  await reader?.cancel()
})

test('[R1] an answer that is compressed all the same is none', async () => {
  const { url } = await serve((_, response) => {
    response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Content-Encoding': 'gzip' }).write('x')
  })
  const { body } = await fetch(url, init())
  expect(() => body?.getReader()).toThrow('gzip')
  await body?.cancel()
})

test('[R1] nobody there, no HTTP, an upgrade: each rejects', async () => {
  const answer = async (text: string) => {
    const server = createTcpServer((socket) => void socket.on('error', () => {}).end(text))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void server.close())
    return fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`, init())
  }
  await expect(answer('')).rejects.toThrow()
  await expect(answer('hello\r\n\r\n')).rejects.toThrow()
  await expect(
    answer('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n'),
  ).rejects.toThrow()
  await expect(fetch('http://127.0.0.1:1/', init())).rejects.toThrow('ECONNREFUSED')
})

test('[K5] a stream that is silent for longer than sockets and agents allow themselves is not ended', async () => {
  const agent = new Agent({ timeout: 20 })
  onTestFinished(() => agent.destroy())
  const { fetch: impatient } = nodePlatform({ agent })
  let say: (() => void) | undefined
  const { url } = await serve((_, response) => {
    streamHead(response)
    say = () => response.end('data: 1\n\n')
  })
  const response = await impatient(url, init())
  const [socket] = Object.values(agent.sockets)[0] ?? []
  await new Promise((resolve) => socket?.once('timeout', resolve))
  say?.()
  expect(await textOf(response)).toBe('data: 1\n\n')
})

const echo: RequestListener = ({ headers }, response) => response.end(headers.host)

test('[R1] over IPv6', async ({ skip }) => {
  const port = await listen(createServer(echo), '::1').catch(() => skip('there is no IPv6 here'))
  expect(await textOf(await fetch(`http://[::1]:${port}/events`, init()))).toBe(`[::1]:${port}`)
})

test('[R1] over TLS, with an agent that knows the certificate; without one it is refused', async ({ skip }) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'entitycast-tls-'))
  const [key, cert] = [path.join(folder, 'key.pem'), path.join(folder, 'cert.pem')]
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1']
  try {
    execFileSync(
      'openssl',
      ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', cert, ...subject],
      {
        stdio: 'ignore',
      },
    )
  } catch {
    skip('there is no openssl here')
  }
  const [pem, authority] = [readFileSync(key), readFileSync(cert)]
  rmSync(folder, { recursive: true })
  const port = await listen(createTlsServer({ key: pem, cert: authority }, echo))
  const agent = new TlsAgent({ ca: authority })
  onTestFinished(() => agent.destroy())
  for (const keepProcessAlive of choices) {
    const { fetch: trusting } = nodePlatform({ agent, keepProcessAlive })
    expect(await textOf(await trusting(`https://127.0.0.1:${port}/`, init()))).toBe(`127.0.0.1:${port}`)
  }
  await expect(fetch(`https://127.0.0.1:${port}/`, init())).rejects.toThrow('self-signed')
})

test('[R1] forty requests in a row over one connection leave no listener on it', async () => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  onTestFinished(() => agent.destroy())
  const { fetch: frugal } = nodePlatform({ agent, keepProcessAlive: false })
  const { url } = await serve((_, response) => response.end('x'))
  const counted: unknown[] = []
  for (let i = 0; i < 40; i++) {
    await textOf(await frugal(url, init()))
    const socket = await until(() => {
      const [free] = Object.values(agent.freeSockets)[0] ?? []
      if (!free) throw new Error('not free yet')
      return free
    })
    counted.push(socket.eventNames().map((name) => [String(name), socket.listenerCount(name)]))
  }
  expect(counted.at(-1)).toEqual(counted[1])
})

test.each(choices)(
  '[D1, D3] a NodeSubscriber follows a hub, and goes on where it was: keepProcessAlive %s',
  async (keepProcessAlive) => {
    const hub = new EventHub({ logger: false })
    const { url } = await serve(
      eventStream(hub, { authorize: () => ({ projectId: 'p', userId: 'u', channels: 'all' }) }),
    )
    onTestFinished(() => hub.close({ drainMs: 0 }))
    const updates = new NodeSubscriber(url, { projectId: 'p', keepProcessAlive }, { random: () => 0 })
    onTestFinished(() => updates.close())
    const ids: unknown[] = []
    const resyncs: string[] = []
    updates.subscribe('document:*', ({ id }) => ids.push(id))
    updates.onResync(({ reason }) => void resyncs.push(reason))
    updates.onError(() => {})
    updates.connect()
    await until(() => expect(updates.state).toBe('connected'))
    await hub.project('p').updated('document', 'a')
    await until(() => expect(ids).toEqual(['a']))
    await hub.disconnect({ projectId: 'p' })
    await hub.project('p').updated('document', 'b')
    await until(() => expect(ids).toEqual(['a', 'b']))
    expect([resyncs, updates instanceof EventSubscriber]).toEqual([[], true])
    updates.close()
    await until(() => expect(hub.stats().connections).toBe(0))
  },
)

test('[K4] a redirect and a compressed stream are told as what they are', async () => {
  const codes: string[] = []
  const { url } = await serve((request, response) => {
    if (request.url === '/events') response.writeHead(307, { Location: '/other' }).end()
    else response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Content-Encoding': 'br' }).write('x')
  })
  for (const [address, code] of [
    [url, 'REDIRECTED'],
    [`${url}/br`, 'NETWORK'],
  ] as const) {
    const updates = new NodeSubscriber(address)
    onTestFinished(() => updates.close())
    updates.onError(({ code }) => codes.push(code))
    updates.connect()
    await until(() => expect(codes.at(-1)).toBe(code))
  }
  expect(codes).toEqual(['REDIRECTED', 'NETWORK'])
})

test('[options] a bad one throws at once', () => {
  const code = (make: () => unknown) => {
    try {
      make()
    } catch (error) {
      return (error as SubscriberError).code
    }
    return undefined
  }
  expect(code(() => new NodeSubscriber('/api/events/stream'))).toBe('INVALID_OPTION')
  expect(code(() => new NodeSubscriber('ftp://app.test/'))).toBe('INVALID_OPTION')
  expect(code(() => new NodeSubscriber('https://app.test/', { keepProcessAlive: 'no' as never }))).toBe(
    'INVALID_OPTION',
  )
  expect(code(() => new NodeSubscriber('https://app.test/', { channels: [] }))).toBe('INVALID_OPTION')
})
