import {
  type Adapter,
  type AdapterManifest,
  type AdapterStatus,
  type Cursor,
  HubError,
  type LogListener,
  type LogPage,
  type LogRecord,
  logName,
  type OpenLog,
  type Retention,
} from '@entitycast/sse-server'
import { readSettings } from '../seams/adapter-settings'
import { Appends, MAX_RECORD_BYTES, randomName } from './nats-appends'
import { Care, ttlOf } from './nats-care'
import { Link, pause } from './nats-link'
import { LiveLog, type Oddities } from './nats-live'
import { add, FOREIGN, type Found, findAfter, newest, readAfter, type Seen } from './nats-log'
import { follow, headOf, type Stored } from './nats-message'
import {
  invalid,
  type NatsAdapterOptions,
  type NatsNames,
  type NatsSettings,
  readNames,
  readOptions,
} from './nats-options'
import { type NatsStreamConfig, prepareStream, streamConfig } from './nats-stream'
import { closed, Wire } from './nats-wire'

export type { Oddities } from './nats-live'
export type { NatsAdapterOptions, NatsNames } from './nats-options'
export type { NatsStreamConfig } from './nats-stream'

/** What one read gives at most; more is read again. */
const PAGE_BYTES = 1_048_576
const PAGE_RECORDS = 1_000
/** Projects that are compared at a time. */
const BATCH = 100

/**
 * The log in NATS JetStream: several instances, one order. One stream holds all projects, a subject for each; it is made where it is missing. The
 * connection is one of our own.
 *
 * @example
 * import { connect } from '@nats-io/transport-node'
 * const hub = new EventHub({ adapter: new NatsAdapter({ connect: () => connect({ servers: process.env.NATS_URL }) }) })
 */
export class NatsAdapter implements Adapter {
  readonly manifest: AdapterManifest = {
    name: 'nats',
    durability: 'broker-disk',
    shared: true,
    maxRecordBytes: MAX_RECORD_BYTES,
  }
  /** What went wrong on the way and was mended, since the start. */
  readonly oddities: Oddities = { garbage: 0, repeated: 0, holes: 0, repaired: 0, doubts: 0 }
  readonly #connect: NatsAdapterOptions['connect']
  readonly #settings: NatsSettings
  readonly #logs = new Map<string, LiveLog>()
  /** The same projects, by the subject that each is heard on. */
  readonly #lives = new Map<string, string>()
  /** When a log was last kept from being forgotten, by the monotonic clock. */
  readonly #keptAt = new Map<string, number>()
  #retention: Retention | undefined
  #link!: Link
  #appends!: Appends
  #care!: Care
  #round: NodeJS.Timeout | undefined
  #closed = false

  /** @throws HubError `INVALID_OPTION` */
  constructor(options: NatsAdapterOptions) {
    this.#settings = readOptions(options)
    this.#connect = options.connect
  }

  /**
   * The stream's configuration, for those who make it themselves: `nats stream add --config` takes it as JSON. `events` is the hub's
   * `retention.events`, default 1,000.
   *
   * @throws HubError `INVALID_OPTION`
   * @example
   * console.log(JSON.stringify(NatsAdapter.streamConfig({ replicas: 3 })))
   */
  static streamConfig(options: NatsNames & { replicas?: number; events?: number } = {}): NatsStreamConfig {
    const { replicas, events, ...names } = readSettings(options, {
      adapter: 'NatsAdapter.streamConfig',
      defaults: { ...readNames({}), replicas: 1, events: 1_000 },
      ranges: [
        ['replicas', 1, 5],
        ['events', 1, 1_000_000],
      ],
      invalid,
    })
    return streamConfig({ ...readNames(names), replicas, retention: { ageMs: 0, bytes: 0, events } })
  }

  start(retention: Retention): void {
    if (this.#retention) {
      throw new HubError('INVALID_OPTION', 'An adapter belongs to one hub; make another one for each')
    }
    this.#retention = retention
    const { timeoutMs, maxPendingAppends: maxPending, stream } = this.#settings
    const subjectOf = (projectId: string) => this.#subject('log', projectId)
    this.#link = new Link({
      dial: async (lost) => {
        const wire: Wire = new Wire(await this.#connect(), stream, Math.max(100, timeoutMs / 4), {
          live: (subject, message) => this.#hear(wire, subject, message),
          lost,
        })
        return wire
      },
      prepare: async (wire, goneAt) => {
        await prepareStream(wire, { ...this.#settings, retention }, goneAt)
        for (const subject of this.#lives.keys()) wire.subscribe(subject)
        await wire.flush()
      },
      up: () => {
        // What was published while nobody listened is in the stream; and it may be another stream.
        this.#appends.forget()
        void this.#checkAll()
      },
      timeoutMs,
    })
    this.#appends = new Appends({
      link: this.#link,
      maxPending,
      timeoutMs,
      subjectOf,
      appended: (projectId, message) => {
        this.#care.appended(projectId, message)
        this.#logs.get(projectId)?.told(message)
      },
    })
    this.#care = new Care(this.#link, this.#settings, retention, subjectOf)
    this.#planRound()
  }

  async append(projectId: string, records: readonly LogRecord[]): Promise<Cursor> {
    this.#opened()
    return this.#appends.add(projectId, records)
  }

  async open(projectId: string, listener: LogListener): Promise<OpenLog> {
    this.#opened()
    const log = this.#logs.get(projectId) ?? this.#follow(projectId)
    return log.open(listener, () => this.#leave(projectId, log))
  }

  async read(projectId: string, after: Cursor, limit: number): Promise<LogPage> {
    const retention = this.#opened()
    const subject = this.#subject('log', projectId)
    const page = await this.#link.use((wire) => readAfter(wire, subject, after, limit, PAGE_BYTES, retention))
    if ('gap' in page) return page
    const entries = page.messages.flatMap(({ first, records }) =>
      records.map((record, i) => ({ offset: first + i, record })),
    )
    return { entries: entries.filter(({ offset }) => offset > after.offset).slice(0, limit) }
  }

  status(): AdapterStatus {
    return this.#retention && this.#link.isWell ? 'ok' : 'degraded'
  }

  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#round)
    for (const log of this.#logs.values()) log.close()
    this.#logs.clear()
    this.#lives.clear()
    if (!this.#retention) return
    await this.#appends.close()
    this.#link.close()
  }

  #opened(): Retention {
    if (this.#closed) throw closed()
    if (!this.#retention) throw new HubError('INVALID_OPTION', 'Give the adapter to an EventHub, which starts it')
    return this.#retention
  }

  /** Project ids in an alphabet without dots and wildcards: no project's subject reaches another's. */
  #subject(kind: 'log' | 'live', projectId: string): string {
    return `${this.#settings.subjectPrefix}.${kind}.${logName(projectId).slice('events.'.length)}`
  }

  /** Begins to follow a project. */
  #follow(projectId: string): LiveLog {
    const live = this.#subject('live', projectId)
    const log = new LiveLog(
      () =>
        this.#link.use((wire) => {
          // Here, and not before: a wire that was made ready when this project was not followed yet does not listen to it either.
          if (this.#lives.has(live)) wire.subscribe(live)
          return wire.flush(live)
        }),
      (seen) => this.#ask(projectId, seen),
      this.oddities,
      // Not another connection: appends are under way on this one.
      () => {
        this.#link.wire?.unsubscribe(live)
        this.#link.wire?.subscribe(live)
      },
      (this.#retention as Retention).bytes,
    )
    this.#logs.set(projectId, log)
    this.#lives.set(live, projectId)
    return log
  }

  #leave(projectId: string, log: LiveLog): void {
    if (this.#logs.get(projectId) !== log) return
    const live = this.#subject('live', projectId)
    log.close()
    this.#logs.delete(projectId)
    this.#lives.delete(live)
    this.#keptAt.delete(projectId)
    this.#link.wire?.unsubscribe(live)
  }

  #hear(wire: Wire, subject: string, message: Stored | undefined): void {
    const projectId = this.#lives.get(subject)
    const log = projectId === undefined ? undefined : this.#logs.get(projectId)
    if (projectId === undefined || !log) {
      // It was left while this wire was made ready.
      wire.unsubscribe(subject)
      return
    }
    // While a wire is made ready it may already bring what is to be compared first.
    if (wire !== this.#link.wire && this.#link.wire) return
    log.hear(message)
  }

  /** What lies after what was seen. Where that is gone an epoch begins. */
  #ask(projectId: string, seen: Seen | undefined): Promise<Found & { last: Stored }> {
    const subject = this.#subject('log', projectId)
    return this.#link.use(async (wire, deadline) => {
      for (;;) {
        const found: Found = seen
          ? await findAfter(wire, subject, seen, PAGE_RECORDS, PAGE_BYTES)
          : { what: 'ok', last: await newest(wire, subject), messages: [] }
        const { what, last, messages } = found
        const isLost = what === 'lost' || !last || last.epoch === FOREIGN
        if (!isLost && !(seen && messages.length === 0 && this.#isIdle(projectId, last))) return { ...found, last }
        // A log that begins; or one that somebody listens to, which must not be forgotten.
        const message = follow(last && headOf(last), isLost ? randomName() : last.epoch, randomName(), [])
        const seq = await add(wire, subject, message, last?.tail ?? last?.seq ?? 0)
        if (seq !== undefined) {
          this.#appends.forget(projectId)
          const stored = { ...message, seq, at: Date.now() }
          if (!isLost) return { what, last: stored, messages: what === 'ok' ? [stored] : [] }
          return { what: seen ? 'epoch' : 'ok', last: stored, messages: [] }
        }
        if (performance.now() > deadline) return { ...found, last: last ?? { ...message, seq: 0, at: 0 } }
        await pause()
      }
    })
  }

  /** Whether a log must be kept from being forgotten. Not again and again, where our clock is ahead of the server's. */
  #isIdle(projectId: string, { at }: Stored): boolean {
    const ttlMs = ttlOf(this.#settings, this.#retention as Retention)
    const now = performance.now()
    if (at >= Date.now() - ttlMs / 2 || now - (this.#keptAt.get(projectId) ?? -ttlMs) < ttlMs / 4) return false
    this.#keptAt.set(projectId, now)
    return true
  }

  #planRound(): void {
    const { checkIntervalMs } = this.#settings
    const delayMs = checkIntervalMs * (0.75 + Math.random() / 2)
    this.#round = setTimeout(() => {
      this.#care.round()
      const answers: Promise<unknown>[] = [this.#checkAll(performance.now() - checkIntervalMs / 2)]
      // With nothing to ask, whether somebody is there.
      if (this.#link.wire) answers.push(this.#link.use((wire) => wire.flush()))
      void Promise.allSettled(answers).then(() => this.#closed || this.#planRound())
    }, delayMs).unref()
  }

  /** Compares what this process has seen with the stream, for every project that has not proven to be whole since `provenBefore`. */
  async #checkAll(provenBefore = Number.POSITIVE_INFINITY): Promise<void> {
    const doubtful = [...this.#logs.values()].filter(({ provenAt }) => provenAt < provenBefore)
    for (let i = 0; i < doubtful.length; i += BATCH) {
      if (!this.#link.wire || this.#closed) return
      await Promise.allSettled(doubtful.slice(i, i + BATCH).map((log) => log.check()))
    }
  }
}
