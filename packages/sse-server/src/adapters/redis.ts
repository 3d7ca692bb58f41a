import { randomBytes } from 'node:crypto'
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
import { type Append, AppendQueue, checkSizes, settle } from '../seams/append-queue'
import { encodeRecord, type Found, type Seen, weightOf } from '../seams/record-text'
import { type Dialer, dialerOf, type RedisClientLike, reasonOf, type Wire } from './redis-client'
import { checkPast, closed, type Link, linkTo } from './redis-link'
import { LiveLog, type Oddities } from './redis-live'
import { type RedisAdapterOptions, readOptions } from './redis-options'
import { decodeFound, NOT_BEHIND, type Script, scripts } from './redis-script'

export type { RedisClientLike } from './redis-client'
export type { Oddities } from './redis-live'
export type { RedisAdapterOptions } from './redis-options'

/** The largest record, in bytes of `data`: the most that a hub allows. */
const MAX_RECORD_BYTES = 16_777_216
/** What one read gives at most, in bytes; more is read again. */
const PAGE_BYTES = 1_048_576
const PAGE_RECORDS = 1_000
/** One script appends about this much at most: so long nobody else is served. */
const BATCH_RECORDS = 250
const BATCH_BYTES = 262_144
/** While one is answered the next is under way. */
const MAX_IN_FLIGHT = 2
/** Projects that are compared at a time; channels that one command subscribes to. */
const BATCH = 100

/** An append that was sent: its tag, and when it is answered, however. */
interface Sent {
  readonly tag: string
  readonly answered: Promise<unknown>
}

/**
 * The log in Redis: several instances, one order. Works with the client of `redis` or of `ioredis` that the application already has,
 * and makes two connections of its own with that client's settings: one for commands, one that listens.
 *
 * @example
 * import { createClient } from 'redis'
 * const hub = new EventHub({ adapter: new RedisAdapter(createClient({ url: process.env.REDIS_URL })) })
 */
export class RedisAdapter implements Adapter {
  readonly manifest: AdapterManifest
  /** What went wrong on the way and was mended, since the start. */
  readonly oddities: Oddities = { garbage: 0, repeated: 0, holes: 0, repaired: 0, doubts: 0 }
  readonly #settings: Required<RedisAdapterOptions>
  readonly #dialer: Dialer
  readonly #logs = new Map<string, LiveLog>()
  /** The same, by the channel that each listens on. */
  readonly #channels = new Map<string, LiveLog>()
  /** The newest append of each project that has appends on their way. */
  readonly #sent = new Map<string, Sent>()
  #retention: Retention | undefined
  #appends!: AppendQueue
  #commands: Link | undefined
  #subscriber: Link | undefined
  #round: NodeJS.Timeout | undefined
  #closed = false

  /** @throws HubError `INVALID_OPTION` */
  constructor(client: RedisClientLike, options: RedisAdapterOptions = {}) {
    this.#dialer = dialerOf(client)
    this.#settings = readOptions(options, this.#dialer.cluster)
    this.manifest = {
      name: 'redis',
      durability: this.#settings.durable ? 'broker-disk' : 'broker-memory',
      shared: true,
      maxRecordBytes: MAX_RECORD_BYTES,
    }
  }

  start(retention: Retention): void {
    if (this.#retention)
      throw new HubError('INVALID_OPTION', 'An adapter belongs to one hub; make another one for each')
    this.#retention = retention
    const { timeoutMs, sharded, maxPendingAppends, durable } = this.#settings
    this.#commands = linkTo({
      dial: (listener) => this.#dialer.dial(listener, false),
      prepare: (wire) =>
        Promise.all([
          durable || checkPast(wire),
          // Where that is not allowed, or not everywhere, a script is sent whole the first time.
          Promise.allSettled(Object.values(scripts).map(({ text }) => wire.load(text))),
        ]),
      up: () => void this.#checkAll(),
      message: () => {},
      timeoutMs,
    })
    this.#subscriber = linkTo({
      dial: (listener) => this.#dialer.dial(listener, sharded),
      // All at once: it has as long as one call has, however many there are, and however far Redis is.
      prepare: (wire) => Promise.all(batches([...this.#channels.keys()]).map((channels) => wire.subscribe(channels))),
      // What was published while nobody listened is in the log.
      up: () => void this.#checkAll(),
      message: (channel, text) => this.#channels.get(channel)?.hear(text),
      timeoutMs,
    })
    this.#appends = new AppendQueue({
      check: (_, records) => checkSizes(records, MAX_RECORD_BYTES),
      sizeOf: weightOf,
      maxPending: maxPendingAppends,
      maxBatchRecords: BATCH_RECORDS,
      maxBatchBytes: BATCH_BYTES,
      maxInFlight: MAX_IN_FLIGHT,
      timeoutMs,
      laneOf: (projectId) => logName(projectId),
      write: (batch, deadline) => this.#append(batch, deadline),
      closed,
      refused: (trouble) => new HubError('UNAVAILABLE', `Redis: ${trouble}`, { retryAfterMs: 1_000 }),
    })
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
    this.#opened()
    const { what, records } = await this.#ask(projectId, { ...after, tag: '*' }, limit)
    if (what !== 'ok') return { gap: what }
    return { entries: records.map((record, i) => ({ offset: after.offset + i + 1, record })) }
  }

  status(): AdapterStatus {
    return this.#commands?.isUp && this.#subscriber?.isUp ? 'ok' : 'degraded'
  }

  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#round)
    for (const log of this.#logs.values()) log.close()
    this.#logs.clear()
    this.#channels.clear()
    this.#subscriber?.close()
    // Without a connection nothing that waits will be done.
    if (!this.#commands?.isUp) this.#commands?.refuse()
    await this.#appends?.close()
    this.#commands?.close()
  }

  #opened(): Retention {
    if (this.#closed) throw closed()
    if (!this.#retention) throw new HubError('INVALID_OPTION', 'Give the adapter to an EventHub, which starts it')
    return this.#retention
  }

  /** Begins to follow a project. */
  #follow(projectId: string): LiveLog {
    const { channel } = this.#names(projectId)
    const ready = (this.#subscriber as Link).use((wire) => wire.subscribe([channel]))
    const log = new LiveLog(
      ready,
      (seen) => this.#ask(projectId, seen, PAGE_RECORDS),
      this.oddities,
      () => this.#subscriber?.drop(),
      (this.#retention as Retention).bytes,
    )
    this.#logs.set(projectId, log)
    this.#channels.set(channel, log)
    return log
  }

  #leave(projectId: string, log: LiveLog): void {
    if (this.#logs.get(projectId) !== log) return
    const { channel } = this.#names(projectId)
    log.close()
    this.#logs.delete(projectId)
    this.#channels.delete(channel)
    const subscriber = this.#subscriber
    if (subscriber?.isUp) subscriber.use((wire) => wire.unsubscribe(channel)).catch(() => {})
  }

  /**
   * Of one project. It may be sent behind another one, and must not come before it where that one has to be sent again: emptied, Redis'
   * cache of scripts may be filled by anybody between the two.
   */
  async #append(batch: readonly Append[], deadline: number): Promise<void> {
    const { ageMs, events, bytes } = this.#retention as Retention
    const args: string[] = []
    for (const { records } of batch) {
      for (const record of records) args.push(encodeRecord(record), String(weightOf(record)))
    }
    const [{ projectId }] = batch as [Append]
    const before = this.#sent.get(projectId)
    const tag = randomName()
    const answer = (this.#commands as Link).use(async (wire) => {
      const append = (behind = '') =>
        this.#run(wire, scripts.append, projectId, tag, [...[ageMs, events, bytes].map(String), behind, ...args])
      try {
        return await append(before?.tag)
      } catch (error) {
        if (reasonOf(error) !== NOT_BEHIND) throw error
        await before?.answered
        return append()
      }
    }, deadline)
    const sent: Sent = { tag, answered: answer.catch(() => {}) }
    this.#sent.set(projectId, sent)
    try {
      const [epoch, offset] = (await answer) as [string, string]
      settle(batch, { epoch, offset: Number(offset) })
    } finally {
      if (this.#sent.get(projectId) === sent) this.#sent.delete(projectId)
    }
  }

  async #ask(projectId: string, { epoch, offset, tag }: Seen, limit: number): Promise<Found> {
    const args = [epoch, offset, tag, limit, PAGE_BYTES].map(String)
    const reply = (this.#commands as Link).use((wire) => this.#run(wire, scripts.read, projectId, randomName(), args))
    return decodeFound(await reply)
  }

  /** The random name is the tag of an append, and the epoch where a log begins. */
  async #run(wire: Wire, { text, sha }: Script, projectId: string, name: string, args: string[]): Promise<unknown> {
    const { durable, sharded } = this.#settings
    const { head, log, channel } = this.#names(projectId)
    const publish = sharded ? 'SPUBLISH' : 'PUBLISH'
    const all = ['2', head, log, name, durable ? '1' : '0', String(this.#ttlMs), publish, channel, ...args]
    try {
      return await wire.send(head, ['EVALSHA', sha, ...all])
    } catch (error) {
      if (reasonOf(error) !== 'NOSCRIPT') throw error
      return wire.send(head, ['EVAL', text, ...all])
    }
  }

  /** One hash tag for all that is a project's, so that one node of a cluster has it. No id's name is part of another's. */
  #names(projectId: string): { head: string; log: string; channel: string } {
    const { keyPrefix, database } = this.#dialer
    const name = `${keyPrefix}${this.#settings.keyPrefix}{${logName(projectId)}}`
    return { head: `${name}:head`, log: `${name}:log`, channel: `${name}@${database}` }
  }

  /** A head is kept at least as long as its records, and then as long again; and whoever follows it must have had time to say so, several times. */
  get #ttlMs(): number {
    const { idleProjectTtlMs, checkIntervalMs } = this.#settings
    return Math.max(idleProjectTtlMs, checkIntervalMs * 10, (this.#retention as Retention).ageMs * 2)
  }

  #planRound(): void {
    const delayMs = this.#settings.checkIntervalMs * (0.75 + Math.random() / 2)
    this.#round = setTimeout(() => {
      const commands = this.#commands as Link
      const subscriber = this.#subscriber as Link
      const ping = (wire: Wire) => wire.ping()
      const answers: Promise<unknown>[] = [this.#checkAll(performance.now() - this.#settings.checkIntervalMs / 2)]
      if (subscriber.isUp) answers.push(subscriber.use(ping))
      if (commands.isUp && this.#logs.size === 0) answers.push(commands.use(ping))
      void Promise.allSettled(answers).then(() => this.#closed || this.#planRound())
    }, delayMs).unref()
  }

  /** Compares what this process has seen with the log, for every project that has not proven to be whole since `provenBefore`. */
  async #checkAll(provenBefore = Number.POSITIVE_INFINITY): Promise<void> {
    const doubtful = [...this.#logs.values()].filter(({ provenAt }) => provenAt < provenBefore)
    for (const logs of batches(doubtful)) {
      if (this.#commands?.isUp) await Promise.allSettled(logs.map((log) => log.check()))
    }
  }
}

function randomName(): string {
  return randomBytes(12).toString('base64url')
}

function batches<Item>(items: readonly Item[]): Item[][] {
  return Array.from({ length: Math.ceil(items.length / BATCH) }, (_, n) => items.slice(n * BATCH, (n + 1) * BATCH))
}
