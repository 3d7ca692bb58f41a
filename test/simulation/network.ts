import type { Chunk, Sink, SinkListener, StreamRequest, StreamResponse } from '@entitycast/sse-server'
import type { Process } from './process'
import type { SeededRandom } from './random'

/** What the client's `fetch` resolves with: the part of a `Response` that it reads. */
export interface ClientResponse {
  readonly status: number
  readonly headers: { get(name: string): string | null }
  readonly body: ClientBody | null
}

interface ClientBody {
  getReader(): { read(): Promise<{ done: boolean; value?: Uint8Array }>; cancel(): Promise<void> }
  cancel(): Promise<void>
}

export interface LinkOptions {
  /** One way, in milliseconds. */
  latencyMs: number
  /** What the system takes from a socket before the reader reads. */
  windowBytes: number
  /** Unsent bytes above which the socket says that it is full. */
  fullBytes: number
  /** How often a chunk arrives in pieces. */
  splits: number
}

/** A write that is longer holds several events. */
const PAGE_LIKE_BYTES = 600

type ServerSide = 'waiting' | 'open' | 'ending' | 'closed'

/**
 * One request and its answer on a simulated connection: latency, pieces, a full socket, a reader who stalls, a cut in mid-frame,
 * and a peer that vanishes without a word.
 */
export class Link implements StreamResponse, Sink {
  #server: ServerSide = 'waiting'
  #listener: SinkListener | undefined
  #queue: { bytes: Buffer; readonly closing: boolean }[] = []
  #unsent = 0
  #wasFull = false
  #inFlight = 0
  #arrivesAt = 0
  /** What is on its way to the client. */
  readonly #pipe: (() => void)[] = []
  #stalledUntil = 0
  /** Nothing passes any more, and nobody is told. */
  #halfOpen = false
  /** Bytes and ends for the client, until it reads them. */
  #arrived: (Buffer | 'done' | Error)[] = []
  #reading: { resolve(result: { done: boolean; value?: Uint8Array }): void; reject(error: Error): void } | undefined
  #clientDone = false
  /** Most bytes that the server's side held at once. */
  peakUnsent = 0
  /** An event was handed over after the right to it had ended, or was left in the queue. */
  breach: string | undefined
  /** When the grant ends, in virtual time. */
  grantedUntil = Number.POSITIVE_INFINITY
  /** The application has said yes. */
  granted = false
  #sealed = false
  #cutsMidPage = false
  #streaming = false

  constructor(
    readonly server: Process,
    readonly client: Process,
    readonly random: SeededRandom,
    readonly options: LinkOptions,
    readonly request: StreamRequest,
    readonly answered: (response: ClientResponse) => void,
    readonly failed: (error: Error) => void,
  ) {}

  // The server's side

  get gone(): boolean {
    return this.#server === 'closed'
  }

  get unsentBytes(): number {
    return this.#unsent
  }

  /** Something is on its way: a cut now is a cut in mid-frame or in mid-page. */
  get busy(): boolean {
    return this.#streaming && this.#inFlight > 0
  }

  /** Granted and not open yet, or with events in the queue: what a revocation must not miss. */
  get delicate(): boolean {
    return (this.granted && this.#server === 'waiting') || (this.#streaming && this.#unsent > 0)
  }

  answer(status: number, headers: Readonly<Record<string, string>>, body: string): void {
    if (this.gone) return
    this.#server = 'ending'
    this.#respond(status, headers)
    if (body) this.#enqueue(Buffer.from(body), true)
    this.#pump()
  }

  open(headers: Readonly<Record<string, string>>): Sink {
    this.#server = 'open'
    this.#streaming = true
    this.#respond(200, headers)
    return this
  }

  write(chunk: Chunk): boolean {
    if (this.#server !== 'open') return false
    const over = this.#sealed
      ? 'the revocation'
      : this.server.monotonic() >= this.grantedUntil
        ? 'the expiry'
        : undefined
    if (over && !chunk.text.startsWith('event: closing'))
      this.breach = `written after ${over}: ${chunk.text.slice(0, 60)}`
    this.#enqueue(chunk.bytes, chunk.text.startsWith('event: closing'))
    this.#pump()
    this.#wasFull ||= this.#unsent > this.options.fullBytes
    return this.#unsent <= this.options.fullBytes
  }

  end(): void {
    if (this.#server !== 'open') return
    this.#server = 'ending'
    this.#pump()
  }

  destroy(): void {
    if (this.#server === 'closed') return
    this.#queue = []
    this.#unsent = 0
    this.#closeServer()
    this.#toClient(this.#latency(), () => this.#arrive(new Error('reset')))
  }

  listen(listener: SinkListener): void {
    this.#listener = listener
    if (this.gone) listener.closed()
  }

  /** The right has ended: from here on no event may be handed over, and none may be left in the queue. */
  seal(): void {
    const left = this.#queue.find(({ closing }) => !closing)
    if (left) this.breach = `left in the queue after the revocation: ${left.bytes.toString().slice(0, 60)}`
    this.#sealed = this.granted
  }

  // The client's side

  abort(): void {
    if (this.#clientDone) return
    this.#clientDone = true
    this.#arrived = []
    this.#reading?.reject(new Error('aborted'))
    this.#reading = undefined
    if (!this.#halfOpen) this.server.run(this.#latency(), () => this.#closeServer())
  }

  // What goes wrong

  /** The connection breaks, wherever it is: what has not arrived never will. */
  cut(): void {
    this.#halfOpen = true
    this.#queue = []
    this.client.run(this.#latency(), () => this.#arrive(new Error('cut')))
    this.server.run(this.#latency(), () => this.#closeServer())
  }

  /** Breaks in the middle of the next page: some of it arrives, the rest never does. */
  cutMidPage(): void {
    this.#cutsMidPage = true
  }

  /** The peer vanishes: no more bytes, no word to either side. */
  vanish(): void {
    this.#halfOpen = true
  }

  /** The reader does not read for a while. */
  stall(ms: number): void {
    this.#stalledUntil = Math.max(this.#stalledUntil, this.client.scheduler.time + ms)
  }

  #enqueue(bytes: Buffer, closing: boolean): void {
    this.#queue.push({ bytes, closing })
    this.#unsent += bytes.length
    this.peakUnsent = Math.max(this.peakUnsent, this.#unsent)
  }

  #latency(): number {
    return this.options.latencyMs * (0.5 + this.random.next())
  }

  #respond(status: number, headers: Readonly<Record<string, string>>): void {
    this.#toClient(this.#latency(), () => {
      if (this.#clientDone) return
      this.answered({
        status,
        headers: { get: (name) => headers[name.toLowerCase()] ?? null },
        body: {
          getReader: () => ({ read: () => this.#read(), cancel: async () => this.abort() }),
          cancel: async () => this.abort(),
        },
      })
    })
  }

  /** In order, whatever the latency of each, and not while the reader stalls. */
  #toClient(delayMs: number, task: () => void): void {
    const { scheduler } = this.client
    this.#arrivesAt = Math.max(this.#arrivesAt, scheduler.time + delayMs)
    this.#pipe.push(task)
    scheduler.at(this.#arrivesAt, () => this.#deliver())
  }

  #deliver(): void {
    const { scheduler } = this.client
    if (this.#halfOpen) return
    // Whoever stalls leaves everything where it is, and the window shut.
    if (scheduler.time < this.#stalledUntil) scheduler.at(this.#stalledUntil, () => this.#deliver())
    else this.client.enter(this.#pipe.shift() ?? (() => {}))
  }

  #pump(): void {
    if (this.#halfOpen) return
    while (this.#queue.length > 0 && this.#inFlight < this.options.windowBytes) {
      const whole = this.#queue[0]?.bytes.length ?? 0
      const piece = this.#takePiece()
      const last = this.#cutsMidPage && whole > PAGE_LIKE_BYTES && piece.length < whole
      this.#inFlight += piece.length
      this.#toClient(this.#latency(), () => {
        this.#inFlight -= piece.length
        this.#arrive(piece)
        if (last) this.cut()
        this.#pump()
      })
    }
    if (this.#unsent === 0 && this.#wasFull) {
      this.#wasFull = false
      this.server.enter(() => this.#listener?.drained())
    }
    if (this.#server === 'ending' && this.#unsent === 0) {
      this.#closeServer()
      this.#toClient(this.#latency(), () => this.#arrive('done'))
    }
  }

  #takePiece(): Buffer {
    const head = this.#queue[0] as { bytes: Buffer }
    const { length } = head.bytes
    let size = Math.min(length, this.options.windowBytes - this.#inFlight)
    const split = this.#cutsMidPage && length > PAGE_LIKE_BYTES ? 1 : this.options.splits
    if (size > 1 && this.random.chance(split)) size = this.random.int(1, size - 1)
    this.#unsent -= size
    const piece = head.bytes.subarray(0, size)
    head.bytes = head.bytes.subarray(size)
    if (size === length) this.#queue.shift()
    return piece
  }

  #closeServer(): void {
    if (this.#server === 'closed') return
    this.#server = 'closed'
    this.#listener?.closed()
  }

  #arrive(item: Buffer | 'done' | Error): void {
    if (this.#clientDone) return
    if (this.#reading) {
      const reading = this.#reading
      this.#reading = undefined
      settle(item, reading)
    } else this.#arrived.push(item)
    // An error before the answer: the request itself has failed.
    if (item instanceof Error) this.failed(item)
  }

  #read(): Promise<{ done: boolean; value?: Uint8Array }> {
    return new Promise((resolve, reject) => {
      if (this.#clientDone) return reject(new Error('aborted'))
      const item = this.#arrived.shift()
      if (item === undefined) this.#reading = { resolve, reject }
      else settle(item, { resolve, reject })
    })
  }
}

function settle(
  item: Buffer | 'done' | Error,
  reading: { resolve(result: { done: boolean; value?: Uint8Array }): void; reject(error: Error): void },
): void {
  if (item === 'done') reading.resolve({ done: true })
  else if (item instanceof Error) reading.reject(item)
  else reading.resolve({ done: false, value: item })
}
