import type { Server } from 'node:http'
import type { Server as SecureServer } from 'node:https'
import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { type TLSSocket, Server as TlsServer } from 'node:tls'

/**
 * Half the memory for each open stream. Node keeps a request, a response and a parser for as long as a response is open: about 6 KB that
 * a stream needs no more when its headers are out. Node's http speaks to any duplex stream, so it is lent one here in place of the socket; a
 * stream takes the socket back, and for Node's http the connection has ended.
 */

/** Takes the socket back from Node's http. By a symbol of all copies of this file: a package may be loaded as ESM and as CommonJS. */
export const TAKE = Symbol.for('@entitycast/sse-server/take')

export interface Lent {
  /** Nothing where something still waits to be written. */
  [TAKE](): Socket | undefined
}

/**
 * Lets go of Node's request and response once a stream's headers are out, on this server: about 5 KB for each open stream instead of 11.
 * Call it once, before the server listens. Other requests and WebSockets work as before, at a somewhat higher cost, since their bytes
 * pass through one more stream.
 *
 * The price: `close` of a stream's request and response comes as soon as the stream is open, not when it ends, and a listener for the
 * request's `error` hears `ECONNRESET`, as when a client leaves. Middlewares that log or measure the end of a response see a short one.
 * `server.closeAllConnections()` no longer reaches streams: `hub.close()` ends them.
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

/** What Node's http is given: every byte of the socket, both ways, until the socket is taken back. */
class LentSocket extends Duplex implements Lent {
  readonly #socket: Socket
  #taken = false

  constructor(socket: Socket) {
    super({ allowHalfOpen: true })
    this.#socket = socket
    socket.on('data', this.#onData)
    socket.on('end', this.#onEnd)
    socket.on('close', this.#onClose)
    socket.on('error', this.#onError)
    socket.on('timeout', this.#onTimeout)
  }

  [TAKE](): Socket | undefined {
    const socket = this.#socket
    if (this.#taken || this.destroyed || socket.destroyed || this.writableLength > 0) return undefined
    this.#taken = true
    socket.off('data', this.#onData)
    socket.off('end', this.#onEnd)
    socket.off('close', this.#onClose)
    socket.off('error', this.#onError)
    socket.off('timeout', this.#onTimeout)
    socket.setTimeout(0)
    this.destroy()
    return socket
  }

  override _read(): void {
    this.#socket.resume()
  }

  override _write(chunk: Buffer, encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    // Nothing waits in here while the socket has room.
    if (this.#socket.write(chunk, encoding)) done()
    else this.#socket.once('drain', done)
  }

  override _final(done: () => void): void {
    this.#socket.end(done)
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    if (!this.#taken) this.#socket.destroy(error ?? undefined)
    done(error)
  }

  override cork(): void {
    this.#socket.cork()
  }

  override uncork(): void {
    this.#socket.uncork()
  }

  destroySoon(): void {
    this.#socket.destroySoon()
  }

  setTimeout(ms: number, listener?: () => void): this {
    if (!this.#taken) this.#socket.setTimeout(ms)
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
    return (this.#socket as Partial<TLSSocket>).encrypted
  }

  get authorized(): boolean | undefined {
    return (this.#socket as Partial<TLSSocket>).authorized
  }

  getPeerCertificate(detailed?: boolean): unknown {
    return (this.#socket as Partial<TLSSocket>).getPeerCertificate?.(detailed as true)
  }

  readonly #onData = (bytes: Buffer): void => {
    if (!this.push(bytes)) this.#socket.pause()
  }

  readonly #onEnd = (): void => void this.push(null)

  readonly #onClose = (): void => void this.destroy()

  readonly #onError = (error: Error): void => void this.destroy(error)

  readonly #onTimeout = (): void => void this.emit('timeout')
}
