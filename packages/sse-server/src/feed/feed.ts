import { type Cursor, formatCursor, parseCursor, type ResyncReason } from '@entitycast/sse-protocol'
import type { Adapter, LogEntry, LogListener, LogPage, LogRecord, OpenLog, Retention } from '../seams/adapter'
import type { Clock } from '../seams/ports'
import { RetentionWindow } from '../seams/window'
import { encodeConflated, encodeEntries, type FeedEntry, takePage, toChunk } from './page'
import type { Reader, Start } from './reader'
import type { Rounds } from './rounds'
import { type Page, View } from './view'

/** Entries that one `read` of the adapter asks for: more than a page of small events. */
const READ_LIMIT = 1_000

/** A reader inside the server. */
export interface FeedListener {
  entry(entry: LogEntry): void
  resync(reason: ResyncReason): void
}

/** Why a page cannot be had. With a `cause` where what the log holds could not be written down. */
export interface Gap {
  readonly gap: 'epoch' | 'expired' | 'ahead' | 'broker-gap'
  readonly cause?: unknown
}

/**
 * One project in this process: the newest part of its log, each event encoded once, and the connections that read it.
 * There is one way to send: what lies after a connection's cursor. A live connection is one whose cursor is at the head.
 */
export class Feed implements LogListener {
  readonly connections = new Set<Reader>()
  readonly listeners = new Set<FeedListener>()
  /** When the last reader left, by the monotonic clock. */
  idleSince: number
  #epoch = ''
  /** The head's cursor, and the offset that it was written for. */
  #cursor = ''
  #cursorAt = -1
  #window: RetentionWindow<FeedEntry>
  #log: OpenLog | undefined
  readonly #views = new Map<string, View>()
  /** What came since connections were last written to. */
  #unsentEvents = 0
  #unsentBytes = 0
  /** What the adapter told before the answer to `open` was here. */
  #early: (() => void)[] | undefined = []
  /** Newcomers for whom the log is being asked. */
  #locating = 0

  constructor(
    readonly projectId: string,
    readonly adapter: Adapter,
    readonly retention: Retention,
    readonly clock: Clock,
    readonly rounds: Rounds,
  ) {
    this.#window = new RetentionWindow<FeedEntry>(retention, 0)
    this.idleSince = clock.monotonic()
  }

  async open(): Promise<void> {
    this.#log = await this.adapter.open(this.projectId, this)
    this.#restart(this.#log.head)
    // A promise's answer is seen a moment after it was given: what was appended in between comes after that head.
    const early = this.#early ?? []
    this.#early = undefined
    for (const told of early) told()
    this.idleSince = this.clock.monotonic()
  }

  close(): void {
    this.#log?.close()
    this.#log = undefined
  }

  get epoch(): string {
    return this.#epoch
  }

  /** Offset of the newest event. */
  get head(): number {
    return this.#window.last
  }

  get cursor(): string {
    const { head } = this
    if (this.#cursorAt !== head) {
      this.#cursor = formatCursor(this.#epoch, head)
      this.#cursorAt = head
    }
    return this.#cursor
  }

  get bytes(): number {
    return this.#window.bytes
  }

  get idle(): boolean {
    return this.connections.size === 0 && this.listeners.size === 0 && this.#locating === 0
  }

  /** A connection comes. The result is its view; `undefined` asks for all channels. */
  enter(connection: Reader, channels: readonly string[] | undefined): View {
    this.connections.add(connection)
    const key = View.key(channels)
    let view = this.#views.get(key)
    if (!view) {
      view = new View(key, channels && new Set(channels))
      this.#views.set(key, view)
    }
    view.readers++
    return view
  }

  /** A connection has left: its view is let go when nobody else has it, and the feed when it has been idle. */
  leave(connection: Reader): void {
    if (!this.connections.delete(connection)) return
    this.idleSince = this.clock.monotonic()
    const { view } = connection
    if (--view.readers === 0) this.#views.delete(view.key)
  }

  /**
   * Where a reader goes on who was at this cursor: a cursor is user input, so nothing about it is taken on trust. The result is to be
   * called without awaiting anything in between, since the log goes on.
   */
  async locate(text: string | undefined): Promise<() => Start> {
    if (text === undefined || text === '') return () => ({ offset: this.head, lagging: false, resync: undefined })
    const broken = (resync: ResyncReason) => ({ offset: this.head, lagging: false, resync })
    const cursor = parseCursor(text)
    if (!cursor) return () => broken('bad-cursor')
    const { epoch, offset } = cursor
    let gap: ResyncReason | undefined
    // What is ahead of this process may be what another instance has told already: only the log knows.
    if (epoch === this.#epoch && !this.#window.reaches(offset)) {
      this.#locating++
      try {
        const page = await this.#readLog(offset, 1)
        if ('gap' in page) gap = page.gap
      } finally {
        this.#locating--
        this.idleSince = this.clock.monotonic()
      }
    }
    return () => {
      if (epoch !== this.#epoch) return broken('epoch')
      return gap ? broken(gap) : { offset, lagging: offset < this.head, resync: undefined }
    }
  }

  entries(entries: readonly LogEntry[]): void {
    if (this.#early) {
      this.#early.push(() => this.entries(entries))
      return
    }
    const now = this.clock.monotonic()
    for (const { offset, record } of entries) {
      // A repeat is dropped; a hole means that the adapter broke its word, and is not passed on.
      if (offset <= this.head) continue
      if (offset !== this.head + 1) {
        this.doubt({ epoch: this.#epoch, offset }, 'broker-gap')
        continue
      }
      this.#makeRoom(record)
      this.#window.push({ offset, record, frame: undefined }, now)
      for (const listener of this.listeners) listener.entry({ offset, record })
    }
    this.rounds.join(this.#flush)
  }

  doubt(head: Cursor, reason: Extract<ResyncReason, 'epoch' | 'broker-gap'>): void {
    if (this.#early) {
      this.#early.push(() => this.doubt(head, reason))
      return
    }
    this.#restart(head)
    for (const connection of this.connections) connection.resync(reason)
    for (const listener of this.listeners) listener.resync(reason)
    this.rounds.join(this.#flush)
  }

  /** Lets go of events that are too old, and of pages that were made of them. */
  trim(): void {
    this.#window.trim(this.clock.monotonic())
    for (const view of this.#views.values()) view.forget()
  }

  /**
   * The page after a connection's cursor. Nothing where this process does not hold it: then `read` asks the log.
   */
  page(connection: Reader): Page | Gap | undefined {
    const { offset: from, view, lagging: conflated } = connection
    const { live } = view
    if (live && live.from === from && live.conflated === conflated) return live
    if (!this.#window.reaches(from)) return undefined
    return this.#pageOf(connection, () => takePage(this.#window.after(from)))
  }

  /** The page after a connection's cursor, from the log itself; or why it cannot be had. */
  async read(connection: Reader): Promise<Page | Gap> {
    const epoch = this.#epoch
    const result = await this.#readLog(connection.offset, READ_LIMIT)
    // Entries of the log before must not be kept as a page of this one.
    if (this.#epoch !== epoch) return { gap: 'epoch' }
    if ('gap' in result) return result
    return this.#pageOf(connection, () => takePage(result.entries).map((entry) => ({ ...entry, frame: undefined })))
  }

  #readLog(after: number, limit: number): Promise<LogPage> {
    return this.adapter.read(this.projectId, { epoch: this.#epoch, offset: after }, limit)
  }

  /** One page for every reader at this place who sees the same: made by the first who asks. */
  #pageOf({ offset: from, view, lagging: conflated, userId }: Reader, take: () => FeedEntry[]): Page | Gap {
    const shared = `${from}/${conflated}`
    // Nobody is not the user whose id is "undefined".
    const own = userId === undefined ? `${shared}/` : `${shared}/=${userId}`
    const kept = view.page(shared) ?? view.page(own)
    if (kept) return kept
    const entries = take()
    const restricted = entries.some(
      ({ record }) => record.users !== undefined && view.covers({ ...record, users: undefined }, userId),
    )
    const encode = conflated ? encodeConflated : encodeEntries
    let text: string
    try {
      text = encode(entries, this.#epoch, view, userId)
    } catch (cause) {
      // Something that is no event of ours is in the log.
      return { gap: 'broker-gap', cause }
    }
    const page: Page = { from, to: entries.at(-1)?.offset ?? from, conflated, chunk: toChunk(text) }
    view.keep(restricted ? own : shared, page)
    if (!restricted && !conflated) view.live = page
    return page
  }

  #restart(head: Cursor): void {
    this.#epoch = head.epoch
    this.#cursorAt = -1
    this.#window = new RetentionWindow<FeedEntry>(this.retention, head.offset)
    for (const view of this.#views.values()) view.forget()
  }

  readonly #flush = (): void => {
    this.#unsentEvents = 0
    this.#unsentBytes = 0
    for (const view of this.#views.values()) view.forget()
    for (const connection of this.connections) connection.advance()
  }

  /** A burst in one turn must not push out of the window what connections at the head have not been given yet. */
  #makeRoom({ data }: LogRecord): void {
    const { events, bytes } = this.retention
    const tooMuch = (this.#unsentEvents + 1) * 2 > events || (this.#unsentBytes + data.length) * 2 > bytes
    if (tooMuch && this.#unsentEvents > 0) this.#flush()
    this.#unsentEvents++
    this.#unsentBytes += data.length
  }
}
