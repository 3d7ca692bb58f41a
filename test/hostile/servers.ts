import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { encodeFrame } from '@entitycast/sse-protocol'

/** What a server does with every request, for ever. */
export interface Hostile {
  readonly name: string
  /** 0: the connection is closed before any answer. */
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly text?: string
  /** What comes after the text: the end, nothing at all, or this again and again. */
  readonly after: 'end' | 'silence' | { readonly again: string }
}

const STREAM = { 'Content-Type': 'text/event-stream' }
const hello = encodeFrame({
  event: 'connected',
  id: 'log.1',
  data: '{"connectionId":"c","projectId":"p","resume":"live","heartbeatMs":1000}',
})
const event = (id: string) =>
  `${id && `id: ${id}\n`}event: entity.updated\ndata: {"entity":"document","id":"doc_1","timestamp":"2026-01-01T00:00:00.000Z"}\n\n`

const refusal = (status: number, headers: Record<string, string> = {}): Hostile => ({
  name: `${status}${headers['Retry-After'] ? ` with Retry-After: ${headers['Retry-After']}` : ''}`,
  status,
  headers,
  after: 'end',
})

export const servers: readonly Hostile[] = [
  { name: 'clean end', status: 200, headers: STREAM, text: hello + event('log.2'), after: 'end' },
  refusal(500),
  refusal(429),
  refusal(429, { 'Retry-After': '4' }),
  refusal(503),
  refusal(503, { 'Retry-After': '4' }),
  refusal(401),
  refusal(403),
  refusal(404),
  refusal(204),
  {
    name: 'HTML',
    status: 200,
    headers: { 'Content-Type': 'text/html' },
    text: '<h1>Log in to the Wi-Fi</h1>',
    after: 'end',
  },
  { name: 'silence', status: 200, headers: STREAM, text: hello, after: 'silence' },
  { name: 'id-only frames, then the end', status: 200, headers: STREAM, text: `${hello}id: log.5\n\n`, after: 'end' },
  { name: 'non-ASCII ids, then the end', status: 200, headers: STREAM, text: hello + event('größe😀'), after: 'end' },
  {
    name: 'a line without end',
    status: 200,
    headers: STREAM,
    text: `${hello}data: `,
    after: { again: 'x'.repeat(65_536) },
  },
  {
    name: '`data:` lines without end',
    status: 200,
    headers: STREAM,
    text: hello,
    after: { again: 'data: xxxxxxxx\n'.repeat(4_096) },
  },
  { name: 'immediate close', status: 0, after: 'end' },
]

/** How often something that has no end goes on, in milliseconds: some 3 MB a second, which a client that keeps all of it survives for a while. */
export const AGAIN_MS = 20

export interface Served {
  readonly url: string
  readonly requests: { readonly lastEventId: string | undefined }[]
  close(): Promise<void>
}

/** One of them on a port of its own, so that a browser's limit of connections to a server has no part in it. `headers` go with each answer. */
export async function serve(hostile: Hostile, headers: Readonly<Record<string, string>> = {}): Promise<Served> {
  const requests: Served['requests'] = []
  const sockets = new Set<Socket>()
  const server = createServer((request, response) => {
    if (request.method === 'OPTIONS') {
      response.writeHead(204, headers).end()
      return
    }
    requests.push({ lastEventId: textOf(request.headers['last-event-id']) })
    answer(hostile, headers, request, response)
  })
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/events`,
    requests,
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function answer(
  { status, headers, text = '', after }: Hostile,
  more: Readonly<Record<string, string>>,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  response.on('error', () => {})
  if (status === 0) {
    request.socket.destroy()
    return
  }
  response.writeHead(status, { ...headers, ...more })
  if (after === 'end') {
    response.end(text)
    return
  }
  response.write(text)
  if (after === 'silence') return
  const timer = setInterval(() => !response.writableNeedDrain && response.write(after.again), AGAIN_MS)
  response.on('close', () => clearInterval(timer))
}

/** Node reads headers as Latin-1, and what is sent is UTF-8. */
function textOf(header: string | string[] | undefined): string | undefined {
  return header === undefined ? undefined : Buffer.from(String(header), 'latin1').toString()
}
