import { randomBytes } from 'node:crypto'
import { ProtocolError } from '@entitycast/sse-protocol'
import { type Cursor, HubError, type LogRecord } from '@entitycast/sse-server'
import { type Append, AppendQueue, checkSizes, settle } from '../seams/append-queue'
import { type Link, pause } from './nats-link'
import { add, compare, FOREIGN, followerOf, newest, seenOf } from './nats-log'
import { encodeMessage, follow, type Head, headOf, type Message, offsetOf, type Stored, TRAIL } from './nats-message'
import { MAX_MESSAGE_BYTES } from './nats-stream'
import { closed, JetStreamError, NO_STREAM, NoAnswer, unavailable, type Wire } from './nats-wire'

/** The largest record, in bytes of `data`: what fits into a message of the usual server, beside what else it holds. */
export const MAX_RECORD_BYTES = 983_040
/** Appends are joined up to this. */
const BATCH_RECORDS = 500
const BATCH_BYTES = 262_144
/** So long at most the others wait for a process that has written a part and not the next one, in milliseconds. */
const PART_MS = 1_000
/** So often a message comes too late before it is announced. */
const CLAIM_AFTER = 3
/** Heads that are remembered: a project's next append needs one request less. */
const MAX_HEADS = 10_000

/** All that a message may hold beside its records. */
const LONGEST: Message = {
  epoch: 'x'.repeat(16),
  first: Number.MAX_SAFE_INTEGER,
  more: true,
  tag: 'x'.repeat(16),
  before: { seq: Number.MAX_SAFE_INTEGER, tag: 'x'.repeat(16) },
  trail: Array.from({ length: TRAIL }, (_, n) => ({ seq: 2 ** (52 - n), count: BATCH_RECORDS, weight: 2 ** 20 })),
  records: [],
}

export interface AppendsOptions {
  readonly link: Link
  readonly maxPending: number
  readonly timeoutMs: number
  readonly subjectOf: (projectId: string) => string
  /** This is in the stream. */
  readonly appended: (projectId: string, message: Stored) => void
}

/** @returns a random name, which is an epoch or a tag */
export function randomName(): string {
  return randomBytes(12).toString('base64url')
}

/**
 * Appends of one project that wait while a message is under way go together in the next one. A message is accepted only after the very message
 * that it was written for, so offsets follow each other whoever else writes.
 */
export class Appends {
  readonly #queue: AppendQueue
  readonly #heads = new Map<string, Head>()

  constructor(readonly options: AppendsOptions) {
    const { maxPending, timeoutMs, subjectOf } = options
    this.#queue = new AppendQueue({
      check: (_, records) => checkMessages(records),
      sizeOf,
      maxPending,
      maxBatchRecords: BATCH_RECORDS,
      maxBatchBytes: BATCH_BYTES,
      maxInFlight: 1,
      timeoutMs,
      laneOf: subjectOf,
      write: (batch, deadline) => this.#write(batch, deadline),
      closed,
      refused: (trouble) => new HubError('UNAVAILABLE', `NATS: ${trouble}`, { retryAfterMs: 1_000 }),
    })
  }

  /** @throws HubError `UNAVAILABLE`, `CLOSED` */
  add(projectId: string, records: readonly LogRecord[]): Promise<Cursor> {
    return this.#queue.add(projectId, records)
  }

  /** What was known of the ends of logs may not hold any more. */
  forget(projectId?: string): void {
    if (projectId === undefined) this.#heads.clear()
    else this.#heads.delete(projectId)
  }

  /** What was asked before is done, as long as that goes well; nothing more is taken. */
  close(): Promise<void> {
    return this.#queue.close()
  }

  /** Of one project. */
  async #write(batch: readonly Append[], by: number): Promise<void> {
    const [{ projectId }] = batch as [Append]
    const parts = divide(batch.flatMap(({ records }) => records))
    // Asked again by us, not by the link: what it would ask again may have happened.
    let written = 0
    let head: Head | undefined
    const last = await this.options.link.use(async (wire, deadline) => {
      for (; written < parts.length; written++) {
        head = await this.#append(wire, projectId, parts[written] ?? [], written < parts.length - 1, deadline, head)
      }
      return head as Head
    }, by)
    settle(batch, { epoch: last.epoch, offset: offsetOf(last) })
  }

  /** One message, after the newest; or, where it goes on with what another one has begun, after that. */
  async #append(
    wire: Wire,
    projectId: string,
    records: readonly LogRecord[],
    more: boolean,
    deadline: number,
    begun: Head | undefined,
  ): Promise<Head> {
    const subject = this.options.subjectOf(projectId)
    let head = begun ?? this.#heads.get(projectId) ?? (await this.#last(wire, subject))
    const since = { seq: head?.seq, at: performance.now() }
    // Who wrote the part may be gone: half of the time that is left is for going on without it.
    const patienceMs = Math.min(PART_MS, (deadline - since.at) / 2)
    let isOurs = begun !== undefined
    for (let conflicts = 0; ; ) {
      if (head?.more && !isOurs && performance.now() < since.at + patienceMs) {
        await pause()
        head = await this.#last(wire, subject)
        if (head?.seq !== since.seq) Object.assign(since, { seq: head?.seq, at: performance.now() })
        if (performance.now() > deadline) throw unavailable('was busy with what others publish')
        continue
      }
      const epoch = head === undefined || head.epoch === FOREIGN ? randomName() : head.epoch
      // A large message loses to small ones for ever: after a few times a small one asks the others to wait for it.
      const isClaim = !isOurs && conflicts >= CLAIM_AFTER
      const message = follow(head, epoch, randomName(), isClaim ? [] : records, isClaim || more)
      const seq = await this.#publish(wire, subject, message, head?.tail ?? head?.seq ?? 0, deadline)
      if (seq !== undefined) {
        const stored = { ...message, seq, at: Date.now() }
        const next = headOf(stored)
        this.#remember(projectId, next)
        this.options.appended(projectId, stored)
        if (!isClaim) return next
        head = next
        isOurs = true
        continue
      }
      this.forget(projectId)
      isOurs = false
      if (begun) throw unavailable('has let another process write between two parts; the first may be seen')
      const before: Head | undefined = head
      // Once is nothing: an instance that does not listen to the project knows its end from the last time. More often is a race, which is won
      // by whoever comes soon after having looked.
      if (conflicts++ > 0) await pause(4)
      head = await this.#last(wire, subject)
      // What was known is not there any more: what follows must not seem to go on.
      if (head && before && compare(head, seenOf(before)) === 'lost') head = { ...head, epoch: FOREIGN }
      if (performance.now() > deadline) throw unavailable('was busy with what others publish')
    }
  }

  /** Where the message lies now; `undefined` where another one came before it. It is in the log once, or not at all. */
  async #publish(
    wire: Wire,
    subject: string,
    message: Message,
    tail: number,
    deadline: number,
  ): Promise<number | undefined> {
    for (let isUncertain = false; ; ) {
      try {
        const seq = await add(wire, subject, message, tail)
        if (seq !== undefined || !isUncertain) return seq
        const first = await followerOf(wire, subject, message.before.seq)
        if (first === 'gone') throw unavailable('may have done what it was asked')
        return first?.tag === message.tag ? first.seq : undefined
      } catch (error) {
        if (!(error instanceof NoAnswer)) throw error
        isUncertain ||= !error.isSure
        if (wire.isOver || performance.now() > deadline) {
          throw unavailable(
            isUncertain ? 'did not answer, and may still do what it was asked' : `answered ${error.reason}`,
          )
        }
        await pause()
        // A stream that is not there answers nobody who publishes; who asks for it is told so. Nothing is read: it may be in the making.
        await wire.api(`STREAM.INFO.${wire.stream}`).catch((trouble) => {
          if (trouble instanceof JetStreamError && trouble.code === NO_STREAM) throw trouble
        })
      }
    }
  }

  async #last(wire: Wire, subject: string): Promise<Head | undefined> {
    const last = await newest(wire, subject)
    return last && headOf(last)
  }

  #remember(projectId: string, head: Head): void {
    this.#heads.delete(projectId)
    this.#heads.set(projectId, head)
    if (this.#heads.size <= MAX_HEADS) return
    const [oldest = ''] = this.#heads.keys()
    this.#heads.delete(oldest)
  }
}

/** In parts that fit into a message each. */
function divide(records: readonly LogRecord[]): LogRecord[][] {
  const parts: LogRecord[][] = [[]]
  let bytes = 0
  for (const record of records) {
    const size = sizeOf(record)
    if (bytes + size > MAX_RECORD_BYTES && bytes > 0) {
      parts.push([])
      bytes = 0
    }
    bytes += size
    parts.at(-1)?.push(record)
  }
  return parts
}

/** About what a record takes in a message, and not less. */
function sizeOf(record: LogRecord): number {
  const { type, data, channel, users, key } = record
  const audience = users?.reduce((sum, user) => sum + user.length * 3 + 3, 0) ?? 0
  return Buffer.byteLength(data) + type.length + channel.length + audience + (key?.length ?? 0) * 6 + 40
}

/** Whether each record fits into a message with what else that holds. @throws ProtocolError `EVENT_TOO_LARGE` */
function checkMessages(records: readonly LogRecord[]): void {
  checkSizes(records, MAX_RECORD_BYTES)
  for (const record of records) {
    if (sizeOf(record) <= MAX_RECORD_BYTES) continue
    const { length } = encodeMessage({ ...LONGEST, records: [record] })
    if (length <= MAX_MESSAGE_BYTES) continue
    throw new ProtocolError(
      'EVENT_TOO_LARGE',
      `an event takes ${length} bytes with its audience; at most ${MAX_MESSAGE_BYTES} are allowed`,
    )
  }
}
