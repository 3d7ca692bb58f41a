import { browserPage, type Fetch, type Ports, pageWakes, systemClock } from '../seams/ports'
import { type Connection, type ConnectionListener, createConnection, type FrameReader } from './connection'
import type { StreamFrame } from './parser'
import { checkOptions, type SubscriberOptions } from './request'

/** Who is told about a foreign stream. @internal */
export interface ForeignListener extends ConnectionListener {
  /** A block with data, in the standard's sense; its type is `message` where it names none. */
  message(type: string, message: { data: string; lastEventId: string; origin: string }): void
}

/** @internal */
export interface ForeignOptions extends SubscriberOptions {
  /** How often the server promises a byte; without it silence means nothing. */
  heartbeatMs?: number | undefined
  /** Whether cookies go to other origins too. */
  withCredentials?: boolean | undefined
}

/** What the platform's `fetch` has a network for. */
const NETWORKED = /^(?:https?|blob|data):/

/** What a header value may hold, apart from bytes that are not ASCII. */
const NOT_FOR_HEADERS = /[^\t -~\u0080-\u{10ffff}]/u

/**
 * The same connection over a stream of any server's: live as soon as there is a response, no word that is not the standard's, and the
 * last event ID instead of a cursor. A `retry:` counts until the next one.
 *
 * @internal
 */
export class ForeignStream implements FrameReader {
  readonly connection: Connection
  readonly withCredentials: boolean
  readonly #to: ForeignListener
  readonly #heartbeatMs: number
  /** As the standard has it: kept across streams, until a block says otherwise. */
  lastEventId = ''
  /** Of the address that the present stream has come from, after all redirects. */
  #origin = ''

  constructor(
    readonly url: string,
    { heartbeatMs = 0, withCredentials = false, ...options }: ForeignOptions,
    to: ForeignListener,
    ports: Partial<Ports>,
  ) {
    const platform = { clock: systemClock, random: Math.random, wakes: pageWakes, page: browserPage }
    this.#to = to
    this.withCredentials = Boolean(withCredentials)
    this.#heartbeatMs = heartbeatMs
    const settings = {
      ...checkOptions(url, options),
      fetch: this.#fetch(options),
      shouldRetry: shouldRetry(url, options),
      ...(this.withCredentials && { credentials: 'include' as const }),
    }
    this.connection = createConnection(settings, { ...platform, ...ports }, this, to)
  }

  /** Redirects are followed as the platform does, unless there are `headers`, which are not for another origin. */
  #fetch({ headers, fetch }: ForeignOptions): Fetch {
    return async (url, init) => {
      const request = fetch ?? (globalThis.fetch as Fetch)
      const response = await request(url, headers !== undefined ? init : { ...init, redirect: 'follow' })
      this.#origin = new URL(response.url || url).origin
      const { status, type = '', redirected = false, headers: fields, body } = response
      return { status, type, redirected: redirected && headers !== undefined, headers: fields, body }
    }
  }

  opened(): void {
    const { connection } = this
    connection.live({ connectionId: '', projectId: '', resume: 'live', heartbeatMs: this.#heartbeatMs })
  }

  begin(): string | undefined {
    if (this.lastEventId === '' || NOT_FOR_HEADERS.test(this.lastEventId)) return undefined
    // UTF-8, one character a byte: so `fetch` takes it, and so the standard sends it.
    return Array.from(new TextEncoder().encode(this.lastEventId), (byte) => String.fromCharCode(byte)).join('')
  }

  frame({ event = 'message', id, data }: StreamFrame): void {
    if (id !== undefined) this.lastEventId = id
    if (data !== undefined) this.#to.message(event, { data, lastEventId: this.lastEventId, origin: this.#origin })
  }

  forget(): void {
    this.lastEventId = ''
  }

  end(): void {}
  renewable(): undefined {}
  renew(): undefined {}
}

/** Where the standard says that it is futile, and nobody knows better: another 2xx, or an address that no network is asked for. */
function shouldRetry(url: string, options: ForeignOptions): SubscriberOptions['shouldRetry'] {
  return (error, context) => {
    const { code, status = 0 } = error
    const isFutile = (status > 200 && status < 300) || (code === 'NETWORK' && !options.fetch && !NETWORKED.test(url))
    return options.shouldRetry?.(error, context) ?? (isFutile ? false : undefined)
  }
}
