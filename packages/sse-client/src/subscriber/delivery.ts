import { type ConnectedData, decodeEvent, type ProjectEvent, RESYNC_REASONS } from '@entitycast/sse-protocol'
import type { Clock } from '../seams/ports'
import { isCursor } from './cursor'
import type { CursorKeeper } from './cursor-keeper'
import { SubscriberError } from './error'
import type { StreamFrame } from './parser'
import type { Settings } from './request'
import { type ResyncCause, ResyncGate } from './resync-gate'
import { Versions } from './versions'

/** Where delivery goes. */
export interface DeliveryListener {
  /** The stream has begun, and whatever it could not prove has been told. */
  live(connected: ConnectedData): void
  /** The data must be loaded again. Events wait until the result, where there is one, settles; it never rejects. */
  resync(reason: ResyncCause): Promise<unknown> | undefined
  /** `resyncing` may have changed. */
  moved(): void
  event(event: ProjectEvent): void
  /** The server ends the stream. */
  closing(reason: unknown): void
  /** The stream cannot be used any more. */
  broken(error: SubscriberError): void
  /** Something is wrong, and the stream goes on. */
  report(error: SubscriberError): void
}

/** What a held frame costs beside its text. */
const HELD_FRAME_BYTES = 100
/** So many frames wait for `onResync` handlers at most. */
const MAX_WAITING = 10_000

/**
 * From frames to events without a silent hole. It owns the cursor, across streams: what a handler was given lies at or before it, what
 * lies at or before it a handler was given, and wherever that cannot be proven a resync is told before any later event.
 */
export class Delivery {
  readonly #to: DeliveryListener
  readonly #maxHeldBytes: number
  #versions = new Versions()
  readonly #fixedProjectId: string | undefined
  #projectId: string | undefined
  readonly #address: string
  readonly #keeper: CursorKeeper | undefined
  /** The store has been asked for the cursor of the page before. */
  #restored = false
  #asked = false
  #identity: string | undefined
  /** Everything up to there was given out. Nobody else writes it. */
  cursor: string | undefined
  /** A resync that has to be told before anything else is. */
  #owed: ResyncCause | undefined
  /** Whether any stream was live: since then there is something to lose. */
  #begun = false

  /** Of the present stream: its number, so that a loop over frames sees that a handler has ended it. */
  #stream = 0
  #sent: string | undefined
  #connected: ConnectedData | undefined
  #live = false
  #invalidCursorTold = false
  /** Frames without an id are one page with the next frame that has one: they wait for it, so that a cut drops the page as a whole. */
  #held: ProjectEvent[] = []
  #heldBytes = 0
  /** Frames that came while a resync is told: they come after it. */
  #waiting: StreamFrame[] = []
  #waitingBytes = 0
  /** There were too many, and they were dropped: another resync is due. */
  #skipping = false
  /** Where the stream goes on after the resync that is due, `null` for a place without a cursor: the cursor stays where it is until that is told. */
  #resyncTo: string | null | undefined
  readonly #gate: ResyncGate

  constructor(
    { address, projectId, since, cursorStore, maxEventBytes, resyncTimeoutMs }: Settings,
    clock: Clock,
    to: DeliveryListener,
  ) {
    this.#to = to
    this.#gate = new ResyncGate(clock, resyncTimeoutMs, {
      tell: (reason) => {
        // Whoever loads the data now gets what was dropped.
        if (this.#resyncTo === null) this.cursor = undefined
        else this.#commit(this.#resyncTo)
        this.#resyncTo = undefined
        if (this.#skipping) this.#dropWaiting()
        return to.resync(reason)
      },
      opened: () => this.#opened(),
      looping: () => this.#report('RESYNC_LOOP', 'one resync follows the other'),
    })
    this.#projectId = this.#fixedProjectId = projectId
    this.cursor = since
    this.#maxHeldBytes = maxEventBytes
    this.#address = address
    this.#keeper = cursorStore?.(clock)
  }

  /** A resync is being told, or is about to be: events wait. */
  get resyncing(): boolean {
    return this.#gate.shut
  }

  /** A request leaves, for this user. The result is the cursor that goes with it. */
  begin(identity?: string): string | undefined | Promise<string | undefined> {
    this.end()
    this.#keeper?.turnTo(JSON.stringify([this.#address, this.#fixedProjectId, identity]))
    if (this.#asked && identity !== this.#identity) {
      // Another user's place means nothing, and what is shown was another user's to see. Another user may have another project.
      this.cursor = undefined
      this.#projectId = this.#fixedProjectId
      this.#versions = new Versions()
      this.#owed = 'identity'
    }
    this.#asked = true
    this.#identity = identity
    this.#sent = this.cursor
    return this.cursor || this.#restored || this.#begun ? this.cursor : this.#restore()
  }

  /** The place where the page before was. */
  async #restore(): Promise<string | undefined> {
    const stream = this.#stream
    const kept = await this.#keeper?.read()
    if (stream !== this.#stream) return undefined
    this.#restored = true
    if (isCursor(kept)) this.cursor = this.#sent = kept
    return this.cursor
  }

  /** The cursor that another stream could go on at, for this user: none while a resync is told, because the cursor is not where the stream is. */
  renewable(identity: string | undefined): string | undefined {
    return identity === this.#identity && !this.#gate.shut ? this.cursor : undefined
  }

  /** The first frame of that stream. Where it goes on at the cursor, it takes the place of the present one, and an unfinished page is dropped. */
  renew({ event, id, data = '' }: StreamFrame): ConnectedData | undefined {
    const connected = event === 'connected' ? readConnected(data) : undefined
    if (!connected || connected.projectId !== this.#projectId || connected.resume === 'resync') return undefined
    if (id === undefined || id !== this.cursor) return undefined
    this.#stream++
    this.#drop()
    this.#connected = connected
    return connected
  }

  /** The stream is over: what is held is dropped, and a loop over it stops. */
  end(): void {
    this.#stream++
    this.#connected = undefined
    this.#live = false
    this.#invalidCursorTold = false
    this.#drop()
    this.#dropWaiting()
    this.#resyncTo = undefined
    this.#keeper?.flush()
    const recalled = this.#gate.recall()
    this.#owed ??= recalled
  }

  /** The connection is closed. A resync that was not told to the end is told again first. */
  close(): void {
    this.end()
    const stopped = this.#gate.stop()
    this.#owed ??= stopped
  }

  /** The server does not take the cursor. */
  forget(): void {
    this.#keeper?.keep(undefined)
    this.cursor = undefined
    this.#owed = 'bad-cursor'
  }

  /** One frame of the present stream. */
  frame({ event: type = 'message', id, data }: StreamFrame): void {
    if (data === undefined) {
      if (this.#connected && !this.#postpone({ id })) this.#advance(id)
    } else if (type === 'closing') this.#to.closing(parse(data).reason)
    else if (type === 'connected') this.#greet(id, data)
    else if (!this.#connected) this.#break('PROTOCOL', `"${type}" came before "connected"`)
    else if (type === 'resync') this.#resync(id, data)
    else {
      const stream = this.#stream
      this.#settle()
      if (stream !== this.#stream || (this.#gate.shut && this.#postpone({ event: type, id, data }))) return
      if (type !== 'heartbeat') this.#deliver(type, id, data)
      else if (this.#held.length === 0) this.#commit(id)
    }
  }

  /** A block with an id and nothing else: all that came is complete, and lies before it. */
  #advance(id: string | undefined): void {
    const stream = this.#stream
    this.#settle()
    if (stream === this.#stream && !this.#postpone({ id })) this.#release(id)
  }

  /** While a resync is told, frames wait. */
  #postpone(frame: StreamFrame): boolean {
    if (!this.#gate.shut) return false
    if (this.#skipping) {
      this.#resyncTo = frame.id ?? this.#resyncTo
      return true
    }
    this.#waitingBytes += (frame.data?.length ?? 0) + HELD_FRAME_BYTES
    this.#waiting.push(frame)
    if (this.#waitingBytes <= this.#maxHeldBytes && this.#waiting.length <= MAX_WAITING) return true
    this.#resyncTo = this.#waiting.findLast(({ id }) => id !== undefined)?.id ?? this.#resyncTo
    this.#dropWaiting()
    this.#skipping = true
    this.#gate.ask('overflow')
    return true
  }

  #dropWaiting(): void {
    this.#waiting = []
    this.#waitingBytes = 0
    this.#skipping = false
  }

  /** The resync is over: what came meanwhile is given out. */
  #opened(): void {
    const stream = this.#stream
    const frames = this.#waiting
    this.#dropWaiting()
    this.#to.moved()
    for (const frame of frames) {
      if (stream !== this.#stream) return
      this.frame(frame)
    }
  }

  #greet(id: string | undefined, data: string): void {
    const connected = readConnected(data)
    if (!connected || this.#connected) {
      this.#break('PROTOCOL', 'a bad "connected"')
      return
    }
    const { projectId, resume } = connected
    this.#projectId ??= projectId
    if (projectId !== this.#projectId) {
      this.#break('PROJECT_MISMATCH', 'this is the stream of another project', false)
      return
    }
    this.#connected = connected
    if (resume === 'resync') {
      // The server's reason is in the next frame. Whatever else comes instead, this is owed.
      this.#owed ??= 'bad-cursor'
      return
    }
    // A server that goes on "live" has not looked at our cursor, unless that is where it goes on. And a stream that
    // begins without a cursor says nothing about what happened since the one before.
    const unproven = this.#sent === undefined ? this.#begun : resume === 'live' && id !== this.#sent
    if (unproven) {
      this.#owed ??= 'bad-cursor'
      this.#resyncTo = (resume === 'live' ? id : undefined) ?? null
    } else if (resume === 'live') {
      // A replay begins after this frame, so its id, whatever it is, must not move the cursor.
      this.#commit(id)
    }
    this.#settle()
  }

  /** Tells the resync that is owed, if one is, and that the stream is live. */
  #settle(): void {
    if (this.#live || !this.#connected) return
    const stream = this.#stream
    const connected = this.#connected
    const reason = this.#owed
    this.#owed = undefined
    this.#live = true
    this.#begun = true
    if (reason) this.#gate.ask(reason)
    if (stream === this.#stream) this.#to.live(connected)
  }

  #resync(id: string | undefined, data: string): void {
    const told = parse(data).reason
    const reason = RESYNC_REASONS.find((known) => known === told) ?? 'bad-cursor'
    // What is held is older than the place where the stream goes on.
    this.#drop()
    this.#dropWaiting()
    this.#resyncTo = id
    if (this.#live) {
      this.#gate.ask(reason)
      this.#to.moved()
    } else {
      this.#owed = reason
      this.#settle()
    }
  }

  #deliver(type: string, id: string | undefined, data: string): void {
    const stream = this.#stream
    const event = this.#decode(type, data)
    if (id !== undefined) {
      // Whoever is told of a frame that cannot be read may end the stream.
      if (stream === this.#stream) this.#release(id, event)
    } else if (event) this.#hold(event, data.length)
  }

  #decode(type: string, data: string): ProjectEvent | undefined {
    try {
      return decodeEvent(type, data, this.#projectId as string)
    } catch (cause) {
      this.#report('INVALID_FRAME', `skipped: ${(cause as Error).message}`, cause)
      return undefined
    }
  }

  /** Gives out what is held and the event behind it, up to this id. */
  #release(id: string | undefined, event?: ProjectEvent): void {
    const stream = this.#stream
    let last = event
    // Nearly every event comes by itself, and has nobody to wait for.
    if (this.#held.length > 0) {
      const page = this.#held
      this.#drop()
      last ??= page.pop()
      for (const one of page) {
        this.#give(one)
        if (stream !== this.#stream) return
      }
    }
    // The cursor moves with the last event of a page: a handler that ends the stream before that gets the page again.
    this.#commit(id)
    if (last && stream === this.#stream) this.#give(last)
  }

  #give(event: ProjectEvent): void {
    const newer = this.#versions.newer(event)
    if (newer) this.#to.event(newer)
  }

  #hold(event: ProjectEvent, bytes: number): void {
    this.#held.push(event)
    this.#heldBytes += bytes + HELD_FRAME_BYTES
    if (this.#heldBytes > this.#maxHeldBytes) this.#break('TOO_LARGE', `a page is over ${this.#maxHeldBytes} bytes`)
  }

  #drop(): void {
    this.#held = []
    this.#heldBytes = 0
  }

  /** Moves the cursor to the id of a frame that has been dealt with. */
  #commit(id: string | undefined): void {
    if (id === undefined) return
    this.cursor = isCursor(id) ? id : undefined
    this.#keeper?.keep(this.cursor)
    if (this.cursor !== undefined || this.#invalidCursorTold) return
    this.#invalidCursorTold = true
    this.#report('INVALID_CURSOR', 'the stream cannot be resumed at this id')
  }

  #break(code: 'PROTOCOL' | 'PROJECT_MISMATCH' | 'TOO_LARGE', message: string, retrying = true): void {
    this.#to.broken(new SubscriberError(code, message, { retrying }))
  }

  #report(code: 'INVALID_FRAME' | 'INVALID_CURSOR' | 'RESYNC_LOOP', message: string, cause?: unknown): void {
    this.#to.report(new SubscriberError(code, message, { cause }))
  }
}

function parse(text: string): Record<string, unknown> {
  try {
    return Object(JSON.parse(text))
  } catch {
    return {}
  }
}

function readConnected(data: string): ConnectedData | undefined {
  const connected = parse(data) as unknown as ConnectedData
  const { projectId, resume, heartbeatMs } = connected
  const isOurs =
    typeof projectId === 'string' &&
    projectId !== '' &&
    ['live', 'replayed', 'resync'].includes(resume) &&
    // `>= 0` is false for NaN.
    typeof heartbeatMs === 'number' &&
    heartbeatMs >= 0
  return isOurs ? connected : undefined
}
