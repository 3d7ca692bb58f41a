import { Agent, type ClientRequest, type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http'
import { createGunzip } from 'node:zlib'
import { createParser } from 'eventsource-parser'

/**
 * A client that cannot miss an event: it records from the first byte, and `next` walks through what is recorded before it waits.
 */

export interface Received {
  readonly event: string
  readonly id: string | undefined
  /** The parsed `data:` lines. */
  readonly data: Record<string, unknown>
}

export interface OpenOptions {
  method?: string
  headers?: Record<string, string>
  /** A Unix socket to connect to instead of the URL's host. */
  socketPath?: string
  /** Reads nothing until `resume()`. */
  paused?: boolean
  /** Leaves, also while there is no response yet. */
  signal?: AbortSignal
}

export class StreamClient {
  readonly events: Received[] = []
  /** Everything that came, decompressed, as text. */
  text = ''
  /** Resolves when the response has ended or was cut; never rejects. */
  readonly ended: Promise<void>
  #taken = 0
  #isOver = false
  #wake: () => void = () => {}

  /** Resolves with the response's headers, whatever its status. Rejects where there is no response. */
  static open(url: string, options: OpenOptions = {}): Promise<StreamClient> {
    const { method = 'GET', headers = {}, socketPath, signal } = options
    return new Promise((resolve, reject) => {
      // Connections are kept, as browsers do: a server must be able to close nevertheless.
      const agent = new Agent({ keepAlive: true })
      const outgoing = request(url, {
        method,
        agent,
        headers,
        ...(socketPath && { socketPath }),
        ...(signal && { signal }),
      })
      outgoing.on('error', reject)
      outgoing.on('response', (response) => resolve(new StreamClient(agent, outgoing, response, options)))
      outgoing.end()
    })
  }

  private constructor(
    readonly agent: Agent,
    readonly outgoing: ClientRequest,
    readonly response: IncomingMessage,
    options: OpenOptions,
  ) {
    const parser = createParser({
      onEvent: ({ event = 'message', id, data }) => {
        this.events.push({ event, id, data: JSON.parse(data) })
        this.#wake()
      },
    })
    const body = response.headers['content-encoding'] === 'gzip' ? response.pipe(createGunzip()) : response
    this.ended = new Promise((resolve) => {
      const over = () => {
        this.#isOver = true
        this.#wake()
        resolve()
      }
      body.on('end', over).on('error', over)
      response.on('close', over).on('error', over)
    })
    const read = () => {
      body.setEncoding('utf8')
      body.on('data', (text: string) => {
        this.text += text
        if (this.isStream) parser.feed(text)
      })
    }
    if (options.paused) this.#read = read
    else read()
  }

  #read = (): void => {}

  /** Begins to read, where the client was opened `paused`. */
  resume(): void {
    this.#read()
  }

  get status(): number {
    return this.response.statusCode ?? 0
  }

  get headers(): IncomingHttpHeaders {
    return this.response.headers
  }

  get isStream(): boolean {
    return String(this.headers['content-type']).startsWith('text/event-stream')
  }

  /** The next event of this type, passing over others; each event is given once. Rejects where the stream ends first. */
  async next(type?: string): Promise<Received> {
    for (;;) {
      while (this.#taken < this.events.length) {
        const event = this.events[this.#taken++]!
        if (type === undefined || event.event === type) return event
      }
      if (this.#isOver)
        throw new Error(
          `The stream ended before ${type ?? 'an event'}; it had ${JSON.stringify(this.text.slice(-500))}`,
        )
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  /** The whole body as JSON. */
  async json(): Promise<unknown> {
    await this.ended
    return JSON.parse(this.text)
  }

  /** Leaves without a word. */
  close(): void {
    this.outgoing.destroy()
    this.agent.destroy()
  }
}
