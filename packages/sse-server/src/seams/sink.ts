/**
 * Text on its way to many connections: encoded once, however many sockets it is written to.
 * A writer takes the form that its kind of response wants.
 */
export class Chunk {
  /** Length of the text in UTF-8. */
  readonly byteLength: number
  #framed: Buffer | undefined
  #bytes: Buffer | undefined

  constructor(readonly text: string) {
    this.byteLength = Buffer.byteLength(text)
  }

  /** The text as one chunk of `Transfer-Encoding: chunked` (RFC 9112, section 7.1), for a socket whose headers are out. */
  get framed(): Buffer {
    return (this.#framed ??= Buffer.from(`${this.byteLength.toString(16)}\r\n${this.text}\r\n`))
  }

  /** The text in UTF-8: a part of the same memory. */
  get bytes(): Buffer {
    return (this.#bytes ??= this.framed.subarray(-this.byteLength - 2, -2))
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
