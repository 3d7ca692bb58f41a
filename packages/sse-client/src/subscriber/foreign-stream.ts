import { browserPage, type Ports, pageWakes, systemClock } from '../seams/ports'
import { type Connection, type ConnectionListener, createConnection, type FrameReader } from './connection'
import type { StreamFrame } from './parser'
import { checkOptions, type SubscriberOptions } from './request'

/** Who is told about a foreign stream. @internal */
export interface ForeignListener extends ConnectionListener {
  /** A block with data, in the standard's sense; its type is `message` where it names none. */
  message(type: string, data: string): void
}

/** @internal */
export interface ForeignOptions extends SubscriberOptions {
  /** How often the server promises a byte; without it silence means nothing. */
  heartbeatMs?: number | undefined
}

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
  readonly #to: ForeignListener
  readonly #heartbeatMs: number
  /** As the standard has it: kept across streams, until a block says otherwise. */
  lastEventId = ''

  constructor(
    url: string,
    { heartbeatMs = 0, ...options }: ForeignOptions,
    to: ForeignListener,
    ports: Partial<Ports>,
  ) {
    const platform = { clock: systemClock, random: Math.random, wakes: pageWakes, page: browserPage }
    this.#to = to
    this.#heartbeatMs = heartbeatMs
    this.connection = createConnection(checkOptions(url, options), { ...platform, ...ports }, this, to)
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
    if (data !== undefined) this.#to.message(event, data)
  }

  forget(): void {
    this.lastEventId = ''
  }

  end(): void {}
  renewable(): undefined {}
  renew(): undefined {}
}
