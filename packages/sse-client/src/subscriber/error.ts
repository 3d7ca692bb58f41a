/**
 * What went wrong, as a code that stays the same from release to release.
 *
 * The subscriber has stopped (`retrying: false`) after
 * - `UNAUTHORIZED`: 401 again, although the headers were asked for once more
 * - `FORBIDDEN`: 403; `NOT_FOUND`: 404; `REFUSED`: any other 4xx that does not say "later"
 * - `NO_CONTENT`: 204, by which a server says: do not come back
 * - `REDIRECTED`: the address answers with a redirect, which is not followed so that credentials stay where they belong
 * - `PROJECT_MISMATCH`: the stream belongs to another project
 * - `REVOKED`: the right to read was taken away; `REPLACED`: another connection has taken this one's place
 *
 * It tries again by itself (`retrying: true`) after
 * - `NETWORK`: the request failed, or the stream broke; `STREAM_ENDED`: the stream ended without a word
 * - `STREAM_LOOP`: so did the fifth stream in a row, and none has held for 10 s: a proxy that buffers or bounds responses, or a route that closes
 * - `UNAVAILABLE`: 5xx, 408, 425, 429, or a status that means nothing here
 * - `NOT_A_STREAM`: 200, but not `text/event-stream`; or a `fetch` that gives no body to read, as React Native's own
 * - `CONNECT_TIMEOUT`: no `connected` within 45 s: a proxy or a `fetch` that buffers, or another kind of stream
 * - `SILENT`: not a byte for three heartbeats
 * - `HEADERS_FAILED`: the `headers` function threw, or did not answer within 10 s
 * - `CURSOR_REFUSED`: the server does not take the cursor; a resync follows
 * - `TOO_LARGE`: an event, or what must be held back until it is complete, is over `maxEventBytes`
 * - `PROTOCOL`: the stream does not keep to the protocol
 *
 * The stream goes on (`retrying: true`) after
 * - `INVALID_FRAME`: one frame could not be read, and was skipped
 * - `INVALID_CURSOR`: an `id:` that no header can carry, and nothing better came with it. If the stream is cut before the next good one, a resync follows
 * - `HANDLER_FAILED`: a handler threw or rejected; what it threw is the `cause`. An `onResync` handler that rejects is called again
 * - `RESYNC_LOOP`: one resync follows the other; they are told ever more rarely
 * - `RESYNC_UNHEARD`: a resync, and nobody has called `onResync`: what is shown may be old
 *
 * `CLOSED` and `QUEUE_OVERFLOW` are only thrown, by `ready()` and `eventsOf()`: it was closed; the loop is slower than the events.
 * `INVALID_OPTION` is thrown at construction, or by `connect()` for an address that is relative to nothing.
 */
export type SubscriberErrorCode =
  | 'UNAUTHORIZED'
  | 'FORBIDDEN'
  | 'NOT_FOUND'
  | 'REFUSED'
  | 'NO_CONTENT'
  | 'REDIRECTED'
  | 'PROJECT_MISMATCH'
  | 'REVOKED'
  | 'REPLACED'
  | 'NETWORK'
  | 'STREAM_ENDED'
  | 'STREAM_LOOP'
  | 'UNAVAILABLE'
  | 'NOT_A_STREAM'
  | 'CONNECT_TIMEOUT'
  | 'SILENT'
  | 'HEADERS_FAILED'
  | 'CURSOR_REFUSED'
  | 'TOO_LARGE'
  | 'PROTOCOL'
  | 'INVALID_FRAME'
  | 'INVALID_CURSOR'
  | 'HANDLER_FAILED'
  | 'RESYNC_LOOP'
  | 'RESYNC_UNHEARD'
  | 'CLOSED'
  | 'QUEUE_OVERFLOW'
  | 'INVALID_OPTION'

/**
 * What `onError` is given. Check `code`, never `instanceof` or the message: two copies of a package in one page are normal.
 *
 * @example
 * updates.onError((error) => {
 *   if (error.code === 'UNAUTHORIZED') location.assign('/login')
 *   else if (!error.retrying) showBanner('Live updates have stopped')
 * })
 */
export class SubscriberError extends Error {
  override readonly name = 'SubscriberError'
  /** Whether the subscriber goes on by itself. False: it is `disconnected` until `connect()` is called again. */
  declare readonly retrying: boolean
  /** The status of the response, where there was one. */
  declare readonly status: number | undefined
  declare readonly code: SubscriberErrorCode

  constructor(
    code: SubscriberErrorCode,
    message: string,
    details: { retrying?: boolean; status?: number | undefined; cause?: unknown } = {},
  ) {
    super(message, details)
    this.code = code
    this.retrying = details.retrying ?? true
    this.status = details.status
  }
}
