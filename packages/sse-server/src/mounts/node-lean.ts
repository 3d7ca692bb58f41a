import { type Server, ServerResponse } from 'node:http'
import type { Server as SecureServer } from 'node:https'
import type { Socket } from 'node:net'
import process from 'node:process'
import { Duplex } from 'node:stream'
import { type TLSSocket, Server as TlsServer } from 'node:tls'

/**
 * Half the memory for each open stream. Node keeps a request, a response and a parser for as long as a response is open: about 6 KB that
 * a stream needs no more when its headers are out. Node's http speaks to any duplex stream, so it is lent one here in place of the socket; a
 * stream takes the socket back, and for Node's http the connection has ended.
 */

/** Takes the socket back from Node's http. By a symbol of all copies of this file: a package may be loaded as ESM and as CommonJS. */
export const TAKE = Symbol.for('@entitycast/sse-server/take')

/** By whom the socket's events are heard. The socket says so itself: whoever takes it needs no listeners of its own. */
export const OWNER = Symbol.for('@entitycast/sse-server/owner')

export interface Owner {
  onData(bytes: Buffer): void
  onEnd(): void
  onClose(): void
  onError(error: Error): void
  onTimeout(): void
}

export interface Owned extends Socket {
  [OWNER]: Owner
}

/** A socket that was taken back. */
export interface Taken {
  readonly socket: Owned
  /** Of the response, and not on their way yet: the first to go, each character one byte. */
  readonly headers: string
}

export interface Lent {
  /**
   * The response, whose headers are written and not sent, is at its end, as far as Node's http can see, and the socket goes to whoever sets its
   * owner. Nothing where something still waits to be written.
   */
  [TAKE](response: ServerResponse): Taken | undefined
}

/**
 * Lets go of Node's request and response once a stream's headers are out, on this server: about 5 KB for each open stream instead of 10.
 * Call it once, before the server listens. Other requests and WebSockets work as before, at a somewhat higher cost, since their bytes
 * pass through one more stream.
 *
 * The price: `finish` and `close` of a stream's response come as soon as the stream is open, not when it ends. Middlewares that log or measure
 * the end of a response see a short one that is complete.
 * `server.closeAllConnections()` no longer reaches streams: `hub.close()` ends them.
 * `req.socket` is not the socket that `connection` names: libraries that match the two to end idle sockets take all for idle.
 *
 * @example
 * const server = createServer(app)
 * leanStreams(server)
 * server.listen(3000)
 */
export function leanStreams(server: Server | SecureServer): void {
  const event = server instanceof TlsServer ? 'secureConnection' : 'connection'
  // Node's http is the first to listen, from the server's constructor on; others go on getting the socket itself.
  const [serve] = server.listeners(event)
  if (!serve) throw new TypeError('leanStreams() needs a server of node:http or node:https')
  server.off(event, serve as () => void)
  server.prependListener(event, (socket: Socket) => serve.call(server, new LentSocket(socket)))
}

/** Not a middleware's: for that the end comes when the stream ends. */
const end: (this: ServerResponse) => unknown = ServerResponse.prototype.end

/** What Node's http is given: every byte of the socket, both ways, until the socket is taken back. */
class LentSocket extends Duplex implements Lent, Owner {
  readonly #socket: Owned
  #taken = false
  /** What http writes while the socket is being taken. */
  #headers = ''
  #hearsTimeout = false

  constructor(socket: Socket) {
    // Texts stay what they are: the socket knows better what to make of them.
    super({ allowHalfOpen: true, decodeStrings: false })
    this.#socket = socket as Owned
    this.#socket[OWNER] = this
    socket.on('data', onData)
    socket.on('end', onEnd)
    socket.on('close', onClose)
    socket.on('error', onError)
  }

  [TAKE](response: ServerResponse): Taken | undefined {
    const socket = this.#socket
    if (this.#taken || this.destroyed || socket.destroyed || this.writableLength > 0) return undefined
    this.#taken = true
    if (this.#hearsTimeout) socket.setTimeout(0)
    response.flushHeaders()
    const headers = this.#headers
    // First the response, then the connection: the other way round the client would seem to have broken off, at the price of an error and its stack.
    end.call(response)
    process.nextTick(destroy, this)
    return { socket, headers }
  }

  /** From the moment it is taken on, http writes to nobody: its headers, and the end of a body. */
  override write(
    chunk: unknown,
    encoding?: BufferEncoding | ((error?: Error | null) => void),
    callback?: (error?: Error | null) => void,
  ): boolean {
    if (!this.#taken) return super.write(chunk, encoding as BufferEncoding, callback)
    this.#headers += chunk
    const written = typeof encoding === 'function' ? encoding : callback
    if (written) process.nextTick(written)
    return true
  }

  override _read(): void {
    this.#socket.resume()
  }

  override _write(chunk: Buffer | string, encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    // Nothing waits in here while the socket has room.
    if (this.#socket.write(chunk, encoding)) done()
    else this.#socket.once('drain', () => this.#drained(done))
  }

  /** Told also where no write was refused here: Node 26 counts for itself what it may write, and waits whenever something is left. */
  #drained(done: () => void): void {
    const isTold = this.writableNeedDrain
    done()
    if (!isTold && this.writableLength === 0) this.emit('drain')
  }

  override _final(done: () => void): void {
    if (this.#taken) done()
    else this.#socket.end(done)
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    if (!this.#taken) this.#socket.destroy(error ?? undefined)
    done(error)
  }

  override cork(): void {
    if (!this.#taken) this.#socket.cork()
  }

  override uncork(): void {
    if (!this.#taken) this.#socket.uncork()
  }

  /** What http does at the end of a response after which the client wants no other. */
  destroySoon(): void {
    if (!this.#taken) this.#socket.destroySoon()
  }

  setTimeout(ms: number, listener?: () => void): this {
    if (!this.#taken) {
      if (!this.#hearsTimeout && ms > 0) this.#socket.on('timeout', onTimeout)
      this.#hearsTimeout ||= ms > 0
      this.#socket.setTimeout(ms)
    }
    if (listener) this.once('timeout', listener)
    return this
  }

  setNoDelay(on?: boolean): this {
    this.#socket.setNoDelay(on)
    return this
  }

  setKeepAlive(on?: boolean, delayMs?: number): this {
    this.#socket.setKeepAlive(on, delayMs)
    return this
  }

  ref(): this {
    this.#socket.ref()
    return this
  }

  unref(): this {
    this.#socket.unref()
    return this
  }

  get connecting(): boolean {
    return this.#socket.connecting
  }

  get bytesWritten(): number {
    return this.#socket.bytesWritten
  }

  get bytesRead(): number {
    return this.#socket.bytesRead
  }

  get remoteAddress(): string | undefined {
    return this.#socket.remoteAddress
  }

  get remotePort(): number | undefined {
    return this.#socket.remotePort
  }

  get remoteFamily(): string | undefined {
    return this.#socket.remoteFamily
  }

  get localAddress(): string | undefined {
    return this.#socket.localAddress
  }

  get localPort(): number | undefined {
    return this.#socket.localPort
  }

  /** Frameworks read from it whether the request came over TLS. */
  get encrypted(): boolean | undefined {
    return (this.#socket as Socket as Partial<TLSSocket>).encrypted
  }

  get authorized(): boolean | undefined {
    return (this.#socket as Socket as Partial<TLSSocket>).authorized
  }

  getPeerCertificate(detailed?: boolean): unknown {
    return (this.#socket as Socket as Partial<TLSSocket>).getPeerCertificate?.(detailed as true)
  }

  onData(bytes: Buffer): void {
    if (!this.push(bytes)) this.#socket.pause()
  }

  onEnd(): void {
    this.push(null)
  }

  onClose(): void {
    this.destroy()
  }

  onError(error: Error): void {
    this.destroy(error)
  }

  onTimeout(): void {
    this.emit('timeout')
  }
}

function destroy(stream: Duplex): void {
  stream.destroy()
}

function onData(this: Owned, bytes: Buffer): void {
  this[OWNER].onData(bytes)
}

function onEnd(this: Owned): void {
  this[OWNER].onEnd()
}

function onClose(this: Owned): void {
  this[OWNER].onClose()
}

function onError(this: Owned, error: Error): void {
  this[OWNER].onError(error)
}

function onTimeout(this: Owned): void {
  this[OWNER].onTimeout()
}
