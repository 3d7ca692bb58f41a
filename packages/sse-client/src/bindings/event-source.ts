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
  /** What went wrong: check its `code`. None where a stream was left for a better one, as after sleep. */
  readonly error?: SubscriberError | undefined
}

type Handler<Of extends Event> = ((event: Of) => unknown) | null
type Listener<Of extends Event> = ((event: Of) => unknown) | { handleEvent(event: Of): unknown } | null
type ListenerOptions = boolean | { capture?: boolean; once?: boolean; passive?: boolean; signal?: AbortSignal }

/** What an `EventTarget` of these events is: nothing but its types. */
interface SourceTarget extends Omit<EventTarget, 'addEventListener' | 'removeEventListener'> {
  addEventListener(type: 'open', listener: Listener<Event>, options?: ListenerOptions): void
  addEventListener(type: 'error', listener: Listener<StreamErrorEvent>, options?: ListenerOptions): void
  addEventListener(type: string, listener: Listener<MessageEvent>, options?: ListenerOptions): void
  removeEventListener(type: 'open', listener: Listener<Event>, options?: ListenerOptions): void
  removeEventListener(type: 'error', listener: Listener<StreamErrorEvent>, options?: ListenerOptions): void
  removeEventListener(type: string, listener: Listener<MessageEvent>, options?: ListenerOptions): void
}

/**
 * The platform's `EventSource`, for the streams of any server, over the engine of `EventSubscriber`. It keeps to the WHATWG standard in
 * what events a stream has, however it is cut, and in `Last-Event-ID`. It knows nothing of entitycast's own frames: of an entitycast stream
 * it shows what a native one does.
 *
 * Where it differs from the platform's class, it is because that gives up, or never notices:
 * - 5xx, 408, 425, 429, and 200 that is no event stream (a proxy's HTML page): it tries again, and heeds `Retry-After`; the platform's class
 *   is `CLOSED` for good. Other refusals close both. `shouldRetry` decides otherwise: `({ status }) => (status ? false : undefined)` gives up on
 *   every answer, as the platform does.
 * - 401: the `headers` are asked for once more. 409 and 431 with a last event ID: once without it, and the error is `CURSOR_REFUSED`.
 * - Where there are `headers`, redirects are not followed, and close it: they could carry them to another origin.
 * - Delays grow, with jitter, while no stream holds for 10 s; `retry:` is a minimum, of 5 minutes at most. The platform waits for the same
 *   time again and again.
 * - A response has 45 s to begin. With `heartbeatMs`, a stream that is silent for three of them is replaced. After sleep, or from the
 *   back/forward cache, a stream that must be dead is.
 * - An event over `maxEventBytes` (1 MiB) ends the stream: it is tried again.
 * - While the page is away (`hidden`, the back/forward cache), there is no stream, and it is `CONNECTING`.
 *
 * Or because it is made of `fetch`:
 * - A refusal by CORS, and `window.stop()`, are to a page like a network that is gone: it tries again.
 * - To another origin, `Last-Event-ID` is asked for before, with `OPTIONS`: the server must allow that header.
 * - An id with control characters is not sent back.
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
export class EventSource extends (EventTarget as new () => SourceTarget) {
  declare static readonly CONNECTING: 0
  declare static readonly OPEN: 1
  declare static readonly CLOSED: 2
  declare readonly CONNECTING: 0
  declare readonly OPEN: 1
  declare readonly CLOSED: 2
  declare onopen: Handler<Event>
  declare onmessage: Handler<MessageEvent>
  declare onerror: Handler<StreamErrorEvent>
  readonly #stream: ForeignStream
  readonly #handlers = new Map<string, [handler: (event: Event) => unknown, listener: (event: Event) => void]>()
  #told = 0

  // As Web IDL has them: on the prototype, enumerable, and the constants on both. Bundlers rename a class that names itself in here.
  static {
    // biome-ignore lint/complexity/noThisInStatic: see above
    const both = [this, this.prototype] as const
    const [, prototype] = both
    for (const [value, name] of ['CONNECTING', 'OPEN', 'CLOSED'].entries())
      for (const target of both) Object.defineProperty(target, name, { value, enumerable: true })
    for (const name of ['url', 'withCredentials', 'readyState', 'close'])
      Object.defineProperty(prototype, name, { enumerable: true })
    for (const type of ['open', 'message', 'error']) {
      const name = `on${type}`
      const accessors: ThisType<EventSource> = {
        get [name]() {
          return this.#handlers.get(type)?.[0] ?? null
        },
        // A handler keeps its place among the listeners when another takes its place, as the platform's do.
        set [name](handler: Handler<Event>) {
          const present = this.#handlers.get(type)
          if (typeof handler !== 'function') {
            if (present) this.removeEventListener(type, present[1])
            this.#handlers.delete(type)
          } else if (present) present[0] = handler
          else {
            const listener = (event: Event) => this.#handlers.get(type)?.[0].call(this, event)
            this.addEventListener(type, listener)
            this.#handlers.set(type, [handler, listener])
          }
        },
      }
      Object.defineProperties(prototype, Object.getOwnPropertyDescriptors(accessors))
    }
    Object.defineProperty(prototype, Symbol.toStringTag, { value: 'EventSource', configurable: true })
  }

  /**
   * @param url in a page it may be relative
   * @param ports time, chance and the page's events instead of the platform's: for tests
   * @throws DOMException `SyntaxError` where the address is none; SubscriberError `INVALID_OPTION`
   */
  constructor(url: string | URL, options: EventSourceOptions = {}, ports: Partial<Ports> = {}) {
    super()
    this.#stream = new ForeignStream(
      resolve(String(url)),
      // As Web IDL has it, null is none.
      options ?? {},
      {
        message: (type, message) => this.dispatchEvent(new MessageEvent(type, message)),
        moved: () => this.#tell(),
        failed: (error) => this.#tell(error),
      },
      ports,
    )
    this.#stream.connection.connect()
  }

  /** The whole address. */
  get url(): string {
    return this.#stream.url
  }

  get withCredentials(): boolean {
    return this.#stream.withCredentials
  }

  /** `CONNECTING` (0), `OPEN` (1) or `CLOSED` (2). */
  get readyState(): 0 | 1 | 2 {
    const { state, closed } = this.#stream.connection.shown()
    if (state === 'connected') return 1
    return closed ? 2 : 0
  }

  /** Ends it. No event follows, and no timer or request is left. */
  close(): void {
    this.#stream.connection.close()
  }

  #tell(error?: SubscriberError): void {
    const [before, now] = [this.#told, this.readyState]
    this.#told = now
    if (now === 1 && before !== 1) this.dispatchEvent(new Event('open'))
    else if (error || now < before) {
      this.dispatchEvent(Object.assign(new Event('error'), { error }))
    }
  }
}

function resolve(url: string): string {
  try {
    return new URL(url, globalThis.document?.baseURI ?? globalThis.location?.href).href
  } catch {
    throw new DOMException(`"${url.slice(0, 100)}" is no address; outside a page it must be whole`, 'SyntaxError')
  }
}
