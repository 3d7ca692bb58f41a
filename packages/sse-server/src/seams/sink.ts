/**
 * Text on its way to many connections: encoded once, however many sockets it is written to.
 * A writer takes the form that its kind of response wants.
 */
export class Chunk {
  #bytes: Buffer | undefined
  #framed: Buffer | undefined

  constructor(readonly text: string) {}

  /** The text in UTF-8. */
  get bytes(): Buffer {
    return (this.#bytes ??= Buffer.from(this.text))
  }

  /** The same as one chunk of `Transfer-Encoding: chunked` (RFC 9112, section 7.1), for a socket whose headers are out. */
  get framed(): Buffer {
    return (this.#framed ??= Buffer.concat([
      Buffer.from(`${this.bytes.length.toString(16)}\r\n`),
      this.bytes,
      Buffer.from('\r\n'),
    ]))
  }
}

/** What a sink tells the connection that writes to it. */
export interface SinkListener {
  /** The socket has room again, after a `write` that returned false. */
  drained(): void
  /** The peer is gone, or the response has ended. Called once, whoever caused it. */
  closed(): void
}

/** One open response: where a connection writes. Implemented once for each kind of response, in `mounts/`. */
export interface Sink {
  /** Bytes handed over but not yet taken by the system. */
  readonly unsentBytes: number
  /** Sends a chunk. False: it counts as sent, but the socket is full; wait for `drained`. After the end it does nothing and returns false. */
  write(chunk: Chunk): boolean
  /** Ends the response after what was written. */
  end(): void
  /** Ends the response at once and drops what the system has not taken. */
  destroy(): void
  /** Begins to tell. Where the peer is already gone, `closed` is called at once. */
  listen(listener: SinkListener): void
}

/** Above this many unsent bytes a connection is lagging: nothing more is written until it drains. */
export const LAGGING_BYTES = 65_536
