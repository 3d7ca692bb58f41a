import { once } from 'node:events'
import { closeSync, fstatSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { createServer } from 'node:http'
import { connect, createServer as createNetServer, type Socket, Socket as TcpSocket } from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { createServer as createTlsServer, connect as dialTls, type TLSSocket } from 'node:tls'
import { EventHub } from '@entitycast/sse-server'
import { eventStream, leanStreams } from '@entitycast/sse-server/node'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { isOpen, isStraight, type StraightSocket, writeStraight } from '../../src/mounts/node-straight'
import { PSK } from '../support/psk'
import { listening } from './listening'
import { StreamClient } from './stream-client'

const written = vi.hoisted(() => ({ byDescriptor: 0 }))
vi.mock('node:fs', async (original) => {
  const fs = await original<typeof import('node:fs')>()
  const write = (fd: number, bytes: Buffer) => {
    written.byDescriptor++
    return fs.writeSync(fd, bytes)
  }
  return { ...fs, writeSync: write }
})

const WAIT = { timeout: 15_000 }
const cleanups: (() => unknown)[] = []
afterEach(async () => {
  vi.restoreAllMocks()
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

/** Two ends of a connection. The client does not read before it is told to. */
async function pair(listenOn?: string): Promise<{ socket: StraightSocket; client: Socket; errors: Error[] }> {
  const server = createNetServer({ pauseOnConnect: true })
  await new Promise<void>((resolve) => server.listen(listenOn ?? { port: 0, host: '127.0.0.1' }, resolve))
  const accepted = once(server, 'connection') as Promise<[Socket]>
  const address = server.address()
  const client =
    typeof address === 'string' ? connect(address) : connect((address as { port: number }).port, '127.0.0.1')
  client.on('error', () => {})
  const [socket] = await accepted
  const errors: Error[] = []
  socket.on('error', (error) => errors.push(error))
  cleanups.push(() => {
    client.destroy()
    socket.destroy()
    return new Promise((resolve) => server.close(resolve))
  })
  if (!isStraight(socket)) throw new Error('a socket of node:net has no descriptor')
  return { socket, client, errors }
}

function reading(client: Socket): Buffer[] {
  const chunks: Buffer[] = []
  client.on('data', (chunk) => chunks.push(chunk))
  return chunks
}

const piece = (n: number, length: number) => Buffer.alloc(length, `${n}.`)
const fdOf = (socket: Socket) => (socket as Socket & { _handle: { fd: number } })._handle.fd

/**
 * Frees the descriptor of a socket, and opens files until one of them has it: the system gives the lowest first. The result is the size of
 * that file. Nothing where another thread of the process was given it.
 */
function reuse(socket: Socket, free: () => void): (() => number) | undefined {
  const fd = fdOf(socket)
  const folder = mkdtempSync(path.join(os.tmpdir(), 'straight-'))
  const files: number[] = []
  cleanups.push(() => {
    for (const file of files) closeSync(file)
    rmSync(folder, { recursive: true })
  })
  free()
  while (files.at(-1) !== fd && files.length < 200) files.push(openSync(path.join(folder, String(files.length)), 'w'))
  return files.at(-1) === fd ? () => fstatSync(fd).size : undefined
}

/** Tries until the descriptor was ours. */
async function untilReused<T>(scene: () => Promise<T | undefined>): Promise<T> {
  for (let n = 0; n < 50; n++) {
    const result = await scene()
    if (result !== undefined) return result
  }
  throw new Error('somebody else is always given the descriptor')
}

describe('a write by the descriptor', () => {
  it('goes past the queue of the socket', async () => {
    const { socket, client } = await pair()
    const chunks = reading(client)
    expect(writeStraight(socket, Buffer.from('by the descriptor'))).toBe(true)
    await vi.waitFor(() => expect(String(Buffer.concat(chunks))).toBe('by the descriptor'), WAIT)
    expect([socket.bytesWritten, socket.writableLength]).toEqual([0, 0])
  })

  it('goes to a Unix socket too', async () => {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'straight-'))
    cleanups.push(() => rmSync(folder, { recursive: true }))
    const { socket, client } = await pair(path.join(folder, 'socket'))
    const chunks = reading(client)
    expect(writeStraight(socket, Buffer.from('straight'))).toBe(true)
    await vi.waitFor(() => expect(String(Buffer.concat(chunks))).toBe('straight'), WAIT)
    expect(socket.bytesWritten).toBe(0)
  })

  it('[S1] what the system takes in part is finished by the socket: every byte arrives, once and in order', async () => {
    const { socket, client } = await pair()
    const written: Buffer[] = []
    const write = (bytes: Buffer) => {
      written.push(bytes)
      return writeStraight(socket, bytes)
    }
    // Larger than what is left of the kernel's buffers at some point, whatever their size. What they pass on meanwhile is room again.
    let n = 0
    while (write(piece(n, 700_001)) || socket.writableLength === 0) {
      if (++n > 500) throw new Error('350 MB went out, and nobody read them')
    }
    expect(socket.writableLength).toBeGreaterThan(0)
    // What comes after it waits behind it, and room is told of as ever.
    expect(write(piece(++n, 5_003))).toBe(false)
    const drained = once(socket, 'drain')
    const chunks = reading(client)
    await drained
    expect(socket.writableLength).toBe(0)
    const bytes = (buffers: Buffer[]) => buffers.reduce((sum, { length }) => sum + length, 0)
    // Then the system has room again.
    await vi.waitFor(() => expect(bytes(chunks)).toBe(bytes(written)), WAIT)
    const before = socket.bytesWritten
    expect(write(piece(++n, 3_001))).toBe(true)
    expect(socket.bytesWritten).toBe(before)
    socket.end()
    await once(client, 'end')
    expect(Buffer.concat(chunks).equals(Buffer.concat(written))).toBe(true)
  })

  it('[S1] a full system is no error: the chunk waits in the socket, and arrives', async () => {
    const { socket, client, errors } = await pair()
    let filled = 0
    const fill = () => {
      for (;;) filled += writeSync(fdOf(socket), Buffer.alloc(65_536, '-'))
    }
    expect(fill).toThrow(/EAGAIN/)
    const pieces: Buffer[] = []
    const write = () => {
      pieces.push(piece(pieces.length, 500_000))
      return writeStraight(socket, pieces.at(-1) as Buffer)
    }
    // Larger than what Node holds before it says that it is full. The system may have passed on so much meanwhile: then the next one waits.
    while (write() || socket.writableLength === 0) {
      if (pieces.length > 500) throw new Error('250 MB went out, and nobody read them')
    }
    const chunks = reading(client)
    await once(socket, 'drain')
    socket.end()
    await once(client, 'end')
    const received = Buffer.concat(chunks)
    expect(received.length).toBe(filled + 500_000 * pieces.length)
    expect(received.subarray(filled).equals(Buffer.concat(pieces))).toBe(true)
    expect(errors).toEqual([])
  })

  it('keeps its place behind what others have written to the socket and hold back', async () => {
    const { socket, client } = await pair()
    const chunks = reading(client)
    socket.cork()
    writeStraight(socket, Buffer.from('1 '))
    socket.write('2 ')
    writeStraight(socket, Buffer.from('3 '))
    expect(socket.writableLength).toBe(6)
    socket.uncork()
    writeStraight(socket, Buffer.from('4'))
    await vi.waitFor(() => expect(String(Buffer.concat(chunks))).toBe('1 2 3 4'), WAIT)
  })

  it('[C9] to a peer that has reset the connection ends it by an error of the socket, and throws nothing', async () => {
    const { socket, client, errors } = await pair()
    // `once` would reject at the error.
    const closed = new Promise((resolve) => socket.on('close', resolve))
    client.resetAndDestroy()
    await once(client, 'close')
    while (!socket.destroyed) {
      writeStraight(socket, Buffer.from('x'))
      await new Promise((resolve) => setImmediate(resolve))
    }
    await closed
    expect(errors).toHaveLength(1)
    expect((errors[0] as NodeJS.ErrnoException).code).toMatch(/^(EPIPE|ECONNRESET)$/)
    expect(isOpen(socket)).toBe(false)
    expect(writeStraight(socket, Buffer.from('x'))).toBe(false)
  })

  it('after the end of the socket is what it is for every socket: nothing goes out', async () => {
    const { socket, client, errors } = await pair()
    const chunks = reading(client)
    socket.end('the end')
    expect(isOpen(socket)).toBe(false)
    writeStraight(socket, Buffer.from(', and more'))
    await once(client, 'end')
    expect(String(Buffer.concat(chunks))).toBe('the end')
    expect((errors[0] as NodeJS.ErrnoException).code).toBe('ERR_STREAM_WRITE_AFTER_END')
  })

  it('keeps the timeout of a socket that has one from running out: then the socket writes', async () => {
    const { socket, client } = await pair()
    socket.setTimeout(600_000)
    const chunks = reading(client)
    writeStraight(socket, Buffer.from('1'))
    expect(socket.bytesWritten).toBe(1)
    socket.setTimeout(0)
    writeStraight(socket, Buffer.from('2'))
    await vi.waitFor(() => expect(String(Buffer.concat(chunks))).toBe('12'), WAIT)
    expect(socket.bytesWritten).toBe(1)
  })
})

describe('a descriptor that the system has given to somebody else', () => {
  it('is not written to, once the socket is destroyed', async () => {
    const { socket, size } = await untilReused(async () => {
      const { socket } = await pair()
      expect(writeStraight(socket, Buffer.from('before'))).toBe(true)
      const size = reuse(socket, () => socket.destroy())
      return size && { socket, size }
    })
    // In the very same turn: nobody has been told of the end.
    expect(writeStraight(socket, Buffer.from('a secret'))).toBe(false)
    expect(isOpen(socket)).toBe(false)
    expect(size()).toBe(0)
  })

  it('is not written to where somebody has closed the handle behind the back of the socket', async () => {
    const { socket, errors, size } = await untilReused(async () => {
      const { socket, errors } = await pair()
      expect(writeStraight(socket, Buffer.from('before'))).toBe(true)
      const { _handle: handle } = socket as unknown as { _handle: { close(): void } }
      const size = reuse(socket, () => handle.close())
      return size && { socket, errors, size }
    })
    expect(isOpen(socket)).toBe(false)
    writeStraight(socket, Buffer.from('a secret'))
    await vi.waitFor(() => expect(errors).toHaveLength(1), WAIT)
    expect(size()).toBe(0)
  })

  it('is not written to by a hub that says goodbye in the turn in which the socket goes', async () => {
    const hub = new EventHub({ logger: false })
    let socket: Socket | undefined
    const http = createServer(eventStream(hub, { authorize: () => ({ projectId: 'p' }) }))
    http.on('connection', (accepted: Socket) => {
      socket = accepted
    })
    const server = await listening(http)
    cleanups.push(async () => {
      await hub.close()
      await server.close()
    })
    const size = await untilReused(async () => {
      const client = await StreamClient.open(server.url)
      await client.next('connected')
      await hub.project('p').updated('document', 'd1')
      await client.next('entity.updated')
      const accepted = socket as Socket
      const size = reuse(accepted, () => accepted.destroy())
      const ended = hub.disconnect({ projectId: 'p' })
      expect(hub.stats().connections).toBe(0)
      expect(await ended).toBe(1)
      await client.ended
      return size
    })
    expect(size()).toBe(0)
  })
})

describe('is for plain sockets alone', () => {
  it('and not for TLS, though that has a descriptor too', async () => {
    const server = createTlsServer(PSK.server)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const secured = once(server, 'secureConnection') as Promise<[TLSSocket]>
    const { port } = server.address() as { port: number }
    const client = dialTls({ port, host: '127.0.0.1', ...PSK.client })
    const [socket] = await secured
    expect(fdOf(socket)).toBeGreaterThan(0)
    expect(isStraight(socket)).toBe(false)
    client.destroy()
    socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  })

  it('and not where somebody listens in on its writes, has made his own kind, or the system has no descriptors', async () => {
    const { socket } = await pair()
    expect(isStraight(socket)).toBe(true)
    const { write } = socket
    socket.write = ((bytes: Buffer) => write.call(socket, bytes)) as typeof write
    expect(isStraight(socket)).toBe(false)
    Reflect.deleteProperty(socket, 'write')
    expect(isStraight(socket)).toBe(true)
    vi.spyOn(TcpSocket.prototype, 'write')
    expect(isStraight(socket)).toBe(false)
    vi.restoreAllMocks()
    class Own extends TcpSocket {}
    expect(isStraight(new Own())).toBe(false)
    expect(isStraight(new TcpSocket())).toBe(false)
    // As on Windows.
    const { _handle: handle } = socket as unknown as { _handle: object }
    Object.defineProperty(handle, 'fd', { value: -1 })
    expect(isStraight(socket)).toBe(false)
  })
})

describe.each([false, true])('streams (leanStreams: %s)', (lean) => {
  it.each(['identity', 'gzip'])(
    'are written to by their descriptor, once a connection a turn, and by the socket where something waits in it (%s)',
    async (coding) => {
      const hub = new EventHub({ logger: false, heartbeatIntervalMs: 300_000 })
      const sockets: Socket[] = []
      const http = createServer(
        eventStream(hub, { authorize: () => ({ projectId: 'p' }), ...(coding === 'gzip' && { compression: 'gzip' }) }),
      )
      if (lean) leanStreams(http)
      http.on('connection', (socket: Socket) => sockets.push(socket))
      const server = await listening(http)
      cleanups.push(async () => {
        await hub.close()
        await server.close()
      })
      const client = await StreamClient.open(server.url, { headers: { 'accept-encoding': coding } })
      await client.next('connected')
      const [socket] = sockets as [Socket]
      const { bytesWritten } = socket
      const { writes } = hub.stats()
      written.byDescriptor = 0
      const project = hub.project('p')
      await Promise.all([1, 2, 3].map((n) => project.updated('document', `d${n}`)))
      await client.next('entity.updated')
      expect(hub.stats().writes).toBe(writes + 1)
      expect(written.byDescriptor).toBe(1)
      expect(socket.bytesWritten).toBe(bytesWritten)
      // Nothing is lost and nothing passes another where the socket holds something back.
      socket.cork()
      await project.emit('while:held', {})
      await vi.waitFor(() => expect(socket.writableLength).toBeGreaterThan(0), WAIT)
      socket.uncork()
      await project.emit('after:it', {})
      await client.next('after:it')
      const types = client.events.map(({ event }) => event)
      expect(types.slice(1)).toEqual([...Array(3).fill('entity.updated'), 'while:held', 'after:it'])
      client.close()
    },
  )
})
