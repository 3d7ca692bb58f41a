import { type IncomingMessage, ServerResponse } from 'node:http'
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2'
import process from 'node:process'
import type { Duplex } from 'node:stream'
import {
  type AnyHub,
  type Chunk,
  GZIP_HEADER,
  LAGGING_BYTES,
  type Sink,
  type SinkListener,
  type StreamResponse,
} from '@entitycast/sse-server'
import { deadPeers } from './node-dead-peers'
import { type Lent, TAKE } from './node-lean'
import { FRAMED_GZIP_HEADER, LeanStream } from './node-lean-stream'
import { isOpen, isStraight, type StraightSocket, writeStraight } from './node-straight'
import type { Ends } from './node-tcp-table'

export type NodeRequest = IncomingMessage | Http2ServerRequest
export type NodeResponse = ServerResponse | Http2ServerResponse
/** Headers that a framework keeps to itself until it answers. */
export type HeldHeaders = Readonly<Record<string, number | string | readonly string[] | undefined>>

/** What of the hub a stream asks. */
type Surroundings = Pick<AnyHub, 'draining' | 'heartbeatIntervalMs'>

/** Not a middleware's: what is written with it is framed. */
const write: (this: ServerResponse, text: string, encoding: 'latin1') => boolean = ServerResponse.prototype.write

/** Of `HTTP/1.1 200 OK`. */
const FIRST_OF_HTTP = 0x48

/** A quiet connection is probed by the system after this, in milliseconds: where nothing is on its way, nothing is missed either. */
const PROBE_AFTER_MS = 30_000

/**
 * The byte writer over Node's response. It listens from its construction, so that a peer who leaves while `authorize` is pending is
 * noticed; and what it says about room is always followed by `drained` or `closed`.
 */
export class NodeStream implements StreamResponse, Sink {
  // What each write looks at comes first: of thousands of streams none is in the processor's cache.
  #closed: boolean
  /** Where to write past the response, once its headers are out. */
  #socket: Duplex | undefined
  /** The same, where that may be written to by its descriptor. */
  #straight: StraightSocket | undefined
  #compressed = false
  /** Headers wait for the first chunk of this turn: they are one text, and one write to the system. */
  #held = false
  /** Somebody has ended the response: so that a write need not look at it. Known only where there is such a socket. */
  #ended = false
  /** Of either kind: what is used here, the compatibility API of HTTP/2 has too. */
  readonly #res: ServerResponse
  #full = false
  readonly #http1: boolean
  readonly #hub: Surroundings
  readonly #req: NodeRequest
  #listener: SinkListener | undefined
  #opened = false
  /** Most streams are never full: a listener from the start would be memory for nothing. */
  #onDrain: (() => void) | undefined
  #onSocketClose: (() => void) | undefined
  /** Bytes that a middleware has taken and not passed on. */
  #withheld = 0
  #flush: (() => void) | undefined
  #isCompressedByOthers = false

  constructor(hub: Surroundings, req: NodeRequest, res: NodeResponse, headers?: HeldHeaders) {
    this.#hub = hub
    this.#req = req
    this.#res = res as ServerResponse
    this.#http1 = req.httpVersionMajor !== 2
    // Never removed: a write that lost a race with the end reports it here, and an `error` without a listener ends the process.
    res.on('error', this.#http1 ? destroy : () => this.destroy())
    this.#closed = this.#isGone()
    if (this.#closed) return
    // The response's `close`: that of the request may have come as soon as a body was parsed.
    res.on('close', this.#onEnd)
    // A pipelined response that waits for its turn is not told when the connection goes.
    if (this.#http1 && !res.socket) {
      this.#onSocketClose = () => this.#close()
      req.socket.on('close', this.#onSocketClose)
    }
    if (!headers || res.headersSent) return
    for (const [name, value] of Object.entries(headers)) {
      if (value !== undefined) this.#res.setHeader(name, value)
    }
  }

  get gone(): boolean {
    // An answer that somebody else has begun (a middleware's timeout) leaves nothing to do here.
    return this.#closed || (!this.#opened && this.#res.headersSent)
  }

  get suspect(): boolean {
    return deadPeers.suspects(this)
  }

  get ip(): string | undefined {
    return peerOf(this.#req)
  }

  get unsentBytes(): number {
    if (this.#closed) return 0
    if (this.#socket) return this.#socket.writableLength
    // What a compressor holds nobody can tell.
    return Math.max(this.#res.writableLength, this.#withheld, this.#isCompressedByOthers ? 1 : 0)
  }

  get writable(): boolean {
    if (this.#closed || this.#ended) return false
    if (this.#straight) return isOpen(this.#straight)
    return this.#socket ? this.#socket.writable : !this.#res.writableEnded
  }

  get compressed(): boolean {
    return this.#compressed
  }

  answer(status: number, headers: Readonly<Record<string, string>>, body: string): void {
    if (this.gone) return
    try {
      this.#answer(status, headers, body)
    } catch (error) {
      this.destroy()
      throw error
    }
  }

  #answer(status: number, headers: Readonly<Record<string, string>>, body: string): void {
    // On a connection that is kept the client would come again, and the server's `close` would wait for it.
    if (this.#http1 && this.#hub.draining) this.#res.setHeader('connection', 'close')
    this.#res.statusCode = status
    for (const [name, value] of Object.entries(this.#joined(headers))) this.#res.setHeader(name, value)
    if (body === '' || this.#req.method === 'HEAD') this.#res.end()
    else this.#res.end(body)
  }

  open(headers: Readonly<Record<string, string>>, gzip: boolean): Sink {
    if (this.gone) return this
    this.#opened = true
    const res = this.#res
    // A body that nobody reads would keep the socket from being read, and its end from being noticed.
    if (this.#http1 && hasBody(this.#req)) this.#req.resume()
    // Somebody else who has named an encoding already is going to do it.
    const compressed = gzip && !res.hasHeader('content-encoding')
    const { socket } = res
    if (this.#http1 && socket) {
      socket.setNoDelay?.(true)
      // The system probes only where nothing is on its way: with heartbeats it never would.
      const { heartbeatIntervalMs } = this.#hub
      if (heartbeatIntervalMs === 0 || heartbeatIntervalMs > PROBE_AFTER_MS) {
        socket.setKeepAlive?.(true, PROBE_AFTER_MS)
      }
    }
    res.writeHead(200, this.#joined(compressed ? { ...headers, 'content-encoding': 'gzip' } : headers))
    const plain = plainSocket(res)
    const lean = plain && this.#lean(plain, compressed)
    if (lean) return lean
    deadPeers.watch(this, this.#hub.heartbeatIntervalMs)
    if (this.#http1 && socket) {
      // The headers and what is said in this turn are one write to the system.
      socket.cork?.()
      process.nextTick(release, this, socket)
    }
    this.#held = plain !== undefined && !compressed
    if (!this.#held) res.flushHeaders()
    this.#socket = plain
    if (plain && isStraight(plain)) this.#straight = plain
    if (plain) res.on('prefinish', this.#onEnd)
    if (compressed) this.#begin()
    if (plain) return this
    // compression() and its like put a `flush` on the response itself; one that all responses inherit would be another thing.
    const flush = Object.hasOwn(res, 'flush') ? (res as { flush?: unknown }).flush : undefined
    if (typeof flush === 'function') this.#flush = () => flush.call(res)
    this.#isCompressedByOthers = !this.#compressed && res.hasHeader('content-encoding')
    return this
  }

  write(chunk: Chunk): boolean {
    if (this.#closed || this.#ended) return false
    if (this.#held) {
      const text = chunk.framedText
      this.flush(text)
      if (text !== undefined) return this.#hasRoom(!this.#socket?.writableNeedDrain)
    }
    if (this.#straight) {
      return this.#hasRoom(writeStraight(this.#straight, this.#compressed ? chunk.framedDeflated : chunk.framed))
    }
    if (this.#socket) {
      return this.#hasRoom(this.#socket.write(this.#compressed ? chunk.framedDeflated : chunk.framed))
    }
    const res = this.#res
    if (res.writableEnded) return false
    const bytes = this.#compressed ? chunk.deflated : chunk.bytes
    const room = res.write(bytes)
    // False although the response itself has room: something in between is full.
    if (!room && res.writableLength < res.writableHighWaterMark) this.#withheld += bytes.length
    this.#flush?.()
    return this.#hasRoom(room)
  }

  /** Sends the headers, where they still wait, and what they can take along. */
  flush(text?: string): void {
    if (!this.#held) return
    this.#held = false
    if (this.#closed || this.#ended) return
    const res = this.#res
    if (text === undefined || !holdsHeaders(res)) {
      res.flushHeaders()
      if (text !== undefined) this.#socket?.write(text, 'latin1')
      return
    }
    // It is framed already.
    res.chunkedEncoding = false
    write.call(res, text, 'latin1')
    res.chunkedEncoding = true
  }

  end(): void {
    if (!this.#closed) this.#res.end()
  }

  destroy(): void {
    if (this.#closed) return
    if (this.#http1) this.#res.destroy()
    else this.#stream.destroy()
  }

  listen(listener: SinkListener): void {
    this.#listener = listener
    if (this.#closed) listener.closed()
  }

  /** The stream that goes on without the response, where the socket was only lent to it. */
  #lean(plain: Duplex, compressed: boolean): LeanStream | undefined {
    const lent = plain as Partial<Lent>
    const res = this.#res
    if (!lent[TAKE] || (compressed && this.#isEncodedByOthers)) return undefined
    // Its end is none of the stream.
    res.off('close', this.#onEnd)
    const taken = lent[TAKE](res)
    if (!taken) {
      res.on('close', this.#onEnd)
      return undefined
    }
    return new LeanStream(taken.socket, taken.headers, compressed, this.#hub.heartbeatIntervalMs)
  }

  /** The gzip stream begins, unless a middleware has put its own encoding in the place of ours as the headers went out. */
  #begin(): void {
    this.#compressed = !this.#isEncodedByOthers
    if (!this.#compressed) return
    if (this.#socket) this.#socket.write(FRAMED_GZIP_HEADER)
    else this.#res.write(GZIP_HEADER)
  }

  /** As the headers went out, a middleware may have named an encoding of its own. Where nobody had set a header before, http keeps none. */
  get #isEncodedByOthers(): boolean {
    const named = this.#res.getHeader('content-encoding')
    return named !== undefined && named !== 'gzip'
  }

  /** Node says false far below our mark; only after a false it tells of a drain. */
  #hasRoom(room: boolean): boolean {
    if (room) return true
    if (!this.#onDrain) {
      this.#onDrain = () => this.#drained()
      this.#writable.on('drain', this.#onDrain)
    }
    this.#full = this.unsentBytes > LAGGING_BYTES
    return !this.#full
  }

  /** What the answer varies by already is kept. */
  #joined(headers: Readonly<Record<string, string>>): Record<string, string> {
    const before = headers.vary === undefined ? undefined : this.#res.getHeader('vary')
    return before ? { ...headers, vary: `${before}, ${headers.vary}` } : headers
  }

  get #writable(): Duplex | ServerResponse {
    return this.#socket ?? this.#res
  }

  #isGone(): boolean {
    if (!this.#http1) return this.#stream.destroyed
    return this.#res.destroyed || this.#res.writableEnded || this.#req.socket.destroyed
  }

  get ends(): Ends | undefined {
    if (this.#http1) return this.#req.socket
    try {
      const { localAddress, localPort, remoteAddress, remotePort } = this.#req.socket
      return { localAddress, localPort, remoteAddress, remotePort }
    } catch {
      // Of a session that is gone.
      return undefined
    }
  }

  /** Of HTTP/2, where the socket belongs to the session and is not ours to touch. */
  get #stream(): Http2ServerResponse['stream'] {
    return (this.#res as unknown as Http2ServerResponse).stream
  }

  #drained(): void {
    this.#withheld = 0
    if (!this.#full) return
    this.#full = false
    this.#listener?.drained()
  }

  /** `close`, and before it `prefinish`: in the very call of `end`, long before `close` where the socket still holds something. */
  readonly #onEnd = (): void => {
    // `prefinish` is heard only where there is such a socket; before `close` Node has destroyed the response.
    if (!this.#socket || this.#res.destroyed) this.#close()
    else this.#ended = true
  }

  #close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#res.off('close', this.#onEnd)
    this.#res.off('prefinish', this.#onEnd)
    if (this.#http1) {
      if (this.#onSocketClose) this.#req.socket.off('close', this.#onSocketClose)
      // Not by a `Connection: close` at the start: then clients take a stream that was cut for one that has ended.
      if (this.#hub.draining) this.#req.socket.destroySoon?.()
    }
    if (this.#onDrain) this.#writable.off('drain', this.#onDrain)
    deadPeers.unwatch(this)
    this.#listener?.closed()
  }
}

/** The peer's address. Of a session of HTTP/2 that is gone, asking throws. */
export function peerOf({ socket }: NodeRequest): string | undefined {
  try {
    return socket?.remoteAddress
  } catch {
    return undefined
  }
}

function hasBody({ headers }: NodeRequest): boolean {
  return headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined
}

function destroy(this: ServerResponse): void {
  this.destroy()
}

/** The turn is over. */
function release(stream: NodeStream, socket: Duplex): void {
  stream.flush()
  socket.uncork?.()
}

/**
 * Whether the headers are known to wait in the response. They are kept as they were put together, in some thirty pieces, until somebody
 * looks into them; after this look they are one text: less memory, and less for the collector to move.
 */
function holdsHeaders({ _header }: ServerResponse & { _header?: unknown }): boolean {
  return typeof _header === 'string' && _header.charCodeAt(0) === FIRST_OF_HTTP
}

/**
 * The socket of a response that is nothing more than chunks on it: the headers are out, nobody wraps `write`, nothing waits in the
 * response. A chunk that was framed once then goes to every connection as it is.
 */
function plainSocket(res: ServerResponse): Duplex | undefined {
  const { socket } = res
  if (!socket || !(res instanceof ServerResponse) || res.write !== ServerResponse.prototype.write) return undefined
  return res.chunkedEncoding && res.writableLength === socket.writableLength ? socket : undefined
}
