import { type ConnectedData, decodeEvent, type ProjectEvent, quote, RESYNC_REASONS } from '@entitycast/sse-protocol'
import type { Ports } from '../seams/ports'
import type { Connection, FrameReader } from './connection'
import { isCursor } from './cursor'
import type { SubscriberError } from './error'
import type { StreamFrame } from './parser'
import type { Settings } from './request'
import { createResyncGate, type Resync, type ResyncCause } from './resync-gate'
import { errorOf } from './verdict'
import { createVersions } from './versions'

/** Where delivery goes. */
export interface DeliveryListener {
  /** The data must be loaded again. Events wait until the result, where there is one, settles; it never rejects. */
  resync(resync: Resync): Promise<unknown> | undefined
  /** `resyncing` may have changed. */
  moved(): void
  event(event: ProjectEvent): void
  /** Something is wrong, and the stream goes on. */
  failed(error: SubscriberError): void
}

export interface Delivery extends FrameReader {
  /** Everything up to there was given out. */
  cursor(): string | undefined
  /** A resync is being told, or is about to be: events wait. */
  isResyncing(): boolean
  /** What a resync asked for could not be loaded: it is due again. */
  owe(reason: ResyncCause): void
}

/** What a held frame costs beside its text. */
const HELD_FRAME_BYTES = 100
/** So many frames wait for `onResync` handlers at most. */
const MAX_WAITING = 10_000

/**
 * From frames to events without a silent hole. It owns the cursor, across streams: what a handler was given lies at or before it, what
 * lies at or before it a handler was given, and wherever that cannot be proven a resync is told before any later event.
 */
export function createDelivery(
  settings: Settings,
  ports: Ports,
  connection: () => Connection,
  to: DeliveryListener,
): Delivery {
  const { maxEventBytes, cursorStore } = settings
  const keeper = cursorStore?.(ports.clock)
  let versions = createVersions()
  let { projectId, since: place } = settings
  /** The store has been asked for the cursor of the page before. */
  let restored = false
  /** For whom the last request left; before the first what nobody is, whatever an `identity()` without types returns. */
  let lastIdentity: unknown = begin
  /** A resync that has to be told before anything else is. */
  let owed: ResyncCause | undefined
  /** Whether any stream was live: since then there is something to lose. */
  let begun = false

  /** Of the present stream: its number, so that a loop over frames sees that a handler has ended it. */
  let stream = 0
  let sent: string | undefined
  let greeting: ConnectedData | undefined
  let live = false
  /** The stream whose place is about to be looked at, or could not be one and that was told. */
  let looked = 0
  /** Frames without an id are one page with the next frame that has one: they wait for it, so that a cut drops the page as a whole. */
  let held: ProjectEvent[] = []
  let heldBytes = 0
  /** Frames that came while a resync is told: they come after it. */
  let waiting: StreamFrame[] = []
  let waitingBytes = 0
  /** There were too many, and they were dropped: another resync is due. */
  let skipping = false
  /** Where the stream goes on after the resync that is due, `null` for a place without a cursor: the cursor stays where it is until that is told. */
  let resyncTo: string | null | undefined

  const gate = createResyncGate(ports, settings.resyncTimeoutMs, {
    tell(resync) {
      // Whoever loads the data now gets what was dropped.
      if (resyncTo === null) place = undefined
      else commit(resyncTo)
      resyncTo = undefined
      if (skipping) dropWaiting()
      return to.resync(resync)
    },
    /** What came meanwhile is given out. */
    opened() {
      const mine = stream
      const frames = waiting
      dropWaiting()
      keep()
      to.moved()
      for (const one of frames) {
        if (mine !== stream) return
        frame(one)
      }
    },
    looping: () => to.failed(errorOf({ code: 'RESYNC_LOOP', message: 'one resync follows the other' })),
  })

  /** The place, where a header can carry it. */
  function cursor(): string | undefined {
    return isCursor(place) ? place : undefined
  }

  function begin(identity?: string): string | undefined | Promise<string | undefined> {
    end(false)
    keeper?.turnTo(JSON.stringify([settings.address, settings.projectId, identity]))
    if (lastIdentity !== begin && identity !== lastIdentity) {
      // Another user's place means nothing, and what is shown was another user's to see. Another user may have another project.
      place = undefined
      projectId = settings.projectId
      versions = createVersions()
      owed = 'identity'
    }
    lastIdentity = identity
    sent = cursor()
    return sent || restored || begun ? sent : restore()
  }

  /** The place where the page before was. */
  async function restore(): Promise<string | undefined> {
    const mine = stream
    const kept = await keeper?.read()
    if (mine !== stream) return undefined
    restored = true
    if (isCursor(kept)) place = sent = kept
    return sent
  }

  /** Where that stream goes on at the cursor, it takes the place of the present one, and an unfinished page is dropped. */
  function renew({ event, id, data = '' }: StreamFrame): ConnectedData | undefined {
    const connected = event === 'connected' ? readConnected(data) : undefined
    if (!connected || connected.projectId !== projectId || connected.resume === 'resync') return undefined
    if (id === undefined || id !== cursor()) return undefined
    stream++
    drop()
    greeting = connected
    return connected
  }

  /** What is held is dropped, and a loop over it stops. A resync that was not told to the end is told again first. */
  function end(closed: boolean): void {
    stream++
    greeting = undefined
    live = false
    drop()
    dropWaiting()
    resyncTo = undefined
    keeper?.flush()
    const recalled = gate.recall(closed)
    owed ??= recalled
  }

  function forget(): void {
    keeper?.keep(undefined)
    place = undefined
    owed = 'bad-cursor'
  }

  function frame(given: StreamFrame): void {
    const { event = 'message', id, data = '' } = given
    // A block with an id and nothing else: all that came is complete, and lies before it.
    const type = given.data === undefined ? '' : event
    // What is about the stream itself does not wait.
    if (type === 'closing') connection().closing(parse(data).reason)
    else if (type === 'connected') greet(id, data)
    else if (!greeting) {
      if (type) connection().fail({ code: 'PROTOCOL', message: `"${type}" came before "connected"` })
    } else if (type === 'resync') resync(id, data)
    else {
      const mine = stream
      if (!live) settle()
      if (mine !== stream) return
      if (gate.isShut()) postpone(given)
      else if (!type) release(id)
      else if (type !== 'heartbeat') deliver(type, id, data)
      else if (held.length === 0) commit(id)
    }
  }

  /** While a resync is told, frames wait. */
  function postpone(given: StreamFrame): void {
    waitingBytes += (given.data?.length ?? 0) + HELD_FRAME_BYTES
    waiting.push(given)
    if (!skipping && waitingBytes <= maxEventBytes && waiting.length <= MAX_WAITING) return
    // Of what is dropped the last place counts.
    for (const { id = resyncTo } of waiting) resyncTo = id
    dropWaiting()
    skipping = true
    gate.ask('overflow')
  }

  function dropWaiting(): void {
    waiting = []
    waitingBytes = 0
    skipping = false
  }

  function greet(id: string | undefined, data: string): void {
    const connected = readConnected(data)
    if (!connected || greeting) {
      connection().fail({ code: 'PROTOCOL', message: 'a bad "connected"' })
      return
    }
    const { resume } = connected
    projectId ??= connected.projectId
    if (connected.projectId !== projectId) {
      connection().fail({
        code: 'PROJECT_MISMATCH',
        message: `a stream of ${quote(connected.projectId)}, not of ${quote(projectId)}`,
        retrying: false,
      })
      return
    }
    greeting = connected
    if (resume === 'resync') {
      // The server's reason is in the next frame. Whatever else comes instead, this is owed.
      owed ??= 'bad-cursor'
      return
    }
    const isLive = resume === 'live'
    // A server that goes on "live" has not looked at our cursor, unless that is where it goes on. And a stream that
    // begins without a cursor says nothing about what happened since the one before.
    if (sent === undefined ? begun : isLive && id !== sent) {
      owed ??= 'bad-cursor'
      resyncTo = (isLive ? id : undefined) ?? null
    } else if (isLive) {
      // A replay begins after this frame, so its id, whatever it is, must not move the cursor.
      commit(id)
    }
    settle()
  }

  /** Tells the resync that is owed, if one is, and that the stream is live. */
  function settle(): void {
    const mine = stream
    const reason = owed
    const begins = !live
    owed = undefined
    live = begun = true
    if (reason) gate.ask(reason)
    if (mine !== stream) return
    if (begins) connection().live(greeting as ConnectedData)
    else if (reason) to.moved()
  }

  function resync(id: string | undefined, data: string): void {
    const told = parse(data).reason
    const reason = RESYNC_REASONS.find((known) => known === told) ?? 'bad-cursor'
    // What is held is older than the place where the stream goes on.
    drop()
    dropWaiting()
    resyncTo = id
    owed = reason
    settle()
  }

  function owe(reason: ResyncCause): void {
    owed ??= reason
    if (live) settle()
  }

  function deliver(type: string, id: string | undefined, data: string): void {
    const mine = stream
    let event: ProjectEvent | undefined
    try {
      event = decodeEvent(type, data, projectId as string)
    } catch (cause) {
      to.failed(errorOf({ code: 'INVALID_FRAME', message: (cause as Error).message, cause }))
    }
    // Whoever is told of a frame that cannot be read may end the stream.
    if (mine !== stream) return
    if (id !== undefined) release(id, event)
    else if (event) hold(event, data.length)
  }

  /** Gives out what is held and the event behind it, up to this id. */
  function release(id: string | undefined, event?: ProjectEvent): void {
    const mine = stream
    let last = event
    // Nearly every event comes by itself, and has nobody to wait for.
    if (held.length > 0) {
      const page = held
      drop()
      last ??= page.pop()
      for (const one of page) {
        give(one)
        if (mine !== stream) return
      }
    }
    // The cursor moves with the last event of a page: a handler that ends the stream before that gets the page again.
    commit(id)
    if (last && mine === stream) give(last)
  }

  function give(event: ProjectEvent): void {
    const newer = versions(event)
    if (newer) to.event(newer)
  }

  function hold(event: ProjectEvent, bytes: number): void {
    held.push(event)
    heldBytes += bytes + HELD_FRAME_BYTES
    if (heldBytes > maxEventBytes)
      connection().fail({ code: 'TOO_LARGE', message: `a page is over ${maxEventBytes} bytes (maxEventBytes)` })
  }

  function drop(): void {
    held = []
    heldBytes = 0
  }

  /**
   * For the page after this one. Not while a resync is due, or its data is being loaded: who comes meanwhile must be told of it, too. Nor
   * what no header can carry: there the place before is better than none.
   */
  function keep(): void {
    if (keeper && !gate.isShut() && !owed && cursor()) keeper.keep(place)
  }

  /** Moves the cursor to the id of a frame that has been dealt with. */
  function commit(id: string | undefined): void {
    if (id === undefined) return
    place = id
    keep()
    // Of those of one turn only the last can be gone on from: one look is enough.
    if (looked === stream) return
    const mine = stream
    looked = mine
    void Promise.resolve().then(() => {
      if (mine !== stream) return
      if (cursor() || place === undefined) looked = 0
      else to.failed(errorOf({ code: 'INVALID_CURSOR', message: 'no header can carry the id' }))
    })
  }

  return {
    cursor,
    isResyncing: gate.isShut,
    owe,
    begin,
    // None while a resync is told, because the cursor is not where the stream is.
    renewable: (identity) => (identity === lastIdentity && !gate.isShut() ? cursor() : undefined),
    renew,
    end,
    forget,
    frame,
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
    projectId &&
    ['live', 'replayed', 'resync'].includes(resume) &&
    // `>= 0` is false for NaN.
    typeof heartbeatMs === 'number' &&
    heartbeatMs >= 0
  return isOurs ? connected : undefined
}
