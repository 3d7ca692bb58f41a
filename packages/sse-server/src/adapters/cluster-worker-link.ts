import type { Adapter, Cursor, LogEntry, LogRecord, OpenLog } from '@entitycast/sse-server'
import { weightOf as recordWeight } from '../seams/record-text'
import { type Call, decodeRecords, type Found, type Request, type Tell, type WireRecord } from './cluster-wire'

/** What live records, and answers, take of one message at most, in characters; one record more, where that is larger. */
const SHARE = 524_288
const PAGE_RECORDS = 1_000
/** What may wait for a worker that is slower than the retention, in characters; more of it is forgotten, and read from the log. */
const MAX_PENDING = 8_388_608

/** How far a worker has been told of a project. */
interface Follow {
  readonly projectId: string
  at: Cursor
  readonly log: OpenLog
  /** What comes right after that, where it has not been too much: a burst that is larger than the retention is no gap. */
  pending: LogEntry[]
}

/**
 * One adapter of a worker, as the primary sees it. What counts is how far it is in each project: what it is to hear, and does not wait
 * already, is read from the log when there is room. So a worker that does not read costs no memory without bound, and goes on, or is
 * told a gap, when it does.
 */
export class WorkerLink {
  readonly #follows = new Map<string, Follow>()
  /** Projects with something to tell. */
  readonly #due = new Set<Follow>()
  /** Calls that have their turn when there is room for the answer. */
  #waiting: Call[] = []
  #answers: (readonly [number, Found])[] = []
  #live = 0
  #pendingWeight = 0
  #isPlanned = false
  #ended = false

  constructor(
    readonly store: Adapter,
    /** Resolves when there is room for the next one. */
    readonly send: (tell: Pick<Tell, 'live' | 'answers' | 'pages'>) => Promise<unknown>,
  ) {}

  take(call: Call): void {
    const [id, request] = call
    if (request[0] === 'append') this.#append(id, request[1], request[2])
    else {
      this.#waiting.push(call)
      this.#plan()
    }
  }

  end(): void {
    this.#ended = true
    for (const { log } of this.#follows.values()) log.close()
    this.#follows.clear()
    this.#due.clear()
    this.#waiting = []
  }

  #append(id: number, projectId: string, list: readonly WireRecord[]): void {
    const records = decodeRecords(list)
    // No answer is one too, in time: nothing of ours sends what is no record.
    if (!records) return
    this.store.append(projectId, records).then(
      (cursor) => {
        this.#answers.push([id, { gap: '', ...cursor, records: [] }])
        this.#plan()
      },
      () => {},
    )
  }

  /** Once a turn, whatever has happened in it. */
  #plan(): void {
    if (this.#isPlanned || this.#ended) return
    this.#isPlanned = true
    setImmediate(() => void this.#run())
  }

  async #run(): Promise<void> {
    while (!this.#ended) {
      const pages: [string, Found][] = []
      try {
        await this.#fill(pages)
      } catch {
        // The log was closed: there is nobody to tell.
        return
      }
      const answers = this.#answers
      if (answers.length === 0 && pages.length === 0) break
      this.#answers = []
      if (pages.length > 0) this.#live++
      await this.send({ live: this.#live, answers, pages })
    }
    this.#isPlanned = false
  }

  /** Reads what is due and answers calls, as much as fits into a message. Each has its share: whoever catches up holds up nobody. */
  async #fill(pages: [string, Found][]): Promise<void> {
    let weight = 0
    for (const follow of this.#due) {
      if (weight >= SHARE) break
      this.#due.delete(follow)
      const found = await this.#next(follow)
      if (found.records.length > 0 || found.gap) pages.push([follow.projectId, found])
      weight += weightOfAll(found.records)
    }
    weight = 0
    let done = 0
    for (const [id, request] of this.#waiting) {
      if (weight >= SHARE) break
      done++
      const found = await this.#answer(request)
      if (!found) continue
      this.#answers.push([id, found])
      weight += weightOfAll(found.records)
    }
    this.#waiting = this.#waiting.slice(done)
  }

  async #answer(request: Request): Promise<Found | undefined> {
    switch (request[0]) {
      case 'read': {
        const [, projectId, epoch, offset, limit] = request
        return (await this.#read(projectId, { epoch, offset }, limit)).found
      }
      case 'follow': {
        const [, projectId, epoch, offset] = request
        const follow = await this.#follow(projectId)
        if (epoch === '') return { gap: '', ...follow.at, records: [] }
        const { found } = await this.#read(projectId, { epoch, offset }, PAGE_RECORDS)
        const end = endOf(found)
        // What it has been told beyond that may be what it has missed, and is told again.
        if (found.gap || epoch !== follow.at.epoch || end.offset < follow.at.offset) follow.at = end
        this.#due.add(follow)
        return found
      }
      case 'leave': {
        const follow = this.#follows.get(request[1])
        if (!follow) return undefined
        follow.log.close()
        this.#forget(follow)
        this.#due.delete(follow)
        this.#follows.delete(request[1])
        return undefined
      }
      default:
        return { gap: '', epoch: '', offset: 0, records: [] }
    }
  }

  async #follow(projectId: string): Promise<Follow> {
    let follow = this.#follows.get(projectId)
    if (follow) return follow
    const log = await this.store.open(projectId, {
      entries: (entries) => {
        if (!follow) return
        this.#await(follow, entries)
        this.#due.add(follow)
        this.#plan()
      },
      doubt: () => {},
    })
    follow = { projectId, at: log.head, log, pending: [] }
    if (this.#ended) log.close()
    else this.#follows.set(projectId, follow)
    this.#due.add(follow)
    return follow
  }

  #await(follow: Follow, entries: readonly LogEntry[]): void {
    const before = follow.pending.at(-1)?.offset ?? follow.at.offset
    if (entries[0]?.offset !== before + 1) return
    for (const entry of entries) {
      follow.pending.push(entry)
      this.#pendingWeight += weightOf(entry)
    }
    if (this.#pendingWeight > MAX_PENDING) this.#forget(follow)
  }

  #forget(follow: Follow): void {
    for (const entry of follow.pending) this.#pendingWeight -= weightOf(entry)
    follow.pending = []
  }

  /** What comes after the place where it is, and puts it behind that: or at the head, where there is a gap. */
  async #next(follow: Follow): Promise<Found> {
    const { at, pending } = follow
    if (pending[0]?.offset === at.offset + 1) {
      const records = cut(pending)
      for (const entry of pending.splice(0, records.length)) this.#pendingWeight -= weightOf(entry)
      follow.at = { ...at, offset: at.offset + records.length }
      if (pending.length > 0) this.#due.add(follow)
      return { gap: '', ...at, records }
    }
    this.#forget(follow)
    const { found, isAll } = await this.#read(follow.projectId, at, PAGE_RECORDS)
    follow.at = endOf(found)
    if (!isAll) this.#due.add(follow)
    return found
  }

  async #read(projectId: string, after: Cursor, limit: number): Promise<{ found: Found; isAll: boolean }> {
    const page = await this.store.read(projectId, after, limit)
    if ('gap' in page) {
      const head = await this.store.append(projectId, [])
      return { found: { gap: page.gap, ...head, records: [] }, isAll: true }
    }
    const records = cut(page.entries)
    const isAll = records.length === page.entries.length && records.length < limit
    return { found: { gap: '', ...after, records }, isAll }
  }
}

function endOf({ epoch, offset, records }: Found): Cursor {
  return { epoch, offset: offset + records.length }
}

/** As many as fit into a message, and at least one. */
function cut(entries: readonly LogEntry[]): LogRecord[] {
  const records: LogRecord[] = []
  let weight = 0
  for (const entry of entries) {
    weight += weightOf(entry)
    if (records.length > 0 && weight > SHARE) break
    records.push(entry.record)
  }
  return records
}

/** A place in a message costs something too. */
function weightOf({ record }: Pick<LogEntry, 'record'>): number {
  return recordWeight(record) + 64
}

function weightOfAll(records: readonly LogRecord[]): number {
  return records.reduce((sum, record) => sum + weightOf({ record }), 64)
}
