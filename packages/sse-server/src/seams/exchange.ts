import type { Sink } from './sink'

/*
 * One HTTP request and its answer, in the least that the hub needs to know of them. A mount turns its framework's objects into these two;
 * everything else (methods, negotiation, authorization, limits, CORS) is decided in one place, `hub/serve.ts`.
 */

/** Who has an address, or can be asked for it. */
export interface Addressed {
  /** The address that limits count by; absent: not counted. Asked for only while it can matter. */
  readonly ip?: string | undefined
}

export interface StreamRequest extends Addressed {
  readonly method: string
  /** Path and query, as in the request line; or a whole URL. */
  readonly url: string
  /** A header by its lower-case name; repeated ones joined with `, `. */
  header(name: string): string | undefined
  /** The response's sink knows the same `ip`, where the peer is still there: then nobody asks for it here when the stream is open. */
  readonly isIpOfPeer?: boolean | undefined
  /** The application has decided who may see what before the request came here: what could not be heard since then may have undone that. */
  readonly isGranted?: boolean | undefined
}

export interface StreamResponse {
  /** Whether the peer has gone. The mount listens for that from the start, before anything is awaited. */
  readonly gone: boolean
  /** Sends a whole answer. Does nothing where the peer is gone; cuts it off where that cannot be done, also because `open` has failed half-way. */
  answer(status: number, headers: Readonly<Record<string, string>>, body: string): void
  /**
   * Sends status 200 and these headers now, and returns where to write. `gzip`: the client accepts it and the application wants it; who
   * can, adds `content-encoding: gzip`, begins with `GZIP_HEADER` and writes chunks as `deflated`. Who ignores it is right too.
   */
  open(headers: Readonly<Record<string, string>>, gzip: boolean): Sink
}
