import {
  type AnyHub,
  assertHub,
  assertStreamOptions,
  type Chunk,
  type EventStreamOptions,
  GZIP_HEADER,
  LAGGING_BYTES,
  type Sink,
  type SinkListener,
  serveStream,
} from '@entitycast/sse-server'

/**
 * Streams for servers that speak the Fetch API: Hono, Next, Remix, SvelteKit, Bun, Deno.
 */

/**
 * A function from a request to its response. The client's address is not known here: give `clientIp` where the server has it,
 * otherwise addresses are not counted.
 *
 * @throws HubError `INVALID_OPTION`
 * @example
 * const stream = eventStream(hub, { authorize: async (request) => grantFor(request.headers.get('authorization')) })
 * app.get('/api/events/stream', (c) => stream(c.req.raw))     // Hono
 * export const GET = stream                                   // Next
 * export const GET = ({ request }) => stream(request)         // SvelteKit
 */
export function eventStream(
  hub: AnyHub,
  options: EventStreamOptions<Request>,
): (request: Request) => Promise<Response> {
  assertStreamOptions(hub, options)
  return (request) =>
    new Promise((resolve, reject) => {
      if (!isRequest(request)) return reject(new TypeError(NO_REQUEST))
      const exchange = {
        method: request.method,
        url: request.url,
        header: (name: string) => request.headers.get(name) ?? undefined,
      }
      const response = {
        get gone() {
          return request.signal.aborted
        },
        answer: (status: number, headers: Readonly<Record<string, string>>, body: string) =>
          resolve(new Response(body === '' ? null : body, { status, headers })),
        open: (headers: Readonly<Record<string, string>>, gzip: boolean) => {
          const sink = new FetchSink(request.signal, gzip)
          resolve(new Response(sink.body, { headers: gzip ? { ...headers, 'content-encoding': 'gzip' } : headers }))
          return sink
        },
      }
      // A client that left during `authorize` is not answered, but the server still waits for a response.
      const left = () => resolve(new Response(null, { status: 499 }))
      void serveStream(hub, options, request, exchange, response).then(left)
    })
}

const NO_REQUEST =
  'what eventStream() returns was called with something else than a Request: (c) => stream(c.req.raw) in Hono, ({ request }) => stream(request) in SvelteKit and Remix'

/** Frameworks hand their handlers a context of their own. */
function isRequest(given: Partial<Request> | undefined): boolean {
  return typeof given?.headers?.get === 'function' && typeof given.signal?.aborted === 'boolean'
}

/**
 * Answers with `hub.stats()` as JSON. Put it behind the application's own check.
 *
 * @throws HubError `INVALID_OPTION`
 */
export function eventStats(hub: AnyHub): (request: Request) => Response {
  assertHub(hub)
  return () => Response.json(hub.stats(), { headers: { 'cache-control': 'no-store' } })
}

/** A body that is written to. What its reader has not asked for yet waits here, where it can be counted. */
class FetchSink implements Sink {
  readonly body: ReadableStream<Uint8Array>
  #controller!: ReadableStreamDefaultController<Uint8Array>
  #listener: SinkListener | undefined
  readonly #waiting: Uint8Array[] = []
  #unsent = 0
  #asked = false
  #full = false
  #ending = false
  #closed = false

  constructor(
    readonly signal: AbortSignal,
    readonly compressed: boolean,
  ) {
    // Not a stream of type `bytes`: that would detach the buffer, which other connections share.
    this.body = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller
        },
        pull: () => this.#pull(),
        cancel: () => this.#close(),
      },
      { highWaterMark: 0 },
    )
    if (compressed) this.#push(GZIP_HEADER)
    if (signal.aborted) this.#finish()
    else signal.addEventListener('abort', this.#onAbort)
  }

  get unsentBytes(): number {
    return this.#unsent
  }

  write(chunk: Chunk): boolean {
    if (this.#closed || this.#ending) return false
    this.#push(this.compressed ? chunk.deflated : chunk.bytes)
    if (this.#asked) this.#pull()
    this.#full = this.#unsent > LAGGING_BYTES
    return !this.#full
  }

  #push(bytes: Uint8Array): void {
    this.#waiting.push(bytes)
    this.#unsent += bytes.length
  }

  end(): void {
    this.#ending = true
    if (this.#unsent === 0) this.#finish()
  }

  destroy(): void {
    if (this.#closed) return
    this.#controller.error(new Error('The stream was cut'))
    this.#close()
  }

  listen(listener: SinkListener): void {
    this.#listener = listener
    if (this.#closed) listener.closed()
  }

  #pull(): void {
    const next = this.#waiting.shift()
    this.#asked = next === undefined
    if (!next) return
    this.#unsent -= next.length
    this.#controller.enqueue(next)
    if (this.#unsent > 0) return
    if (this.#ending) this.#finish()
    else if (this.#full) {
      this.#full = false
      this.#listener?.drained()
    }
  }

  #finish(): void {
    if (this.#closed) return
    this.#controller.close()
    this.#close()
  }

  /** The client has left, which is no error: servers log those. */
  readonly #onAbort = (): void => this.#finish()

  #close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#waiting.length = 0
    this.#unsent = 0
    this.signal.removeEventListener('abort', this.#onAbort)
    this.#listener?.closed()
  }
}
