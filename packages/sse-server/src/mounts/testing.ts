import { type AnyHub, type Grant, type StreamResponse, serveStream } from '@entitycast/sse-server'
import { FrameReader, type ReceivedFrame } from './testing-frames'
import { MemorySink } from './testing-sink'

/*
 * A client for the tests of your own server. It records from the first byte, so that it cannot miss an event; and every wait has an end, with an
 * error that says what did come.
 */

export type { ReceivedFrame }

/** What a frame has to be: a type, a type with `*` at its end, or whatever a function says. */
export type Wanted = string | ((frame: ReceivedFrame) => boolean)

export interface ConnectOptions {
  /** Longest wait for anything, in milliseconds. Default 5,000. */
  deadlineMs?: number | undefined
  /** The cursor to go on at. */
  lastEventId?: string | undefined
  /** Only events of these channels. */
  channels?: readonly string[] | undefined
  /** Headers of the request, such as `authorization`. */
  headers?: Readonly<Record<string, string>> | undefined
}

/** Where a client connects: an address of a server that runs, or a hub in memory, with what `authorize` would have granted. */
export type Target = string | URL | { hub: AnyHub; grant: Grant | null }

const DEADLINE_MS = 5_000
const CONTROL = new Set(['connected', 'heartbeat', 'resync', 'closing'])

/** What went wrong, with what had come until then. `code`: `DEADLINE`, `ENDED`, `REFUSED`, `NOT_QUIET`. */
export class TestClientError extends Error {
  override readonly name = 'TestClientError'

  constructor(
    readonly code: 'DEADLINE' | 'ENDED' | 'REFUSED' | 'NOT_QUIET',
    message: string,
    /** The status of a response that is no stream. */
    readonly status?: number,
  ) {
    super(message)
  }
}

/**
 * Opens a stream, and resolves when it has said `connected`. A hub in memory needs no socket; an address may be any server's.
 *
 * @throws TestClientError `REFUSED` with the `status`, `ENDED`, `DEADLINE`
 * @example
 * const client = await connect({ hub, grant: { projectId: 'proj_1' } })
 * await hub.project('proj_1').updated('document', 'doc_1', { chunks: 3 })
 * expect((await client.received('entity.updated')).data).toMatchObject({ id: 'doc_1' })
 * client.close()
 */
export async function connect(target: Target, options: ConnectOptions = {}): Promise<TestClient> {
  const client = new TestClient(options.deadlineMs ?? DEADLINE_MS)
  try {
    if (typeof target === 'string' || target instanceof URL) client.request(target, options)
    else client.enter(target, options)
    await client.received('connected')
  } catch (error) {
    client.close()
    throw error
  }
  return client
}

/** Made by {@link connect}. */
export class TestClient {
  /** Every frame, from the first on. */
  readonly frames: ReceivedFrame[] = []
  readonly #deadlineMs: number
  readonly #reader = new FrameReader()
  readonly #leave = new AbortController()
  readonly #wakes = new Set<() => void>()
  #taken = 0
  #end: TestClientError | undefined

  /** Made by {@link connect}. */
  constructor(deadlineMs: number) {
    this.#deadlineMs = deadlineMs
  }

  /** What is no control frame. */
  get events(): ReceivedFrame[] {
    return this.frames.filter(({ type }) => !CONTROL.has(type))
  }

  /** Where another client would go on: the last cursor that came. */
  get cursor(): string | undefined {
    return this.frames.findLast(({ id }) => id !== undefined)?.id
  }

  /**
   * The next frame of this kind, now or as soon as it comes. What comes before it is passed over, and each frame is given once.
   *
   * @throws TestClientError `DEADLINE` or `ENDED`, with the frames that did come
   */
  async received(wanted: Wanted, deadlineMs = this.#deadlineMs): Promise<ReceivedFrame> {
    const fits = typeof wanted === 'function' ? wanted : (frame: ReceivedFrame) => isOfType(frame.type, wanted)
    const what = typeof wanted === 'function' ? 'the wanted frame' : `"${wanted}"`
    const endsAt = performance.now() + deadlineMs
    for (;;) {
      while (this.#taken < this.frames.length) {
        const frame = this.frames[this.#taken++] as ReceivedFrame
        if (fits(frame)) return frame
      }
      if (this.#end) throw this.#end
      const leftMs = endsAt - performance.now()
      if (leftMs <= 0) {
        throw new TestClientError('DEADLINE', `${what} did not come within ${deadlineMs} ms; ${this.#told()}`)
      }
      await this.#woken(leftMs)
    }
  }

  /**
   * Resolves when `fence` has come and nothing else has that was not taken. What is not there now may only be late: so publish an event that does
   * come, after what must not.
   *
   * @throws TestClientError `NOT_QUIET` with what came before the fence; `DEADLINE`, `ENDED`
   * @example
   * await hub.project('proj_2').updated('document', 'secret', {})
   * await hub.project('proj_1').emit('test:fence', null)
   * await client.quiet('test:fence')
   */
  async quiet(fence: Wanted, deadlineMs = this.#deadlineMs): Promise<void> {
    const from = this.#taken
    await this.received(fence, deadlineMs)
    const noise = this.frames.slice(from, this.#taken - 1).filter(({ type }) => type !== 'heartbeat')
    if (noise.length > 0) throw new TestClientError('NOT_QUIET', `before the fence came ${describe(noise)}`)
  }

  /** Resolves when the server has ended the stream. */
  async ended(deadlineMs = this.#deadlineMs): Promise<void> {
    const endsAt = performance.now() + deadlineMs
    while (!this.#end) {
      const leftMs = endsAt - performance.now()
      if (leftMs <= 0) throw new TestClientError('DEADLINE', `no end within ${deadlineMs} ms; ${this.#told()}`)
      await this.#woken(leftMs)
    }
  }

  /** Leaves. Twice does nothing. */
  close(): void {
    this.#finish(new TestClientError('ENDED', `this client was closed; ${this.#told()}`))
    this.#leave.abort()
  }

  /** @internal */
  request(url: string | URL, { headers, lastEventId, channels }: ConnectOptions): void {
    const address = new URL(url)
    if (channels) address.searchParams.set('channels', channels.join(','))
    const cursor: Record<string, string> = lastEventId === undefined ? {} : { 'last-event-id': lastEventId }
    const init = { headers: { accept: 'text/event-stream', ...headers, ...cursor }, signal: this.#leave.signal }
    void this.#read(address, init).catch((cause: Error) =>
      this.#finish(
        new TestClientError('ENDED', `the connection broke: ${cause.cause ?? cause.message}; ${this.#told()}`),
      ),
    )
  }

  /** @internal */
  enter(
    { hub, grant }: { hub: AnyHub; grant: Grant | null },
    { headers, lastEventId, channels }: ConnectOptions,
  ): void {
    const sent = new Map(Object.entries(headers ?? {}).map(([name, value]) => [name.toLowerCase(), value]))
    if (lastEventId !== undefined) sent.set('last-event-id', lastEventId)
    const query = channels ? `?channels=${encodeURIComponent(channels.join(','))}` : ''
    const request = { method: 'GET', url: `/${query}`, header: (name: string) => sent.get(name) }
    const { signal } = this.#leave
    const response: StreamResponse = {
      get gone() {
        return signal.aborted
      },
      answer: (status, _, body) => this.#refused(status, body),
      open: () =>
        new MemorySink(
          signal,
          (text) => this.#take(text),
          () => this.#over(),
        ),
    }
    void serveStream(hub, { authorize: () => grant }, undefined, request, response)
  }

  async #read(url: URL, init: RequestInit): Promise<void> {
    const response = await fetch(url, init)
    const isStream = response.headers.get('content-type')?.startsWith('text/event-stream')
    if (response.status !== 200 || !isStream || !response.body) {
      this.#refused(response.status, await response.text())
      return
    }
    const decoder = new TextDecoder()
    for await (const bytes of response.body) this.#take(decoder.decode(bytes, { stream: true }))
    this.#over()
  }

  #take(text: string): void {
    this.frames.push(...this.#reader.read(text))
    this.#wake()
  }

  #refused(status: number, body: string): void {
    this.#finish(new TestClientError('REFUSED', `the server answered ${status}: ${body.slice(0, 500)}`, status))
  }

  #over(): void {
    this.#finish(new TestClientError('ENDED', `the stream has ended; ${this.#told()}`))
  }

  #finish(error: TestClientError): void {
    this.#end ??= error
    this.#wake()
  }

  #wake(): void {
    for (const wake of [...this.#wakes]) wake()
  }

  #woken(withinMs: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer)
        this.#wakes.delete(wake)
        resolve()
      }
      const timer = setTimeout(wake, withinMs)
      this.#wakes.add(wake)
    })
  }

  #told(): string {
    return this.frames.length === 0 ? 'nothing came' : `it had ${describe(this.frames)}`
  }
}

function isOfType(type: string, wanted: string): boolean {
  return wanted.endsWith('*') ? type.startsWith(wanted.slice(0, -1)) : type === wanted
}

function describe(frames: readonly ReceivedFrame[]): string {
  const shown = frames.slice(-10).map(({ type, data }) => `${type} ${JSON.stringify(data).slice(0, 200)}`)
  const left = frames.length - shown.length
  return `${left > 0 ? `${left} more, then ` : ''}${shown.join(', ')}`
}
