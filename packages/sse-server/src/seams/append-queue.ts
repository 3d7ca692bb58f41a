import { type Cursor, ProtocolError } from '@entitycast/sse-protocol'
import type { LogRecord } from './adapter'

/** Appends that wait hold no more than about this, in bytes, however few they are. */
const MAX_WAITING_BYTES = 67_108_864

/** An append that waits, or is on its way. */
export interface Append {
  readonly projectId: string
  readonly records: readonly LogRecord[]
  /** When it must be answered, by the monotonic clock. */
  readonly deadline: number
  resolve(cursor: Cursor): void
  reject(error: unknown): void
}

export interface AppendQueueOptions {
  /** Throws for what the broker would refuse: in a batch it would be refused with everybody else. */
  readonly check: (projectId: string, records: readonly LogRecord[]) => void
  /** What a record counts for here, in bytes. */
  readonly sizeOf: (record: LogRecord) => number
  /** Appends that may wait or be on their way at a time. */
  readonly maxPending: number
  /** One batch has about this much at most; an append that has more goes alone. */
  readonly maxBatchRecords: number
  readonly maxBatchBytes: number
  /** Batches of one lane that may be on their way at a time. */
  readonly maxInFlight: number
  readonly timeoutMs: number
  /** Appends of one lane go in the order in which they were made, and may go together. */
  readonly laneOf: (projectId: string) => string
  /** Appends all of them, settles each that is in the log, and rejects for those that are not settled. No later than the deadline. */
  readonly write: (batch: readonly Append[], deadline: number) => Promise<void>
  readonly closed: () => Error
  /** The error of an append that is surely not in the log. */
  readonly refused: (trouble: string) => Error
}

interface Waiting {
  readonly append: Append
  readonly bytes: number
}

interface Lane {
  readonly waiting: Waiting[]
  inFlight: number
}

/**
 * Appends that wait while others are on their way go together. A broker that is slow makes batches larger rather than the queue longer, and one
 * that is quick is sent each append at once. What fails rejects for those who were on their way together, and the next batch is tried.
 */
export class AppendQueue {
  readonly #lanes = new Map<string, Lane>()
  /** Batches that are on their way, or about to be. */
  #running = 0
  #allDone: () => void = () => {}
  #closing: Promise<void> | undefined
  #pending = 0
  #pendingBytes = 0
  #isClosed = false

  constructor(readonly options: AppendQueueOptions) {}

  /** Rejects with what `check`, `write`, `closed` and `refused` make. */
  add(projectId: string, records: readonly LogRecord[]): Promise<Cursor> {
    return new Promise((resolve, reject) => {
      const { closed, refused, maxPending, check, sizeOf, timeoutMs, laneOf, maxInFlight } = this.options
      if (this.#isClosed) throw closed()
      if (this.#pending >= maxPending || this.#pendingBytes > MAX_WAITING_BYTES) {
        throw refused(`${this.#pending} appends wait for it; at most ${maxPending} may (maxPendingAppends)`)
      }
      check(projectId, records)
      let bytes = 0
      for (const record of records) bytes += sizeOf(record)
      this.#pending++
      this.#pendingBytes += bytes
      let isSettled = false
      // Of a batch that fails some may be in the log: they are rejected with the others, too late.
      const settled = () => {
        if (isSettled) return
        isSettled = true
        this.#pending--
        this.#pendingBytes -= bytes
      }
      const append: Append = {
        projectId,
        records,
        deadline: performance.now() + timeoutMs,
        resolve: (cursor) => {
          settled()
          resolve(cursor)
        },
        reject: (error) => {
          settled()
          reject(error)
        },
      }
      const name = laneOf(projectId)
      const lane = this.#lanes.get(name) ?? { waiting: [], inFlight: 0 }
      lane.waiting.push({ append, bytes })
      if (lane.inFlight >= maxInFlight) return
      this.#lanes.set(name, lane)
      lane.inFlight++
      // When this task is over: what is published in one go goes together.
      this.#running++
      queueMicrotask(() => void this.#run(name, lane))
    })
  }

  /** What was asked before is done, as long as that goes well; nothing more is taken. */
  close(): Promise<void> {
    this.#isClosed = true
    this.#closing ??= new Promise((resolve) => {
      this.#allDone = resolve
      if (this.#running === 0) resolve()
    })
    return this.#closing
  }

  async #run(name: string, lane: Lane): Promise<void> {
    const { write, closed } = this.options
    while (lane.waiting.length > 0) {
      const batch = this.#take(lane.waiting)
      const [oldest] = batch
      if (!oldest) continue
      try {
        await write(batch, oldest.deadline)
      } catch (error) {
        for (const { reject } of batch) reject(error)
        if (this.#isClosed) for (const { append } of lane.waiting.splice(0)) append.reject(closed())
      }
    }
    if (--lane.inFlight === 0) this.#lanes.delete(name)
    if (--this.#running === 0) this.#allDone()
  }

  #take(waiting: Waiting[]): Append[] {
    const { maxBatchRecords, maxBatchBytes, timeoutMs, refused } = this.options
    const now = performance.now()
    while (waiting[0] && waiting[0].append.deadline <= now) {
      waiting.shift()?.append.reject(refused(`was busy with other appends for ${timeoutMs} ms`))
    }
    let records = 0
    let bytes = 0
    const end = waiting.findIndex((one, i) => {
      records += one.append.records.length
      bytes += one.bytes
      return i > 0 && (records > maxBatchRecords || bytes > maxBatchBytes)
    })
    return waiting.splice(0, end < 0 ? waiting.length : end).map(({ append }) => append)
  }
}

/** Resolves the appends of one project, whose records end there, all of them together and in this order. */
export function settle(batch: readonly Append[], { epoch, offset }: Cursor): void {
  let end = offset
  for (const { records } of batch) end -= records.length
  for (const { records, resolve } of batch) {
    end += records.length
    resolve({ epoch, offset: end })
  }
}

/** @throws ProtocolError `EVENT_TOO_LARGE` */
export function checkSizes(records: readonly LogRecord[], maxRecordBytes: number): void {
  for (const { data } of records) {
    if (data.length * 3 > maxRecordBytes && Buffer.byteLength(data) > maxRecordBytes) {
      throw new ProtocolError('EVENT_TOO_LARGE', `a record takes more than ${maxRecordBytes} bytes`)
    }
  }
}
