import { deflatePiece } from './deflate'

/**
 * Text on its way to many connections: encoded once, and compressed once, however many sockets it is written to.
 * A writer takes the form that its kind of response wants.
 */
export class Chunk {
  #framed: Buffer | undefined
  #bytes: Buffer | undefined
  #framedDeflated: Buffer | undefined
  #deflated: Buffer | undefined

  constructor(
    readonly text: string,
    /** False: `deflated` is stored as it is, so that its length tells nothing but the text's. */
    readonly compressible = true,
    /** Length of the text in UTF-8. */
    readonly byteLength = Buffer.byteLength(text),
  ) {}

  /** The text as one chunk of `Transfer-Encoding: chunked` (RFC 9112, section 7.1), for a socket whose headers are out. */
  get framed(): Buffer {
    // A byte for each character: nobody has to look for others again.
    return (this.#framed ??= Buffer.from(this.#frame(), this.byteLength === this.text.length ? 'latin1' : 'utf8'))
  }

  /** The same as text, where each character is a byte: for whoever has other text to send right before it. */
  get framedText(): string | undefined {
    return this.byteLength === this.text.length ? this.#frame() : undefined
  }

  #frame(): string {
    return `${this.byteLength.toString(16)}\r\n${this.text}\r\n`
  }

  /** `deflated` as one chunk of `Transfer-Encoding: chunked`. */
  get framedDeflated(): Buffer {
    if (!this.#framedDeflated) {
      const piece = deflatePiece(this.#bytes ?? Buffer.from(this.text), this.compressible)
      this.#framedDeflated = frame(piece)
      // The same memory, so that nothing is held twice.
      this.#deflated = this.#framedDeflated.subarray(-piece.length - 2, -2)
    }
    return this.#framedDeflated
  }

  /** A piece of a gzip stream, for a response that began with `GZIP_HEADER`. */
  get deflated(): Buffer {
    if (!this.#deflated) void this.framedDeflated
    return this.#deflated as Buffer
  }

  /** The text in UTF-8: a part of the same memory. */
  get bytes(): Buffer {
    return (this.#bytes ??= this.framed.subarray(-this.byteLength - 2, -2))
  }
}

/** Bytes as one chunk of `Transfer-Encoding: chunked`. */
function frame(bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, CRLF])
}

const CRLF = Buffer.from('\r\n')

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
  /** Whether a write goes out: false where somebody else has ended the response. Absent: that cannot be known. */
  readonly writable?: boolean
  /** Whether the peer owes its system's answer to something that was sent. Absent: that cannot be known. */
  readonly suspect?: boolean
  /** The peer's address, while it is there. */
  readonly ip?: string | undefined
  /** Whether chunks go out as `deflated`. Default: as `bytes`. */
  readonly compressed?: boolean
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
