import type { StreamRequestInit, StreamResponse } from '../../src/seams/ports'

const encoder = new TextEncoder()

type Read = { done: boolean; value?: Uint8Array }

/** One request, and what the test does with it. */
export class Exchange implements StreamResponse {
  /** The subscriber has let go: the request was aborted, or the body cancelled. */
  released = false
  cancelled = false
  status = 200
  redirected = false
  type = 'basic'
  #fields = new Map<string, string>()
  #waiting: Read[] = []
  #failure: { error: unknown } | undefined
  #reader: { resolve(read: Read): void; reject(error: unknown): void } | undefined
  #respond!: (response: StreamResponse) => void
  #reject!: (error: unknown) => void
  readonly response = new Promise<StreamResponse>((resolve, reject) => {
    this.#respond = resolve
    this.#reject = reject
  })

  constructor(
    /** Of the request; and of the response, where that came from elsewhere. */
    public url: string,
    readonly init: StreamRequestInit,
  ) {
    init.signal.addEventListener('abort', () => {
      this.released = true
      this.fail(new DOMException('This operation was aborted', 'AbortError'))
    })
  }

  /** A header of the request. */
  header(name: string): string | undefined {
    return this.init.headers[name]
  }

  /** Sends the head of a response; `bodyless` without a body. */
  answer(
    status: number,
    fields: Record<string, string> = {},
    options: { redirected?: boolean; type?: string; url?: string } = {},
  ): this {
    this.status = status
    Object.assign(this, options)
    this.#fields = new Map(Object.entries(fields).map(([name, value]) => [name.toLowerCase(), value]))
    this.#respond(this)
    return this
  }

  /** Sends the head of an event stream, and text in one chunk each. */
  stream(...chunks: string[]): this {
    this.answer(200, { 'Content-Type': 'text/event-stream; charset=utf-8' })
    return this.send(...chunks)
  }

  send(...chunks: string[]): this {
    for (const chunk of chunks) this.sendBytes(encoder.encode(chunk))
    return this
  }

  sendBytes(value: Uint8Array): void {
    this.#give({ done: false, value })
  }

  end(): void {
    this.#give({ done: true })
  }

  fail(error: unknown): void {
    this.#failure = { error }
    this.#reject(error)
    this.response.catch(() => {})
    this.#reader?.reject(error)
    this.#reader = undefined
  }

  readonly headers = { get: (name: string) => this.#fields.get(name.toLowerCase()) ?? null }

  readonly body = {
    getReader: () => ({
      read: (): Promise<Read> => {
        const next = this.#waiting.shift()
        if (next) return Promise.resolve(next)
        if (this.#failure) return Promise.reject(this.#failure.error)
        return new Promise((resolve, reject) => {
          this.#reader = { resolve, reject }
        })
      },
      cancel: () => this.#cancel(),
    }),
    cancel: () => this.#cancel(),
  }

  async #cancel(): Promise<void> {
    this.cancelled = this.released = true
    this.#waiting = []
    this.#reader?.resolve({ done: true })
    this.#reader = undefined
  }

  #give(read: Read): void {
    if (this.#reader) {
      this.#reader.resolve(read)
      this.#reader = undefined
    } else this.#waiting.push(read)
  }
}

/** A `fetch` whose answers are given by the test. */
export class Network {
  readonly exchanges: Exchange[] = []

  readonly fetch = (url: string, init: StreamRequestInit): Promise<StreamResponse> => {
    const exchange = new Exchange(url, init)
    this.exchanges.push(exchange)
    return exchange.response
  }

  /** The newest request. */
  get last(): Exchange {
    const last = this.exchanges.at(-1)
    if (!last) throw new Error('nothing was requested')
    return last
  }

  /** Requests that the subscriber still holds. */
  get open(): number {
    return this.exchanges.filter(({ released }) => !released).length
  }
}
