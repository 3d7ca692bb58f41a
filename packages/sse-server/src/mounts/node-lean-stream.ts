import { type Chunk, GZIP_HEADER, LAGGING_BYTES, type Sink, type SinkListener } from '@entitycast/sse-server'
import { deadPeers, type PeerWatch } from './node-dead-peers'
import { OWNER, type Owned, type Owner } from './node-lean'

/** As one chunk of `Transfer-Encoding: chunked`. */
export const FRAMED_GZIP_HEADER = Buffer.concat([Buffer.from('a\r\n'), GZIP_HEADER, Buffer.from('\r\n')])
/** The end of a chunked body (RFC 9112, section 7.1). */
const LAST_CHUNK = '0\r\n\r\n'

/** A stream that has its socket to itself: headers are out, and Node's request and response are gone. */
export class LeanStream implements Sink, Owner {
  #listener: SinkListener | undefined
  #full = false
  /** Most streams are never full: a listener from the start would be memory for nothing. */
  #onDrain: (() => void) | undefined
  readonly #watch: PeerWatch | undefined

  constructor(
    readonly socket: Owned,
    readonly compressed: boolean,
    heartbeatMs: number,
  ) {
    socket[OWNER] = this
    // What a client says after its request means nothing, and must not fill the socket.
    socket.resume()
    this.#watch = deadPeers.watch(this, socket, heartbeatMs)
    if (compressed) socket.write(FRAMED_GZIP_HEADER)
  }

  get unsentBytes(): number {
    return this.socket.writableLength
  }

  get writable(): boolean {
    return this.socket.writable
  }

  get suspect(): boolean {
    return this.#watch?.suspect ?? false
  }

  write(chunk: Chunk): boolean {
    const { socket } = this
    if (!socket.writable) return false
    if (socket.write(this.compressed ? chunk.framedDeflated : chunk.framed)) return true
    if (!this.#onDrain) {
      this.#onDrain = () => this.#drained()
      socket.on('drain', this.#onDrain)
    }
    this.#full = this.unsentBytes > LAGGING_BYTES
    return !this.#full
  }

  end(): void {
    if (this.socket.writable) this.socket.end(LAST_CHUNK)
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
    if (this.#watch) deadPeers.unwatch(this.#watch)
    this.#listener?.closed()
  }

  onError(): void {
    this.destroy()
  }

  onTimeout(): void {}

  #drained(): void {
    if (!this.#full) return
    this.#full = false
    this.#listener?.drained()
  }
}
