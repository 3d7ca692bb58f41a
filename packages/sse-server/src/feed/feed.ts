import { type Cursor, formatCursor, parseCursor, type ResyncReason } from '@entitycast/sse-protocol'
import type { Adapter, LogEntry, LogListener, LogPage, OpenLog, Retention } from '../seams/adapter'
import type { Clock } from '../seams/ports'
import { weightOf } from '../seams/record-text'
import { RetentionWindow } from '../seams/window'
import { foreignAfter } from './foreign'
import { Greeting } from './greeting'
import { encodeConflated, Frames, takePage, toChunk } from './page'
import { type Reader, type Start, TOGETHER } from './reader'
import type { Rounds } from './rounds'
import { type Page, Span } from './span'
import { View } from './view'

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
  /** What the last one who came here was told first. */
  readonly greeting = new Greeting()
  /** When the last reader left, by the monotonic clock. */
  idleSince: number
  #epoch = ''
  /** The head's cursor, and the offset that it was written for. */
  #cursor = ''
  #cursorAt = -1
  #window: RetentionWindow<LogEntry>
  /** Of the events that connections are being given now. */
  readonly #frames = new Frames()
  #log: OpenLog | undefined
  readonly #views = new Map<string, View>()
  /** Questions to the log that are under way. */
  readonly #reads = new Map<string, Promise<LogPage>>()
  /** What came since connections were last written to. */
  #unsentEvents = 0
  #unsentBytes = 0
  /** What the adapter told before the answer to `open` was here. */
  #early: (() => void)[] | undefined = []
  /** Where something was last found in the log that is no event of ours. */
  #foreignAfter: number | undefined

  constructor(
    readonly projectId: string,
    readonly adapter: Adapter,
    readonly retention: Retention,
    readonly clock: Clock,
    readonly rounds: Rounds,
  ) {
    this.#window = new RetentionWindow(retention, 0)
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

  /** The head's place in the log. */
  get position(): Cursor {
    return { epoch: this.#epoch, offset: this.head }
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
    return this.connections.size === 0 && this.listeners.size === 0
  }

  /** Where a reader goes on who has been nowhere yet. */
  readonly atHead = (): Start => ({ offset: this.head, lagging: false, resync: undefined })

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
    if (text === undefined || text === '') return this.atHead
    const broken = (resync: ResyncReason) => ({ offset: this.head, lagging: false, resync })
    const cursor = parseCursor(text)
    if (!cursor) return () => broken('bad-cursor')
    const { epoch, offset } = cursor
    let gap: ResyncReason | undefined
    // What is ahead of this process may be what another instance has told already: only the log knows.
    if (epoch === this.#epoch && !this.#window.reaches(offset)) {
      const page = await this.#readLog(offset, 1)
      if ('gap' in page) gap = page.gap
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
    for (const entry of entries) {
      const { offset, record } = entry
      // A repeat is dropped; a hole means that the adapter broke its word, and is not passed on.
      if (offset <= this.head) continue
      if (offset !== this.head + 1) {
        this.doubt({ epoch: this.#epoch, offset }, 'broker-gap')
        continue
      }
      const weight = weightOf(record)
      this.#makeRoom(weight)
      this.#window.push(entry, now, weight)
      for (const listener of this.listeners) listener.entry(entry)
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
    const span = view.span(from, conflated)
    if (!span && !this.#window.reaches(from)) return undefined
    return this.#pageOf(connection, span ?? this.#span(connection, takePage(this.#window, from + 1)))
  }

  /** The page after a connection's cursor, from the log itself; or why it cannot be had. */
  async read(connection: Reader): Promise<Page | Gap> {
    const epoch = this.#epoch
    const result = await this.#readLog(connection.offset, READ_LIMIT)
    // Entries of the log before must not be kept as a page of this one.
    if (this.#epoch !== epoch) return { gap: 'epoch' }
    if ('gap' in result) return result
    const { offset: from, view, lagging: conflated } = connection
    // Whoever had the same answer before has made the page already.
    const kept = view.span(from, conflated)
    if (kept) return this.#pageOf(connection, kept)
    const taken = takePage(result.entries, 0)
    // As with what comes live: a hole is not passed on.
    if (taken.some(({ offset }, i) => offset !== from + 1 + i)) return { gap: 'broker-gap' }
    return this.#pageOf(connection, this.#span(connection, taken))
  }

  /** Those who come back together ask for the same: the log is asked once for all of them. */
  #readLog(after: number, limit: number): Promise<LogPage> {
    const ask = () => this.adapter.read(this.projectId, { epoch: this.#epoch, offset: after }, limit)
    // What lies ahead may be there a moment later: an answer to an earlier question would be wrong.
    if (after >= this.head) return ask()
    const key = `${this.#epoch}/${after}/${limit}`
    let reading = this.#reads.get(key)
    if (!reading) {
      reading = ask()
      this.#reads.set(key, reading)
      const done = () => this.#reads.delete(key)
      reading.then(done, done)
    }
    return reading
  }

  #pageOf({ userId }: Reader, span: Span): Page | Gap {
    try {
      return span.page(userId)
    } catch (thrown) {
      // However many readers find it.
      if (span.from === this.#foreignAfter) return { gap: 'broker-gap' }
      this.#foreignAfter = span.from
      return { gap: 'broker-gap', cause: foreignAfter(span.from, thrown) }
    }
  }

  #span({ offset: from, view, lagging: conflated }: Reader, taken: readonly LogEntry[]): Span {
    const span = new Span(view.channels, from, conflated, taken, conflated ? this.#conflated : this.#unchanged)
    view.keep(span)
    return span
  }

  readonly #unchanged = (entries: readonly LogEntry[]) => toChunk(this.#frames.encode(entries, this.#epoch), entries)

  readonly #conflated = (entries: readonly LogEntry[], to: number) =>
    toChunk(encodeConflated(entries, this.#epoch, to), entries)

  #restart(head: Cursor): void {
    this.#epoch = head.epoch
    this.#cursorAt = -1
    this.#foreignAfter = undefined
    this.#window = new RetentionWindow(this.retention, head.offset)
    this.#frames.forget()
    for (const view of this.#views.values()) view.forget()
  }

  readonly #flush = (): void => {
    this.#unsentEvents = 0
    this.#unsentBytes = 0
    this.#frames.forget()
    for (const view of this.#views.values()) view.forget()
    this.#writeAll()
  }

  /** Some at a time are looked at first, and then written to. Who cannot be written to comes last. */
  #writeAll(): void {
    const others: Reader[] = []
    let some: Reader[] = []
    for (const connection of this.connections) {
      if (!connection.ready) others.push(connection)
      else if (some.push(connection) === TOGETHER) {
        advance(some)
        some = []
      }
    }
    advance(some)
    advance(others)
  }

  /** A burst in one turn must not push out of the window what connections at the head have not been given yet. */
  #makeRoom(weight: number): void {
    const { events, bytes } = this.retention
    const tooMuch = (this.#unsentEvents + 1) * 2 > events || (this.#unsentBytes + weight) * 2 > bytes
    if (tooMuch && this.#unsentEvents > 0) this.#flush()
    this.#unsentEvents++
    this.#unsentBytes += weight
  }
}

function advance(readers: readonly Reader[]): void {
  for (const reader of readers) reader.advance()
}
