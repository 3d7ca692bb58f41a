import { ProtocolError } from '@entitycast/sse-protocol'
import { type Cursor, HubError, type LogRecord } from '@entitycast/sse-server'
import { closed, type Link } from './postgres-link'
import type { Appended } from './postgres-live'
import { encodeRecord, weightOf } from './postgres-record'

/** The largest record, in bytes of `data`: the most that a hub allows. */
export const MAX_RECORD_BYTES = 16_777_216
/** Appends that wait hold no more than about this, in bytes, however few they are. */
const MAX_WAITING_BYTES = 67_108_864
/** One statement appends about this much at most. */
const BATCH_RECORDS = 1_000
const BATCH_BYTES = 1_048_576
/** The queue of notifications is full because somebody else does not read it: for so long polling has to do, in milliseconds. */
const QUIET_MS = 10_000

interface Append {
  readonly projectId: string
  readonly records: readonly LogRecord[]
  readonly bytes: number
  resolve(cursor: Cursor): void
  reject(error: unknown): void
}

export interface AppendsOptions {
  readonly link: Link
  /** The statement that appends. */
  readonly text: string
  readonly maxPending: number
  readonly randomName: () => string
  /** What a project is called in notifications. */
  readonly keyOf: (projectId: string) => string
  /** These are in the log. */
  readonly appended: (projectId: string, appended: Appended) => void
  /** The log ends there: what transactions have left has its place. */
  readonly settled: (projectId: string, head: number) => void
}

/**
 * Appends that wait while a statement is under way go together in the next one: one commit for many, in the order in which they were made.
 * So a slow disk makes statements larger rather than the queue longer.
 */
export class Appends {
  readonly #waiting: Append[] = []
  #pending = 0
  #pendingBytes = 0
  #running: Promise<void> | undefined
  #isClosed = false
  #quietUntil = 0

  constructor(readonly options: AppendsOptions) {}

  /** @throws HubError `UNAVAILABLE`, `CLOSED` */
  async add(projectId: string, records: readonly LogRecord[]): Promise<Cursor> {
    if (this.#isClosed) throw closed()
    const { maxPending } = this.options
    if (this.#pending >= maxPending || this.#pendingBytes > MAX_WAITING_BYTES) {
      const message = `${this.#pending} appends wait for PostgreSQL; at most ${maxPending} may (maxPendingAppends)`
      throw new HubError('UNAVAILABLE', message, { retryAfterMs: 1_000 })
    }
    checkSizes(records)
    const bytes = records.reduce((sum, record) => sum + weightOf(record), 0)
    this.#pending++
    this.#pendingBytes += bytes
    try {
      return await new Promise<Cursor>((resolve, reject) => {
        this.#waiting.push({ projectId, records, bytes, resolve, reject })
        // A turn later: what is published in one turn goes together.
        this.#running ??= Promise.resolve().then(() => this.#run())
      })
    } finally {
      this.#pending--
      this.#pendingBytes -= bytes
    }
  }

  /** Nobody is told of what is appended for a while: the queue of notifications is nearly full. */
  quiet(): void {
    this.#quietUntil = performance.now() + QUIET_MS
  }

  get isQuiet(): boolean {
    return performance.now() < this.#quietUntil
  }

  /** What was asked before is done, as long as that goes well; nothing more is taken. */
  async close(): Promise<void> {
    this.#isClosed = true
    await this.#running
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#take()
      try {
        await this.#write(batch)
      } catch (error) {
        for (const { reject } of batch) reject(error)
        if (this.#isClosed) for (const { reject } of this.#waiting.splice(0)) reject(closed())
      }
    }
    this.#running = undefined
  }

  #take(): Append[] {
    let records = 0
    let bytes = 0
    const end = this.#waiting.findIndex((append, i) => {
      records += append.records.length
      bytes += append.bytes
      return i > 0 && (records > BATCH_RECORDS || bytes > BATCH_BYTES)
    })
    return this.#waiting.splice(0, end < 0 ? this.#waiting.length : end)
  }

  async #write(batch: readonly Append[]): Promise<void> {
    const { link, text, randomName, keyOf, appended, settled } = this.options
    const byProject = new Map<string, Append[]>()
    for (const append of batch) {
      const own = byProject.get(append.projectId)
      if (own) own.push(append)
      else byProject.set(append.projectId, [append])
    }
    // The order of their bytes is the order in which rows are locked, everywhere.
    const projects = [...byProject.keys()].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
    const perProject = projects.map((id) => (byProject.get(id) as Append[]).flatMap(({ records }) => records))
    const names = projects.map(randomName)
    const all = perProject.flat()
    const values = (server: string, isQuiet: boolean) => [
      server,
      names,
      projects,
      perProject.map(({ length }) => length),
      all.map(encodeRecord),
      all.map(weightOf),
      isQuiet ? null : projects.map(keyOf),
    ]
    const rows = await link.use(async (wire) => {
      const write = (isQuiet: boolean) =>
        wire.write({ name: 'entitycast_append', text, values: values(wire.server, isQuiet) })
      try {
        return await write(this.isQuiet)
      } catch (error) {
        // Both have been rolled back: the queue of notifications is full, or a deadlock with something that is none of ours, as a TRUNCATE.
        const { code } = error as { code?: unknown }
        if (code === '54000' && !this.isQuiet) this.quiet()
        else if (code !== '40P01') throw error
        return write(this.isQuiet)
      }
    })
    projects.forEach((projectId, i) => {
      const { epoch, head, before } = rows[i] as Record<string, string>
      const records = perProject[i] as LogRecord[]
      let offset = Number(head) - records.length
      const first = offset + 1
      for (const append of byProject.get(projectId) as Append[]) {
        offset += append.records.length
        append.resolve({ epoch: epoch as string, offset })
      }
      if (records.length === 0) settled(projectId, offset)
      else {
        appended(projectId, {
          epoch: epoch as string,
          first,
          before: before as string,
          tag: names[i] as string,
          records,
        })
      }
    })
  }
}

/** @throws ProtocolError `EVENT_TOO_LARGE` */
export function checkSizes(records: readonly LogRecord[]): void {
  for (const { data } of records) {
    if (data.length * 3 > MAX_RECORD_BYTES && Buffer.byteLength(data) > MAX_RECORD_BYTES) {
      throw new ProtocolError('EVENT_TOO_LARGE', `a record takes more than ${MAX_RECORD_BYTES} bytes`)
    }
  }
}
