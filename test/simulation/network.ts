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
  getReader(): { read(): Promise<ReadResult>; cancel(): Promise<void> }
  cancel(): Promise<void>
}

type ReadResult = { done: boolean; value?: Uint8Array }
type Arrival = Buffer | 'done' | Error
interface Reading {
  resolve(result: ReadResult): void
  reject(error: Error): void
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
  /** Most bytes that the server's side held at once. */
  peakUnsent = 0
  /** An event was handed over after the right to it had ended, or was left in the queue. */
  breach: string | undefined
  /** When the grant ends, in virtual time. */
  grantedUntil = Number.POSITIVE_INFINITY
  /** The application has said yes. */
  granted = false
  /** Whether a heartbeat may be written: where the application wants to be asked, only after its yes. */
  mayBeat = true
  /** The server has said that it takes no new streams. */
  refusesStreams: () => boolean = () => false
  #server: ServerSide = 'waiting'
  #listener: SinkListener | undefined
  #queue: { bytes: Buffer; readonly closing: boolean }[] = []
  #unsent = 0
  #wasFull = false
  /** Since when the socket is full and takes nothing. */
  #stuckSince = Number.POSITIVE_INFINITY
  #streaming = false
  /** Why no event may be handed over any more. */
  #sealed: string | undefined
  /** What is on its way to the client. */
  readonly #pipe: (() => void)[] = []
  #inFlight = 0
  #arrivesAt = 0
  #stalledUntil = 0
  /** Nothing passes any more, and nobody is told. */
  #halfOpen = false
  #cutsMidPage = false
  /** What still passes before the connection breaks, in bytes. */
  #fuse = Number.POSITIVE_INFINITY
  /** Bytes and ends for the client, until it reads them. */
  #arrived: Arrival[] = []
  #reading: Reading | undefined
  #clientDone = false
  #clientTold = false
  /** Bytes that the client has, and that it must have to know that the stream is live. */
  #delivered = 0
  #helloBytes = 0
  #helloComplete = false

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

  /** The stream is open as far as the server knows. */
  get served(): boolean {
    return this.#server === 'open'
  }

  get unsentBytes(): number {
    return this.#unsent
  }

  /** Since when the socket is full and takes nothing; never, where there is room. */
  get stuckSince(): number {
    return this.#wasFull ? this.#stuckSince : Number.POSITIVE_INFINITY
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
    if (this.refusesStreams()) this.breach = 'a stream was opened by a server that is shutting down'
    this.#server = 'open'
    this.#streaming = true
    this.#respond(200, headers)
    return this
  }

  write(chunk: Chunk): boolean {
    if (this.#server !== 'open') return false
    const { text, bytes } = chunk
    const closing = text.startsWith('event: closing')
    const over = this.#sealed ?? (this.server.monotonic() >= this.grantedUntil ? 'the expiry' : undefined)
    if (over && !closing) this.breach = `written after ${over}: ${text.slice(0, 60)}`
    if (!this.mayBeat && (text.startsWith('event: heartbeat') || text.startsWith(':')))
      this.breach = 'a heartbeat was written, and nobody was asked whether it may be'
    this.#countHello(text, bytes.length)
    this.#enqueue(bytes, closing)
    this.#pump()
    if (this.#unsent <= this.options.fullBytes) return true
    if (!this.#wasFull) this.#stuckSince = this.server.scheduler.time
    this.#wasFull = true
    return false
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

  /** The right has ended: from here on no event may be handed over. */
  seal(why: string): void {
    if (this.granted) this.#sealed ??= why
  }

  /** The right has ended, and the server has had its turn: no event may be left in the queue either. */
  expectNothingQueued(): void {
    const left = this.#queue.find(({ closing }) => !closing)
    if (left && this.#sealed)
      this.breach = `left in the queue after ${this.#sealed}: ${left.bytes.toString().slice(0, 60)}`
  }

  // The client's side

  /** The client has neither let go of it nor been told that it is over. */
  get clientOpen(): boolean {
    return !this.#clientDone && !this.#clientTold
  }

  /** The client knows that the stream is live, and waits for the next heartbeat. */
  get clientLive(): boolean {
    return this.clientOpen && this.#helloComplete && this.#delivered >= this.#helloBytes
  }

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

  /** Breaks when so many more bytes have arrived. */
  cutAfter(bytes: number): void {
    this.#fuse = Math.min(this.#fuse, bytes)
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

  /** `connected`, and the resync where it announces one. */
  #countHello(text: string, bytes: number): void {
    if (this.#helloComplete) return
    this.#helloComplete = this.#helloBytes > 0 || !text.includes('"resume":"resync"')
    this.#helloBytes += bytes
  }

  #enqueue(bytes: Buffer, closing: boolean): void {
    if (this.#cutsMidPage && bytes.length > PAGE_LIKE_BYTES) {
      this.#cutsMidPage = false
      this.cutAfter(this.#unsent + this.#placeInPage(bytes))
    }
    this.#queue.push({ bytes, closing })
    this.#unsent += bytes.length
    this.peakUnsent = Math.max(this.peakUnsent, this.#unsent)
  }

  /** Somewhere in a page: often just behind a frame that is whole. */
  #placeInPage(bytes: Buffer): number {
    const at = this.random.int(1, bytes.length - 1)
    const end = this.random.chance(0.6) ? bytes.indexOf('\n\n', at) : -1
    return end > 0 && end + 2 < bytes.length ? end + 2 : at
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
    while (this.#queue.length > 0 && this.#hasRoom() && this.#fuse > 0) {
      const piece = this.#takePiece()
      const last = this.#fuse === 0
      this.#inFlight += piece.length
      this.#toClient(this.#latency(), () => {
        this.#inFlight -= piece.length
        this.#delivered += piece.length
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

  /** Like TCP, it waits for room that is worth a packet. */
  #hasRoom(): boolean {
    const { windowBytes } = this.options
    const next = this.#queue[0]?.bytes.length ?? 0
    return windowBytes - this.#inFlight >= Math.min(next, windowBytes / 3)
  }

  #takePiece(): Buffer {
    const head = this.#queue[0] as { bytes: Buffer }
    const { length } = head.bytes
    let size = Math.min(length, this.options.windowBytes - this.#inFlight, this.#fuse)
    if (size > 1 && size < this.#fuse && this.random.chance(this.options.splits)) size = this.random.int(1, size - 1)
    this.#fuse -= size
    this.#unsent -= size
    this.#stuckSince = this.server.scheduler.time
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

  #arrive(item: Arrival): void {
    if (this.#clientDone) return
    if (this.#reading) {
      const reading = this.#reading
      this.#reading = undefined
      this.#settle(item, reading)
    } else this.#arrived.push(item)
    // An error before the answer: the request itself has failed.
    if (item instanceof Error) this.fail(item)
  }

  /** The request fails, if it has not been answered. */
  fail(error: Error): void {
    if (!this.#streaming) this.#clientTold = true
    this.failed(error)
  }

  #read(): Promise<ReadResult> {
    return new Promise((resolve, reject) => {
      if (this.#clientDone) return reject(new Error('aborted'))
      const item = this.#arrived.shift()
      if (item === undefined) this.#reading = { resolve, reject }
      else this.#settle(item, { resolve, reject })
    })
  }

  #settle(item: Arrival, reading: Reading): void {
    this.#clientTold ||= item === 'done' || item instanceof Error
    if (item === 'done') reading.resolve({ done: true })
    else if (item instanceof Error) reading.reject(item)
    else reading.resolve({ done: false, value: item })
  }
}
