import { writeSync } from 'node:fs'
import { Socket } from 'node:net'
import process from 'node:process'
import { Duplex } from 'node:stream'

/**
 * Writes to a socket straight by its descriptor, as a C program does, while nothing waits in it. What Node's streams do for each write
 * (a request for the handle, the bookkeeping of a queue that stays empty, a callback in the next tick) takes three times what is left of it here.
 * All that is not the plain case goes the socket's own way: what the system has not taken, a full socket, errors. So its queue, its `drain`
 * and its end are what they always are. See `docs/decisions/0015-straight-to-the-socket.md`.
 */

declare const straight: unique symbol

/** A socket that may be written to by its descriptor. */
export type StraightSocket = Socket & { readonly [straight]: true }

/** Others keep something else where Node keeps the descriptor. */
const isNode = !('bun' in process.versions || 'deno' in process.versions)
/** What stands for a descriptor of the system itself. That of TLS has one too, of which the bytes are not ours to write. */
const HANDLES: readonly unknown[] = ['TCP', 'Pipe']

interface Handle {
  readonly fd?: unknown
}

/** Whether it is a socket of Node's own kind, whose writes nobody listens in on. */
export function isStraight(socket: Duplex): socket is StraightSocket {
  if (!isNode || Object.getPrototypeOf(socket) !== Socket.prototype) return false
  if (socket.write !== Duplex.prototype.write || Object.hasOwn(socket, '_write')) return false
  const handle = handleOf(socket)
  return HANDLES.includes(handle?.constructor.name) && descriptorOf(socket) >= 0
}

/** Whether a write goes out. This fetches all that `writeStraight` needs. */
export function isOpen(socket: StraightSocket): boolean {
  return !socket.writableEnded && descriptorOf(socket) >= 0
}

/** As `socket.write`: false where the socket is full. */
export function writeStraight(socket: StraightSocket, bytes: Buffer): boolean {
  const { length } = bytes
  const sent = hasNothingToDo(socket) ? send(socket, bytes) : 0
  if (sent === length) return true
  return socket.write(sent > 0 ? bytes.subarray(sent) : bytes)
}

/** Nothing waits in it, nobody holds it back, and no timer of it wants to hear of a write. */
function hasNothingToDo(socket: StraightSocket): boolean {
  return !socket.writableEnded && socket.writableLength === 0 && socket.writableCorked === 0 && !socket.timeout
}

/** How much the system has taken. */
function send(socket: StraightSocket, bytes: Buffer): number {
  const fd = descriptorOf(socket)
  if (fd < 0) return 0
  try {
    return writeSync(fd, bytes)
  } catch {
    // A full socket, or one whose peer is gone: the socket meets that itself, and tells of it in its own way.
    return 0
  }
}

/**
 * Below zero where there is none, or no more. Never kept: as soon as the handle is closed, the system gives the same number to somebody
 * else's connection, and the handle says that it has none.
 */
function descriptorOf(socket: Duplex): number {
  const fd = handleOf(socket)?.fd
  return typeof fd === 'number' ? fd : -1
}

function handleOf(socket: Duplex): Handle | null | undefined {
  return (socket as unknown as { _handle?: Handle | null })._handle
}
