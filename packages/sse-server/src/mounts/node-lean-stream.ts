import type { Socket } from 'node:net'
import process from 'node:process'
import { type Chunk, GZIP_HEADER, LAGGING_BYTES, type Sink, type SinkListener } from '@entitycast/sse-server'
import { deadPeers } from './node-dead-peers'
import { OWNER, type Owned, type Owner } from './node-lean'
import { isOpen, isStraight, type StraightSocket, writeStraight } from './node-straight'
import type { Ends } from './node-tcp-table'

/** As one chunk of `Transfer-Encoding: chunked`. */
export const FRAMED_GZIP_HEADER = Buffer.concat([Buffer.from('a\r\n'), GZIP_HEADER, Buffer.from('\r\n')])
/** The end of a chunked body (RFC 9112, section 7.1). */
const LAST_CHUNK = '0\r\n\r\n'

/** A stream that has its socket to itself: headers are out, and Node's request and response are gone. */
export class LeanStream implements Sink, Owner {
  #listener: SinkListener | undefined
  #full = false
  /** The socket, where it may be written to by its descriptor. */
  readonly #straight: StraightSocket | undefined
  /** Until the first chunk goes out. */
  #headers: string | undefined
  /** Most streams are never full: a listener from the start would be memory for nothing. */
  #onDrain: (() => void) | undefined

  constructor(
    readonly socket: Owned,
    headers: string,
    readonly compressed: boolean,
    heartbeatMs: number,
  ) {
    this.#headers = headers
    socket[OWNER] = this
    if (isStraight(socket)) this.#straight = socket
    // What a client says after its request means nothing, and must not fill the socket.
    socket.resume()
    deadPeers.watch(this, heartbeatMs)
    if (!compressed) return
    this.#begin()
    socket.write(FRAMED_GZIP_HEADER)
  }

  get ends(): Ends {
    return this.socket
  }

  get unsentBytes(): number {
    return this.socket.writableLength
  }

  get writable(): boolean {
    return this.#straight ? isOpen(this.#straight) : this.socket.writable
  }

  get ip(): string | undefined {
    return this.socket.remoteAddress
  }

  get suspect(): boolean {
    return deadPeers.suspects(this)
  }

  write(chunk: Chunk): boolean {
    const { socket } = this
    if (!socket.writable) return false
    if (this.#send(chunk)) return true
    if (!this.#onDrain) {
      this.#onDrain = () => this.#drained()
      socket.on('drain', this.#onDrain)
    }
    this.#full = this.unsentBytes > LAGGING_BYTES
    return !this.#full
  }

  end(): void {
    if (!this.socket.writable) return
    this.#begin()
    this.socket.end(LAST_CHUNK)
  }

  destroy(): void {
    this.socket.destroy()
  }

  listen(listener: SinkListener): void {
    this.#listener = listener
    if (this.socket.closed) listener.closed()
  }

  onData(): void {}

  onEnd(): void {
    this.socket.end()
  }

  onClose(): void {
    deadPeers.unwatch(this)
    this.#listener?.closed()
  }

  onError(): void {
    this.destroy()
  }

  onTimeout(): void {}

  #send(chunk: Chunk): boolean {
    const { socket } = this
    if (this.#headers === undefined) {
      const bytes = this.compressed ? chunk.framedDeflated : chunk.framed
      return this.#straight ? writeStraight(this.#straight, bytes) : socket.write(bytes)
    }
    const text = chunk.framedText
    this.#begin(text)
    return text === undefined ? socket.write(chunk.framed) : !socket.writableNeedDrain
  }

  /** The headers, and what they can take along; with all else that is said in this turn they are one write to the system. */
  #begin(text = ''): void {
    if (this.#headers === undefined) return
    const { socket } = this
    socket.cork()
    process.nextTick(uncork, socket)
    socket.write(this.#headers + text, 'latin1')
    this.#headers = undefined
  }

  #drained(): void {
    if (!this.#full) return
    this.#full = false
    this.#listener?.drained()
  }
}

function uncork(socket: Socket): void {
  socket.uncork()
}
