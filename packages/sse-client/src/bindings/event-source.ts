import { ForeignStream, type Ports, type SubscriberError, type SubscriberOptions } from '@entitycast/sse-client'

/** What the constructor takes beside the address: the platform's own option, and what `EventSubscriber` knows of requests. */
export interface EventSourceOptions
  extends Pick<SubscriberOptions, 'fetch' | 'headers' | 'hidden' | 'maxEventBytes' | 'shouldRetry' | 'signal'> {
  /** How often the server sends at least a byte, such as a comment, in milliseconds. Default: silence means nothing. */
  heartbeatMs?: number | undefined
  /** Whether cookies go to other origins too. Default: to the own origin only. */
  withCredentials?: boolean | undefined
}

/** An `error` event. */
export interface StreamErrorEvent extends Event {
  /** What went wrong: check its `code`. Not there where a stream was left for a better one, as after sleep. */
  readonly error?: SubscriberError
}

type Handler<Of extends Event> = ((event: Of) => unknown) | null
type Listener<Of extends Event> = ((event: Of) => unknown) | { handleEvent(event: Of): unknown } | null
type ListenerOptions = boolean | { capture?: boolean; once?: boolean; passive?: boolean; signal?: AbortSignal }
type Named = 'onopen' | 'onmessage' | 'onerror'

/**
 * The platform's `EventSource`, for the streams of any server, over the engine of `EventSubscriber`. It keeps to the WHATWG standard in
 * what events a stream has, however it is cut, and in `Last-Event-ID`. It knows nothing of entitycast's own frames: of an entitycast stream
 * it shows what a native one does.
 *
 * Where it differs from the platform's class, it is because that gives up, or never notices:
 * - 5xx, 408, 425, 429, and 200 that is no event stream (a proxy's HTML page): it tries again, and heeds `Retry-After`; the platform's class
 *   is `CLOSED` for good. Other refusals close both. `shouldRetry` decides otherwise.
 * - 401: the `headers` are asked for once more. 409 and 431 with a last event ID: once without it, and the error is `CURSOR_REFUSED`.
 * - Redirects are not followed, and close it: they could carry credentials to another origin.
 * - Delays grow, with jitter, while no stream holds for 10 s; `retry:` is a minimum, of 5 minutes at most. The platform waits for the same
 *   time again and again.
 * - A response has 45 s to begin. With `heartbeatMs`, a stream that is silent for three of them is replaced. After sleep, or from the
 *   back/forward cache, a stream that must be dead is.
 * - An event over `maxEventBytes` (1 MiB) ends the stream: it is tried again.
 * - An id with control characters is not sent back: `fetch` cannot.
 * - While the page is away (`hidden`, the back/forward cache), there is no stream, and it is `CONNECTING`.
 * - `error` events carry the {@link SubscriberError}; `isTrusted` is false.
 *
 * It needs `EventTarget`, `MessageEvent` and `fetch`: browsers, workers, Node ≥ 20.19, Deno, Bun. In Node it keeps the process alive until
 * `close()`, unless it runs on a `nodePlatform()` that does not.
 *
 * @example
 * const source = new EventSource('/prices', { headers: async () => ({ authorization: `Bearer ${await token()}` }) })
 * source.addEventListener('price', ({ data, lastEventId }) => show(JSON.parse(data)))
 * source.onerror = ({ error }) => { if (source.readyState === EventSource.CLOSED) report(error) }
 */
export class EventSource extends EventTarget {
  static readonly CONNECTING = 0
  static readonly OPEN = 1
  static readonly CLOSED = 2
  readonly CONNECTING = 0
  readonly OPEN = 1
  readonly CLOSED = 2
  /** The whole address. */
  readonly url: string
  readonly withCredentials: boolean
  readonly #stream: ForeignStream
  readonly #handlers = new Map<Named, [handler: (event: never) => unknown, listener: (event: Event) => void]>()
  #told = 0

  /**
   * @param url in a page it may be relative
   * @param ports time, chance and the page's events instead of the platform's: for tests
   * @throws DOMException `SyntaxError` where the address is none; SubscriberError `INVALID_OPTION`
   */
  constructor(url: string | URL, options: EventSourceOptions = {}, ports: Partial<Ports> = {}) {
    super()
    const { withCredentials = false, ...others } = options
    this.url = resolve(String(url))
    this.withCredentials = Boolean(withCredentials)
    const { origin } = new URL(this.url)
    this.#stream = new ForeignStream(
      this.url,
      { ...others, ...(this.withCredentials && { credentials: 'include' }) },
      {
        message: (type, data) =>
          this.dispatchEvent(new MessageEvent(type, { data, lastEventId: this.#stream.lastEventId, origin })),
        moved: () => this.#tell(),
        failed: (error) => this.#tell(error),
      },
      ports,
    )
    this.#stream.connection.connect()
  }

  /** `CONNECTING` (0), `OPEN` (1) or `CLOSED` (2). */
  get readyState(): 0 | 1 | 2 {
    const { state, pauses } = this.#stream.connection
    if (state === 'connected') return 1
    return pauses.includes('closed') ? 2 : 0
  }

  get onopen(): Handler<Event> {
    return this.#handler('onopen')
  }
  set onopen(handler: Handler<Event>) {
    this.#handle('onopen', handler)
  }
  get onmessage(): Handler<MessageEvent> {
    return this.#handler('onmessage')
  }
  set onmessage(handler: Handler<MessageEvent>) {
    this.#handle('onmessage', handler)
  }
  get onerror(): Handler<StreamErrorEvent> {
    return this.#handler('onerror')
  }
  set onerror(handler: Handler<StreamErrorEvent>) {
    this.#handle('onerror', handler)
  }

  /** Ends it. No event follows, and no timer or request is left. */
  close(): void {
    this.#stream.connection.close()
  }

  override addEventListener(type: 'open', listener: Listener<Event>, options?: ListenerOptions): void
  override addEventListener(type: 'error', listener: Listener<StreamErrorEvent>, options?: ListenerOptions): void
  override addEventListener(type: string, listener: Listener<MessageEvent>, options?: ListenerOptions): void
  override addEventListener(type: string, listener: unknown, options?: ListenerOptions): void {
    super.addEventListener(type, listener as EventListener, options)
  }

  override removeEventListener(type: 'open', listener: Listener<Event>, options?: ListenerOptions): void
  override removeEventListener(type: 'error', listener: Listener<StreamErrorEvent>, options?: ListenerOptions): void
  override removeEventListener(type: string, listener: Listener<MessageEvent>, options?: ListenerOptions): void
  override removeEventListener(type: string, listener: unknown, options?: ListenerOptions): void {
    super.removeEventListener(type, listener as EventListener, options)
  }

  #tell(error?: SubscriberError): void {
    const [before, now] = [this.#told, this.readyState]
    this.#told = now
    if (now === 1 && before !== 1) this.dispatchEvent(new Event('open'))
    else if (error || (now === 0 && before === 1)) {
      this.dispatchEvent(Object.assign(new Event('error'), error && { error }))
    }
  }

  #handler<Of extends Event>(name: Named): Handler<Of> {
    return (this.#handlers.get(name)?.[0] as Handler<Of> | undefined) ?? null
  }

  /** A handler keeps its place among the listeners when another takes its place, as the platform's do. */
  #handle(name: Named, handler: unknown): void {
    const type = name.slice(2)
    const present = this.#handlers.get(name)
    if (typeof handler !== 'function') {
      if (present) super.removeEventListener(type, present[1])
      this.#handlers.delete(name)
    } else if (present) present[0] = handler as (event: never) => unknown
    else {
      const listener = (event: Event) => this.#handlers.get(name)?.[0].call(this, event as never)
      this.#handlers.set(name, [handler as (event: never) => unknown, listener])
      super.addEventListener(type, listener)
    }
  }
}

function resolve(url: string): string {
  try {
    return new URL(url, globalThis.document?.baseURI ?? globalThis.location?.href).href
  } catch {
    throw new DOMException(
      `"${url.slice(0, 100)}" is not an address; outside a page it must be a whole one`,
      'SyntaxError',
    )
  }
}
