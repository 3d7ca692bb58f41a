import { randomBytes } from 'node:crypto'
import { ProtocolError, quote } from '@entitycast/sse-protocol'
import {
  type Adapter,
  type AdapterManifest,
  type AdapterStatus,
  type Cursor,
  HubError,
  type LogListener,
  type LogPage,
  type LogRecord,
  type OpenLog,
  type Retention,
} from '@entitycast/sse-server'
import { weightOf } from '../seams/record-text'
import { LiveLog } from './cluster-live'
import { holdsLog } from './cluster-log'
import { closed, PrimaryLink } from './cluster-primary-link'
import { encodeRecord, type IpcChannel } from './cluster-wire'

export { type ClusterLog, startClusterLog } from './cluster-log'
export type { IpcChannel } from './cluster-wire'

/** The largest record, in bytes of `data`: the most that a hub allows. */
const MAX_RECORD_BYTES = 16_777_216
/** Appends that wait hold no more than about this, in bytes, however few they are. */
const MAX_WAITING_BYTES = 67_108_864

export interface ClusterAdapterOptions {
  /** How long a call waits for the primary before it rejects, in milliseconds. Default 5,000. */
  timeoutMs?: number
  /** Appends that may wait for the primary at a time; more are refused with `UNAVAILABLE`. Default 10,000. */
  maxPendingAppends?: number
  /** The primary is asked this often whether it is there, and whether all that it told has arrived, in milliseconds. Default 5,000. */
  checkIntervalMs?: number
  /** The way to the process that called `startClusterLog`. Default: `process`, which leads to the one that forked this one. */
  channel?: IpcChannel
}

/**
 * The log in the primary process of `node:cluster`: several processes on one machine, one port, one order, and nothing else to run.
 * The primary calls `startClusterLog()` once. A worker that dies loses nothing; with the primary the events are gone, and its
 * successor begins new epochs.
 *
 * @example
 * if (cluster.isPrimary) {
 *   startClusterLog()
 *   for (let n = 0; n < 2; n++) cluster.fork()
 * } else {
 *   const hub = new EventHub({ adapter: new ClusterAdapter() })
 * }
 */
export class ClusterAdapter implements Adapter {
  readonly manifest: AdapterManifest = {
    name: 'cluster',
    durability: 'broker-memory',
    shared: true,
    maxRecordBytes: MAX_RECORD_BYTES,
  }
  readonly #settings: Required<ClusterAdapterOptions>
  readonly #logs = new Map<string, LiveLog>()
  #link: PrimaryLink | undefined
  #appends = 0
  #waitingBytes = 0
  #round: NodeJS.Timeout | undefined
  #closed = false

  /** @throws HubError `INVALID_OPTION`, also in a process that no other one has forked */
  constructor(options: ClusterAdapterOptions = {}) {
    this.#settings = readOptions(options)
  }

  start({ ageMs, events, bytes }: Retention): void {
    if (this.#link) throw invalid('An adapter belongs to one hub; make another one for each')
    const { channel, timeoutMs, checkIntervalMs } = this.#settings
    this.#link = new PrimaryLink({
      channel,
      name: randomBytes(12).toString('base64url'),
      keep: [ageMs, events, bytes],
      timeoutMs,
      pages: (pages) => {
        for (const [projectId, found] of pages) this.#logs.get(projectId)?.page(found)
      },
      missed: () => {
        for (const log of this.#logs.values()) log.missed()
      },
    })
    const ping = () => {
      const mend = () => {
        for (const log of this.#logs.values()) log.mend()
      }
      this.#link?.ask(['ping'], 0, mend, () => {})
    }
    ping()
    this.#round = setInterval(ping, checkIntervalMs).unref()
  }

  async append(projectId: string, records: readonly LogRecord[]): Promise<Cursor> {
    const link = this.#opened()
    let weight = 0
    for (const record of records) {
      const { data } = record
      weight += weightOf(record)
      if (data.length * 3 > MAX_RECORD_BYTES && Buffer.byteLength(data) > MAX_RECORD_BYTES) {
        throw new ProtocolError('EVENT_TOO_LARGE', `a record takes more than ${MAX_RECORD_BYTES} bytes`)
      }
    }
    const { maxPendingAppends } = this.#settings
    if (this.#appends >= maxPendingAppends || this.#waitingBytes > MAX_WAITING_BYTES) {
      const message = `${this.#appends} appends wait for the primary; at most ${maxPendingAppends} may (maxPendingAppends)`
      throw new HubError('UNAVAILABLE', message, { retryAfterMs: 1_000 })
    }
    this.#appends++
    this.#waitingBytes += weight
    return new Promise((resolve, reject) => {
      const settled = () => {
        this.#appends--
        this.#waitingBytes -= weight
      }
      link.ask(
        ['append', projectId, records.map(encodeRecord)],
        weight,
        ({ epoch, offset }) => {
          settled()
          resolve({ epoch, offset })
        },
        (error) => {
          settled()
          reject(error)
        },
      )
    })
  }

  async open(projectId: string, listener: LogListener): Promise<OpenLog> {
    const log = this.#logs.get(projectId) ?? this.#follow(projectId, this.#opened())
    log.users++
    try {
      await log.ready
      if (this.#closed) throw closed()
    } catch (error) {
      this.#leave(projectId, log)
      throw error
    }
    const { head, stop } = log.listen(listener)
    let isOpen = true
    return {
      head,
      close: () => {
        if (!isOpen) return
        isOpen = false
        stop()
        this.#leave(projectId, log)
      },
    }
  }

  async read(projectId: string, { epoch, offset }: Cursor, limit: number): Promise<LogPage> {
    const link = this.#opened()
    return new Promise((resolve, reject) => {
      link.ask(
        ['read', projectId, epoch, offset, limit],
        0,
        ({ gap, records }) => {
          if (gap) resolve({ gap })
          else resolve({ entries: records.map((record, i) => ({ offset: offset + i + 1, record })) })
        },
        reject,
      )
    })
  }

  status(): AdapterStatus {
    return this.#link?.isUp ? 'ok' : 'degraded'
  }

  async close(): Promise<void> {
    this.#closed = true
    clearInterval(this.#round)
    for (const log of this.#logs.values()) log.close()
    this.#logs.clear()
    await this.#link?.close()
  }

  #opened(): PrimaryLink {
    if (this.#closed) throw closed()
    if (!this.#link) throw invalid('Give the adapter to an EventHub, which starts it')
    return this.#link
  }

  #follow(projectId: string, link: PrimaryLink): LiveLog {
    const log = new LiveLog((after, answered, refused) => {
      link.ask(['follow', projectId, after?.epoch ?? '', after?.offset ?? 0], 0, answered, refused)
    })
    this.#logs.set(projectId, log)
    return log
  }

  #leave(projectId: string, log: LiveLog): void {
    if (--log.users > 0 || this.#logs.get(projectId) !== log) return
    log.close()
    this.#logs.delete(projectId)
    this.#link?.tell(['leave', projectId])
  }
}

/** @throws HubError `INVALID_OPTION` */
function readOptions(options: ClusterAdapterOptions): Required<ClusterAdapterOptions> {
  const settings = {
    timeoutMs: 5_000,
    maxPendingAppends: 10_000,
    checkIntervalMs: 5_000,
    channel: process as IpcChannel,
  }
  for (const [name, value] of Object.entries(options)) {
    if (!Object.hasOwn(settings, name)) {
      throw invalid(`${name} is not an option of ClusterAdapter; there are ${Object.keys(settings).join(', ')}`)
    }
    if (value !== undefined) Object.assign(settings, { [name]: value })
  }
  for (const [name, least, most] of [
    ['timeoutMs', 50, 60_000],
    ['maxPendingAppends', 1, 1_000_000],
    ['checkIntervalMs', 50, 600_000],
  ] as const) {
    const value = settings[name]
    if (!Number.isInteger(value) || value < least || value > most) {
      throw invalid(`${name} is ${quote(value)}; it must be a whole number from ${least} to ${most}`)
    }
  }
  const { channel } = settings
  if (channel !== process) {
    if (typeof channel?.send === 'function' && typeof channel.on === 'function') return settings
    throw invalid(`channel is ${quote(channel)}; it must be an IPC channel, such as a ChildProcess of fork`)
  }
  if (holdsLog()) {
    throw invalid(
      'ClusterAdapter was made in the primary process. That holds the log and serves no page: make the hub in the workers, where cluster.isWorker is true',
    )
  }
  if (typeof channel.send === 'function') return settings
  throw invalid(
    'ClusterAdapter was made in a process that was not forked. Use it in workers of node:cluster or child_process.fork; a process that runs alone needs no adapter',
  )
}

function invalid(message: string): HubError {
  return new HubError('INVALID_OPTION', message)
}
