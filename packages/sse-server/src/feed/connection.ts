import { type ClosingReason, encodeFrame, formatCursor, type Resume, type ResyncReason } from '@entitycast/sse-protocol'
import { Chunk, LAGGING_BYTES, type Sink, type SinkListener } from '../seams/sink'
import type { ConnectionGrant } from './connection-grant'
import type { Feed, Gap } from './feed'
import type { Reader, Start } from './reader'
import type { Page } from './span'
import type { View } from './view'

/** Which connections are meant. At least one field; each that is given must fit. */
export interface ConnectionFilter {
  projectId?: string
  userId?: string
  connectionId?: string
}

/** What happens to connections, for whoever counts. */
export interface ConnectionObserver {
  /** Its end has begun: nothing more is written to it. Called once. */
  ended(connection: Connection, reason: ClosingReason | 'peer'): void
  /** Its socket is closed. Called once, after `ended`. */
  left(connection: Connection): void
  /** It is to be looked at each round, until it is quiet. */
  watch(connection: Connection): void
  resynced(reason: ResyncReason): void
  wrote(bytes: number): void
  failed(connection: Connection, error: unknown): void
}

/** Where heartbeats come from: readers at one cursor share theirs. */
export interface BeatFrames {
  frame(cursor: string | undefined): Chunk
}

/** After the last frame a peer has this long to take it, in milliseconds. */
const END_GRACE_MS = 5_000
/** `reauthorize` may take this long, in milliseconds: whoever cannot be asked about is not shown more. */
const REAUTHORIZE_TIMEOUT_MS = 10_000

/**
 * One open stream: a cursor into a feed, and a socket. There is no queue: what cannot be written now is still in the log, and is
 * fetched from there when the socket drains.
 */
export class Connection implements Reader, SinkListener {
  // What each write and each heartbeat looks at comes first: of thousands of connections none is in the processor's cache.
  readonly sink: Sink
  /** The last offset that was written. */
  offset: number
  #ended = false
  #full = false
  #reading = false
  readonly feed: Feed
  readonly observer: ConnectionObserver
  #resync: ResyncReason | undefined
  /** Nothing where the grant has no end. */
  readonly #expiresAt: number | undefined
  readonly view: View
  /** Behind the head: pages are conflated until it has caught up. */
  lagging = false
  /** Since when `reauthorize` is being asked. */
  #askedAt: number | undefined
  /** The heartbeat that waits for the answer, where none was written meanwhile. */
  #held: BeatFrames | undefined
  readonly #reauthorizes: boolean
  /** The grant's end or the stream's, whichever comes first: in whole milliseconds, which are no object of their own. */
  readonly #endsAt: number
  /** Here too, since each page asks for it. */
  readonly userId: string | undefined
  readonly openedAt: number
  readonly #rotateAt: number
  /** Those with whom it is given heartbeats. */
  cohort: Set<Connection> | undefined
  /** The log could not be read, and that has been reported. */
  #failing = false
  #gone = false
  /** Since when the socket has taken nothing, and what it still held then. */
  #stalledAt = 0
  #unsent = 0
  #endedAt = 0

  constructor(
    feed: Feed,
    sink: Sink,
    readonly grant: ConnectionGrant,
    observer: ConnectionObserver,
    start: Start,
  ) {
    this.feed = feed
    this.sink = sink
    this.observer = observer
    this.view = feed.enter(this, grant.channels)
    this.userId = grant.userId
    this.openedAt = grant.openedAt
    this.#expiresAt = grant.expiresAt === Number.POSITIVE_INFINITY ? undefined : grant.expiresAt
    this.#rotateAt = grant.rotateAt
    this.#endsAt = Math.floor(Math.min(grant.expiresAt, grant.rotateAt))
    this.#reauthorizes = grant.reauthorize !== undefined
    this.offset = start.offset
    this.lagging = start.lagging
    this.#resync = start.resync
  }

  get id(): string {
    return this.grant.connectionId
  }

  /** Whether the filter means it. */
  matches({ projectId, userId, connectionId }: ConnectionFilter): boolean {
    return (
      (projectId === undefined || projectId === this.feed.projectId) &&
      (userId === undefined || userId === this.userId) &&
      (connectionId === undefined || connectionId === this.id)
    )
  }

  /** Whether its end has begun: nothing more is written to it. */
  get ended(): boolean {
    return this.#ended
  }

  get resume(): Resume {
    return this.#resync ? 'resync' : this.lagging ? 'replayed' : 'live'
  }

  /** Says hello and sends what lies after the cursor. */
  open(heartbeatMs: number, retryMs: number): void {
    this.#write(this.#greeting(heartbeatMs, retryMs))
    this.sink.listen(this)
    this.advance()
  }

  #greeting(heartbeatMs: number, retryMs: number): Chunk {
    const { feed, id, offset, resume } = this
    const leftMs = Math.floor(this.grant.expiresAt - this.openedAt)
    const expires = leftMs !== Number.POSITIVE_INFINITY
    const known = expires ? undefined : feed.greeting.chunk(id, feed.epoch, offset, resume)
    if (known !== undefined) return known
    const text = encodeFrame({
      event: 'connected',
      // Without a cursor where continuity is broken: a cut right after this frame must not hide the resync.
      id: resume === 'resync' ? undefined : formatCursor(this.feed.epoch, this.offset),
      retry: retryMs,
      data: JSON.stringify({
        connectionId: id,
        projectId: feed.projectId,
        resume,
        heartbeatMs,
        ...(expires && { expiresInMs: leftMs }),
      }),
    })
    const chunk = new Chunk(text, false)
    if (!expires) feed.greeting.keep(chunk, id, feed.epoch, offset, resume)
    return chunk
  }

  /** Sends what lies after the cursor, as far as the socket takes it. Live delivery, resume and catching up are this one loop. */
  advance(): void {
    while (!this.#ended && !this.#full && !this.#reading) {
      if (!this.#resync && this.offset >= this.feed.head) {
        this.lagging = false
        return
      }
      if (this.#expired) {
        this.close('expired')
        return
      }
      if (this.#resync) {
        this.#sendResync(this.#resync)
        continue
      }
      const page = this.feed.page(this)
      if (page) this.#take(page)
      else this.#readPage()
    }
  }

  /** Continuity is broken: before anything else the reader is told so, and goes on at the head. */
  resync(reason: ResyncReason): void {
    this.#resync ??= reason
    this.observer.watch(this)
  }

  drained(): void {
    this.#full = false
    this.lagging ||= this.offset < this.feed.head
    this.advance()
  }

  closed(): void {
    if (this.#gone) return
    this.#gone = true
    this.#end('peer')
    this.observer.left(this)
  }

  /** Writes a heartbeat, where there are any and the socket has room. Whether it may be open is asked in any case. */
  beat(frames: BeatFrames | undefined): void {
    if (this.#ended) return
    const reauthorize = this.#reauthorizes ? this.grant.reauthorize : undefined
    if (!reauthorize || this.#askedAt !== undefined) {
      // A slow answer must not look like a dead peer: only one heartbeat waits for it.
      this.#held = undefined
      this.#writeBeat(frames)
      return
    }
    this.#held = frames
    this.observer.watch(this)
    this.#askedAt = this.feed.clock.monotonic()
    void (async () => {
      let allowed = false
      let failed = false
      try {
        allowed = await reauthorize()
      } catch (error) {
        failed = true
        this.observer.failed(this, error)
      }
      this.#askedAt = undefined
      if (allowed) this.#writeBeat(this.#held)
      // Not knowing is not a no: the client may come back and ask `authorize` again.
      else this.close(failed ? 'expired' : 'revoked')
    })()
  }

  /** Whether there is nothing for `check` to do until then, as far as can be told now. */
  isQuiet(until: number): boolean {
    const isLive = this.offset === this.feed.head && this.#resync === undefined
    return isLive && until < this.#endsAt && !this.#full && !this.#ended && this.#askedAt === undefined
  }

  /** Whether something can be written to it now, as far as can be told. */
  get ready(): boolean {
    return !this.#ended && !this.#full && !this.#reading && this.sink.writable !== false
  }

  /** Whether anything is to be done at its heartbeat. */
  get beats(): boolean {
    const { sink } = this
    return this.#reauthorizes || (!this.#ended && (sink.writable === false || sink.unsentBytes <= LAGGING_BYTES))
  }

  /** Ends what has no business to be open any more. `now` is the monotonic clock's; `sleptMs` is how long the process stood still. */
  check(now: number, stallMs: number, sleptMs: number): void {
    if (this.#gone) return
    if (this.#ended) {
      // What was queued when it ended must not outlive the grant.
      const { expiresAt } = this.grant
      const expired = this.#endedAt < expiresAt && now >= expiresAt
      if (expired || now - this.#endedAt > END_GRACE_MS) this.#cut()
      return
    }
    const reason = this.#overdue(now, stallMs, sleptMs)
    if (reason) this.close(reason)
    else if (this.offset < this.feed.head || this.#resync) this.advance()
  }

  /** Why it must end now, if it must. */
  #overdue(now: number, stallMs: number, sleptMs: number): ClosingReason | undefined {
    if (this.#expiresAt !== undefined && now >= this.#expiresAt) return 'expired'
    if (this.#askedAt !== undefined) {
      this.#askedAt += sleptMs
      if (now - this.#askedAt >= REAUTHORIZE_TIMEOUT_MS) return 'expired'
    }
    if (!this.#full) return now >= this.#rotateAt ? 'rotated' : undefined
    const unsent = this.sink.unsentBytes
    this.#stalledAt += sleptMs
    if (unsent < this.#unsent) this.#stalledAt = now
    this.#unsent = unsent
    if (now - this.#stalledAt >= stallMs) return 'slow'
    // Whoever takes a byte now and then is full for ever, and has only so long for the rest.
    return now - this.#rotateAt >= stallMs ? 'rotated' : undefined
  }

  /** Whether the socket is full. */
  get full(): boolean {
    return this.#full
  }

  /**
   * Ends the stream with the reason. After a revocation or an expiry nothing that was queued may go out, so a socket
   * with something in it is cut instead.
   */
  close(reason: ClosingReason, retryMs?: number): void {
    if (this.#ended) return
    const mustCut = this.#full || ((reason === 'revoked' || reason === 'expired') && this.sink.unsentBytes > 0)
    if (!mustCut) {
      this.#write(new Chunk(encodeFrame({ event: 'closing', retry: retryMs, data: JSON.stringify({ reason }) })))
    }
    this.#end(reason)
    try {
      if (mustCut && reason !== 'shutdown') this.sink.destroy()
      else this.sink.end()
    } catch (error) {
      // Whoever ends many streams goes on with the next one.
      this.observer.failed(this, error)
      this.#cut()
    }
  }

  /** Ends the stream at once. */
  destroy(): void {
    this.#end('peer')
    this.#cut()
  }

  #cut(): void {
    try {
      this.sink.destroy()
    } catch (error) {
      this.observer.failed(this, error)
      // It will not tell of its end.
      this.closed()
    }
  }

  #end(reason: ClosingReason | 'peer'): void {
    if (this.#ended) return
    this.#ended = true
    this.#endedAt = this.feed.clock.monotonic()
    this.feed.leave(this)
    this.cohort?.delete(this)
    this.observer.ended(this, reason)
  }

  get #expired(): boolean {
    return this.#expiresAt !== undefined && this.feed.clock.monotonic() >= this.#expiresAt
  }

  #take(page: Page | Gap): void {
    if ('gap' in page) {
      if (page.cause !== undefined) this.observer.failed(this, page.cause)
      this.resync(page.gap === 'expired' ? 'overflow' : page.gap)
    } else if (page.to === this.offset) this.resync('broker-gap')
    else {
      // What was handed over counts as sent, also when the socket says that it is full now.
      this.offset = page.to
      if (page.chunk) this.#write(page.chunk)
    }
  }

  #sendResync(reason: ResyncReason): void {
    this.#resync = undefined
    this.lagging = false
    this.offset = this.feed.head
    this.observer.resynced(reason)
    this.#write(new Chunk(encodeFrame({ event: 'resync', id: this.feed.cursor, data: JSON.stringify({ reason }) })))
  }

  #readPage(): void {
    this.#reading = true
    const { epoch } = this.feed
    this.feed.read(this).then(
      (page) => {
        this.#reading = false
        this.#failing = false
        // Meanwhile the log may have become another one, and then a resync is waiting; or the grant has ended.
        const usable = this.feed.epoch === epoch && !this.#resync && !this.#ended && !this.#expired
        if (usable) this.#take(page)
        this.advance()
      },
      (error) => {
        // The next round tries again, and says nothing while the reason is the same.
        this.#reading = false
        if (!this.#failing) this.observer.failed(this, error)
        this.#failing = true
        this.observer.watch(this)
      },
    )
  }

  #writeBeat(frames: BeatFrames | undefined): void {
    if (this.#ended || this.#full || this.#expired) return
    const atHead = this.offset === this.feed.head && !this.#resync
    if (frames) this.#write(frames.frame(atHead ? this.feed.cursor : undefined))
  }

  #write(chunk: Chunk): void {
    const { sink } = this
    try {
      this.observer.wrote(sink.compressed ? chunk.deflated.length : chunk.byteLength)
      if (sink.write(chunk)) return
    } catch (error) {
      // One socket's failure is not another's: whoever called goes on with the next connection.
      this.observer.failed(this, error)
      this.destroy()
      return
    }
    this.#full = true
    this.#unsent = sink.unsentBytes
    this.#stalledAt = this.feed.clock.monotonic()
    this.observer.watch(this)
  }
}
