import { type Cursor, HubError, type LogRecord, logName } from '@entitycast/sse-server'
import { type Append, AppendQueue, checkSizes, settle } from '../seams/append-queue'
import { encodeRecord, weightOf } from '../seams/record-text'
import { closed, type Link, unavailable } from './postgres-link'
import type { Appended } from './postgres-live'

/** The largest record, in bytes of `data`: the most that a hub allows. */
export const MAX_RECORD_BYTES = 16_777_216
/** One statement appends about this much at most. */
const BATCH_RECORDS = 1_000
const BATCH_BYTES = 1_048_576
/** The queue of notifications is full because somebody else does not read it: for so long polling has to do, in milliseconds. */
const QUIET_MS = 10_000

export interface AppendsOptions {
  readonly link: Link
  /** The statement that appends. */
  readonly text: string
  readonly maxPending: number
  readonly timeoutMs: number
  readonly randomName: () => string
  /** What a project is called in notifications. */
  readonly keyOf: (projectId: string) => string
  /** These are in the log. */
  readonly appended: (projectId: string, appended: Appended) => void
  /** The log ends there: what transactions have left has its place. */
  readonly settled: (projectId: string, head: number) => void
}

/**
 * Appends that wait while a statement is under way go together in the next one, of all projects: one commit for many. So a slow disk makes
 * statements larger rather than the queue longer.
 */
export class Appends {
  readonly #queue: AppendQueue
  #quietUntil = 0

  constructor(readonly options: AppendsOptions) {
    const { maxPending, timeoutMs } = options
    this.#queue = new AppendQueue({
      check: (projectId, records) => {
        // PostgreSQL would refuse what is no project id, and all others with it.
        logName(projectId)
        checkSizes(records, MAX_RECORD_BYTES)
      },
      sizeOf: weightOf,
      maxPending,
      maxBatchRecords: BATCH_RECORDS,
      maxBatchBytes: BATCH_BYTES,
      maxInFlight: 1,
      timeoutMs,
      laneOf: () => '',
      write: (batch, deadline) => this.#write(batch, deadline),
      closed,
      refused: (trouble) => new HubError('UNAVAILABLE', `PostgreSQL: ${trouble}`, { retryAfterMs: 1_000 }),
    })
  }

  /** @throws HubError `UNAVAILABLE`, `CLOSED` */
  add(projectId: string, records: readonly LogRecord[]): Promise<Cursor> {
    return this.#queue.add(projectId, records)
  }

  /** Nobody is told of what is appended for a while: the queue of notifications is nearly full. */
  quiet(): void {
    this.#quietUntil = performance.now() + QUIET_MS
  }

  get isQuiet(): boolean {
    return performance.now() < this.#quietUntil
  }

  /** What was asked before is done, as long as that goes well; nothing more is taken. */
  close(): Promise<void> {
    return this.#queue.close()
  }

  async #write(batch: readonly Append[], deadline: number): Promise<void> {
    const byProject = new Map<string, Append[]>()
    for (const append of batch) {
      const own = byProject.get(append.projectId)
      if (own) own.push(append)
      else byProject.set(append.projectId, [append])
    }
    // What transactions have left comes before, and may be more than one statement can do in its time.
    while (byProject.size > 0) {
      await this.#step(byProject, deadline)
      if (byProject.size > 0 && performance.now() > deadline) throw unavailable('was busy with what transactions left')
    }
  }

  /** One statement. Whose appends are in the log, or were asked for nothing else than what is done, goes from the map. */
  async #step(byProject: Map<string, Append[]>, deadline: number): Promise<void> {
    const { link, text, randomName, keyOf, appended, settled } = this.options
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
      const wasQuiet = this.isQuiet
      try {
        return await write(wasQuiet)
      } catch (error) {
        // Both have been rolled back: the queue of notifications is full, or a deadlock with something that is none of ours, as a TRUNCATE.
        const { code } = error as { code?: unknown }
        const isFull = code === '54000' && !wasQuiet
        if (isFull) this.quiet()
        else if (code !== '40P01') throw error
        return write(isFull || this.isQuiet)
      }
    }, deadline)
    projects.forEach((projectId, i) => {
      const { epoch, head, before } = rows[i] as Record<string, string | null>
      const records = perProject[i] as LogRecord[]
      const offset = Number(head)
      if (before === null) {
        settled(projectId, offset)
        return
      }
      settle(byProject.get(projectId) as Append[], { epoch: epoch as string, offset })
      byProject.delete(projectId)
      if (records.length === 0) settled(projectId, offset)
      else {
        appended(projectId, {
          epoch: epoch as string,
          first: offset - records.length + 1,
          before: before as string,
          tag: names[i] as string,
          records,
        })
      }
    })
  }
}
