import {
  EventSubscriber,
  type Fetch,
  type Ports,
  type ResyncReason,
  type StreamRequestInit,
  type StreamResponse,
  type SubscriberOptions,
} from '@entitycast/sse-client'
import { type EventDefinitions, type EventInput, encodeFrame } from '@entitycast/sse-protocol'
import { settle, VirtualClock } from './testing-clock'
import { FakeLog } from './testing-log'
import { FakeStream } from './testing-stream'

/** For the tests of your own components: a server that is a few objects, in a time that passes when the test says so. */
export interface FakeServerOptions {
  /** The project that it serves. Default `proj_1`. */
  projectId?: string | undefined
  /** Milliseconds of virtual time between heartbeats; 0: none. Default 15 s. */
  heartbeatMs?: number | undefined
  /** What the subscriber takes for chance, from 0 to 1: the delay of a reconnect. Default 0.5. */
  random?: (() => number) | undefined
}

/** A request that reached the server. Names of headers are in lower case. */
export interface FakeRequest {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
}

type Without<Event> = Event extends unknown ? Omit<Event, 'projectId'> : never

/** An event without its project: that is the server's. */
export type FakeEvent = Without<EventInput>

/**
 * A server for the tests of components. It keeps to the protocol as the real one does: what is pushed while nobody is connected is
 * replayed to whoever comes back with a cursor. Each method resolves when everything has run that does not wait for time;
 * a `headers` function that waits for more than promises is not waited for.
 *
 * @example
 * const server = createFakeServer()
 * const subscriber = server.subscriber()
 * render(<DataUpdatesProvider subscriber={subscriber}><Documents /></DataUpdatesProvider>)
 * await act(() => server.connect(subscriber))
 * await act(() => server.push({ type: 'entity.updated', entity: 'document', id: 'doc_1', data: { chunks: 3 } }))
 * expect(screen.getByText('3 chunks')).toBeDefined()
 * act(() => server.close())
 */
export function createFakeServer(options: FakeServerOptions = {}): FakeServer {
  return new FakeServer(options)
}

/** Made by {@link createFakeServer}. */
export class FakeServer {
  readonly projectId: string
  /** What arrived, refused requests too. */
  readonly requests: FakeRequest[] = []
  /** For a subscriber that your own code makes: `new EventSubscriber(url, { fetch: server.fetch }, server.ports)`. */
  readonly ports: Pick<Ports, 'clock' | 'random' | 'wakes'>
  readonly clock = new VirtualClock()
  readonly #heartbeatMs: number
  readonly #wakes = new Set<(restored: boolean) => void>()
  readonly #subscribers = new Set<{ close(): void }>()
  readonly #log = new FakeLog()
  #streams: FakeStream[] = []
  #refusal: { status: number; times: number; retryAfterMs: number | undefined } | undefined

  constructor({ projectId = 'proj_1', heartbeatMs = 15_000, random = () => 0.5 }: FakeServerOptions) {
    this.projectId = projectId
    this.#heartbeatMs = heartbeatMs
    this.ports = {
      clock: this.clock,
      random,
      wakes: (onWake) => {
        this.#wakes.add(onWake)
        return () => this.#wakes.delete(onWake)
      },
    }
  }

  /** A subscriber of this server, not yet connected. `close()` of the server closes it. */
  subscriber<Definitions extends EventDefinitions = EventDefinitions>(
    options: SubscriberOptions = {},
  ): EventSubscriber<Definitions> {
    const all = { projectId: this.projectId, fetch: this.fetch, ...options }
    const subscriber = new EventSubscriber<Definitions>('https://fake.test/api/events/stream', all, this.ports)
    this.#subscribers.add(subscriber)
    return subscriber
  }

  /** Connects a subscriber, and resolves when its stream is open, or refused. */
  async connect(subscriber: { connect(): void }): Promise<void> {
    subscriber.connect()
    await settle()
  }

  /** The end of the log: `since` for a subscriber that has loaded its rows. */
  get cursor(): string {
    return this.#log.cursor
  }

  /** Streams that a subscriber holds. */
  get connections(): number {
    return this.#open().length
  }

  /** Publishes events, in this order. */
  async push(...events: FakeEvent[]): Promise<void> {
    for (const event of events) {
      this.#log.append({ ...event, projectId: this.projectId } as EventInput, this.clock.now())
      for (const stream of this.#open()) this.#log.send(stream)
    }
    await settle()
  }

  /** The network cuts every stream. The subscribers come back by themselves, in time: `advance()`. */
  async drop(): Promise<void> {
    for (const stream of this.#open()) stream.cut()
    await settle()
  }

  /** The log is lost: whoever is connected is told to load again, and so is whoever comes back. */
  async gap(reason: ResyncReason = 'broker-gap'): Promise<void> {
    this.#log.forget()
    for (const stream of this.#open()) stream.send(this.#log.resync(reason))
    await settle()
  }

  /** Requests are answered with this status from now on, or `times` times. 200: no more. Open streams stay: see {@link drop}. */
  status(
    status: number,
    { times = Number.POSITIVE_INFINITY, retryAfterMs }: { times?: number; retryAfterMs?: number } = {},
  ): void {
    this.#refusal = status === 200 ? undefined : { status, times, retryAfterMs }
  }

  /** Not a byte arrives any more on the streams that are open now, and nobody is told: what a dead Wi-Fi does. New requests are answered. */
  silence(): void {
    for (const stream of this.#open()) stream.silence()
  }

  /** The machine sleeps for `ms`: no timer runs, and the open streams die without a word. */
  async sleep(ms: number): Promise<void> {
    this.silence()
    this.clock.sleep(ms)
    await settle()
  }

  /** The page is visible or online again. `restored`: it is back from the back/forward cache. */
  async wake({ restored = false }: { restored?: boolean } = {}): Promise<void> {
    for (const onWake of [...this.#wakes]) onWake(restored)
    await settle()
  }

  /** Lets `ms` of virtual time pass: retries, heartbeats and watchdogs that are due run, in their order. */
  advance(ms: number): Promise<void> {
    return this.clock.advance(ms)
  }

  /** Closes every subscriber that it made, and cuts every stream. */
  close(): void {
    for (const subscriber of this.#subscribers) subscriber.close()
    for (const stream of this.#open()) stream.cut()
  }

  /** Stands in for the global `fetch`. */
  readonly fetch: Fetch = async (url, init) => this.#answer(url, init)

  #answer(url: string, init: StreamRequestInit): StreamResponse {
    const { headers } = init
    this.requests.push({ url, headers })
    const refusal = this.#refusal
    if (refusal) {
      const { status, retryAfterMs } = refusal
      if (--refusal.times <= 0) this.#refusal = undefined
      const fields: Record<string, string> =
        retryAfterMs === undefined ? {} : { 'retry-after': String(Math.ceil(retryAfterMs / 1000)) }
      return this.#end(new FakeStream(status, fields, init))
    }
    if ((headers['x-project-id'] ?? this.projectId) !== this.projectId) return this.#end(new FakeStream(403, {}, init))
    const stream = new FakeStream(200, { 'content-type': 'text/event-stream' }, init)
    stream.channels = new URL(url, 'https://fake.test').searchParams.get('channels')?.split(',')
    this.#log.greet(stream, headers['last-event-id'], {
      connectionId: `conn_${this.requests.length}`,
      projectId: this.projectId,
      heartbeatMs: this.#heartbeatMs,
    })
    this.#streams = [...this.#open(), stream]
    this.#beat(stream)
    return stream
  }

  #beat(stream: FakeStream): void {
    if (this.#heartbeatMs === 0) return
    stream.whenOver = this.clock.after(this.#heartbeatMs, () => {
      const timestamp = new Date(this.clock.now()).toISOString()
      stream.send(encodeFrame({ event: 'heartbeat', data: JSON.stringify({ timestamp }) }))
      this.#beat(stream)
    })
  }

  #end(stream: FakeStream): FakeStream {
    stream.end()
    return stream
  }

  #open(): FakeStream[] {
    return this.#streams.filter((stream) => stream.open)
  }
}
