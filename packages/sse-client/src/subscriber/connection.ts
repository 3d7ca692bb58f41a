import type { ConnectedData } from '@entitycast/sse-protocol'
import { type Alarm, startAlarm } from '../retry/alarm'
import { clampMinimum, createBackoff } from '../retry/backoff'
import type { Ports } from '../seams/ports'
import { type Attempt, type AttemptListener, startAttempt } from './attempt'
import type { SubscriberError } from './error'
import { KEPT_TRANSITIONS, type Transition } from './journal'
import { followPage } from './page'
import type { StreamFrame } from './parser'
import { NEXT, type PauseReason, type Phase, type Signal } from './phase'
import { type RenewableReader, type Renewal, startRenewal } from './renewal'
import { checkAddress, type HeadersReason, type Settings } from './request'
import type { ConnectionSnapshot } from './snapshot'
import { decide, errorOf, type Failure } from './verdict'

/** What a connection brings frames to. */
export interface FrameReader extends RenewableReader {
  /** The response to the request is a stream. Given only where that alone makes it live: then a `retry:` counts until the next one. */
  opened?(): void
  /** A request leaves, for this user. The result is the cursor that goes with it. */
  begin(identity?: string): string | undefined | Promise<string | undefined>
  /** One frame of the present stream. */
  frame(frame: StreamFrame): void
  /** The request or the stream is over. `closed`: and no other follows by itself. */
  end(closed: boolean): void
  /** The server does not take the cursor. */
  forget(): void
}

/** Who is told about a connection. */
export interface ConnectionListener {
  /** The state may have changed. */
  moved(): void
  failed(error: SubscriberError): void
}

/** One stream at a time, for as long as the application wants one. */
export interface Connection {
  /** Why there is no stream. */
  readonly pauses: readonly PauseReason[]
  /** The last steps. */
  readonly journal: readonly Transition[]
  /** What of it is shown. */
  shown(): Pick<ConnectionSnapshot, 'state' | 'attempt' | 'nextRetryAt' | 'error' | 'closed'>
  connect(): void
  close(): void
  /** There is one more reason to have no stream. */
  pause(reason: PauseReason): void
  /** There is one reason less. After the last one it goes on at once, unless the server has asked for more time. */
  resume(reason: PauseReason): void
  /** Another stream, now. */
  reconnect(): void
  /** The stream has begun. */
  live(connected: ConnectedData): void
  /** The server ends the stream. A reason that is not known is one more to come back. */
  closing(reason: unknown): void
  /** The stream cannot be used any more, or the attempt has failed. */
  fail(failure: Failure, askedMs?: number): void
}

const HEADERS_MS = 10_000
const CONNECT_MS = 45_000
/** A stream that has held this long was a good one: the delays begin anew. */
const STABLE_MS = 10_000
/** A watchdog shorter than this would bite on a busy machine. */
const MIN_SILENCE_MS = 1_000
const HEARTBEATS = 3
/** So many streams in a row that ended by themselves before they were stable are no accident. */
const LOOP = 5

/**
 * Only the present attempt is heard; the one before is abandoned first, so that two streams at once are impossible. There is one timer,
 * and one more where the grant has an end.
 */
export function createConnection(
  settings: Settings,
  ports: Ports,
  reader: FrameReader,
  to: ConnectionListener,
): Connection {
  const { clock, random } = ports
  const backoff = createBackoff(random)
  const journal: Transition[] = []
  /** The stream may be open only while there is none. */
  const pauses = new Set<PauseReason>(['closed'])
  let phase: Phase = 'closed'
  let present: Attempt | undefined
  let renewal: Renewal | undefined
  let alarm: Alarm | undefined
  /** So much of the present wait has to pass before waking up can cut it short, in milliseconds. */
  let enoughMs = 0
  let unfollow: (() => void) | undefined
  /** Since `connect()` something was lost or was live: what comes now is "again". */
  let again = false
  /** Attempts since the last stream that has held. */
  let attempts = 0
  /** When the next attempt is due, while it is waited for. */
  let nextRetryAt: number | undefined
  /** What it last failed with, until it is live again. */
  let lastError: SubscriberError | undefined
  let reason: HeadersReason | undefined
  /** A 401 was answered with fresh headers, and nothing was live since. */
  let refreshed = false
  /** The `retry:` after which no frame of the present stream came. */
  let retryMs = 0
  let liveAt = 0
  /** Streams that ended by themselves since the last that was stable. */
  let ended = 0
  /** The server does not want us back before; and so long it was when it said so, because clocks are set. */
  let notBefore = 0
  let notBeforeMs = 0

  function connect(): void {
    if (!pauses.has('closed') || settings.signal?.aborted) return
    checkAddress(settings)
    again = false
    unfollow = followPage(ports, settings, { pause, resume, wake })
    // Not before: a page that is hidden pauses it at once, and whoever waits for an end must not take what that shows for one.
    startAfresh()
    resume('closed')
    // Where another reason is left, only this has changed.
    to.moved()
  }

  function pause(reason: PauseReason): void {
    if (pauses.has(reason)) return
    if (phase === 'waiting') embargo(enoughMs - (alarm?.passedMs() ?? 0))
    rememberStable()
    pauses.add(reason)
    if (reason === 'closed') closeDown()
    go('close')
  }

  function resume(reason: PauseReason): void {
    if (!pauses.delete(reason) || pauses.size > 0) return
    const remainingMs = embargoMs()
    embargo(0)
    if (remainingMs > 0) go('hold', () => waitToRetry(remainingMs, remainingMs))
    else go('connect', attempt)
  }

  /** As if nothing had failed before. */
  function startAfresh(): void {
    backoff.reset()
    lastError = reason = undefined
    refreshed = false
    attempts = ended = 0
    embargo(0)
  }

  function embargo(ms: number): void {
    notBeforeMs = ms
    notBefore = clock.now() + ms
  }

  /** How much longer the server does not want us back. */
  function embargoMs(): number {
    return Math.max(0, Math.min(notBefore - clock.now(), notBeforeMs))
  }

  function closeDown(): void {
    pauses.add('closed')
    unfollow?.()
    unfollow = undefined
    // The page's own reasons are not known any more.
    pauses.delete('hidden')
    pauses.delete('frozen')
  }

  /** The server has promised a heartbeat this often, 0 for none, and says when the grant ends. */
  function watch({ heartbeatMs, expiresInMs = 0 }: ConnectedData): void {
    const silenceMs = Math.max(HEARTBEATS * heartbeatMs, MIN_SILENCE_MS)
    if (heartbeatMs > 0)
      wait(silenceMs, () => retry(errorOf({ code: 'SILENT', message: `not a byte for ${silenceMs} ms` })))
    renewal = startRenewal(
      expiresInMs,
      settings,
      ports,
      reader,
      (next, connected) =>
        go('renew', () => {
          present?.abandon()
          present = next
          next.to = listener
          watch(connected)
        }),
      // What the server has said counts for the attempt that will follow the stream.
      ({ action, minimumMs = 0 }) => {
        if (action === 'refresh') reason = 'unauthorized'
        embargo(clampMinimum(minimumMs))
      },
    )
  }

  /** Makes the step that the table has for this signal; without one, nothing. Listeners hear of it last: they may close or connect. */
  function go(signal: Signal, effect?: () => void, failure?: SubscriberError): void {
    const from = phase
    const next = NEXT[from][signal]
    if (next) {
      renewal?.cancel()
      alarm?.cancel()
      renewal = alarm = nextRetryAt = undefined
      if (next !== 'streaming') {
        present?.abandon()
        present = undefined
      }
      phase = next
      if (signal === 'stop') closeDown()
      effect?.()
      lastError = failure ?? lastError
      const { code: error, status } = lastError ?? {}
      if (
        journal.push({ at: clock.now(), from, signal, to: next, attempt: attempts, error, status }) > KEPT_TRANSITIONS
      )
        journal.shift()
      // From here on others may do whatever they like: the first is a store that is written to.
      if (next !== 'streaming') reader.end(next === 'closed')
      if (failure) to.failed(failure)
    }
    // Where there is no step, the reasons have changed.
    to.moved()
  }

  /** Away from the page half of the usual patience is enough: a heartbeat is overdue. */
  function wait(delayMs: number, task: () => void, leastMs = delayMs / 2): void {
    alarm?.cancel()
    enoughMs = leastMs
    alarm = startAlarm(clock, delayMs, task)
  }

  function attempt(): void {
    attempts++
    if (!reader.opened) retryMs = 0
    present = startAttempt(settings, clock, listener)
  }

  /** Another attempt now: the wait is over or has become pointless, or the peer is dead and has not said so. */
  function retry(error?: SubscriberError): void {
    if (phase === 'streaming' && embargoMs() > 0) {
      lose(backoff.soon, 0, error)
      return
    }
    rememberStable()
    again = true
    go('retry', attempt, error)
  }

  /** Another attempt later: by chance, on top of the server's minimum. Without `askedMs` there is none: the answer was one to come back at once for. */
  function lose(chance: () => number, askedMs?: number, error?: SubscriberError): void {
    if (phase === 'closed' || phase === 'waiting') return
    rememberStable()
    again = true
    const leastMs = askedMs === undefined ? 0 : Math.max(clampMinimum(askedMs), embargoMs())
    const delayMs = leastMs + chance()
    go('lost', () => waitToRetry(delayMs, leastMs), error)
  }

  function waitToRetry(delayMs: number, leastMs: number): void {
    // Backoff is there for the server's sake only while the network is; a minimum is the server's own word.
    wait(delayMs, retry, leastMs)
    nextRetryAt = clock.now() + delayMs
  }

  function rememberStable(): void {
    if (phase !== 'streaming' || clock.now() - liveAt < STABLE_MS) return
    backoff.reset()
    attempts = ended = 0
  }

  function fail(failure: Failure, askedMs = 0): void {
    const error = decide(failure, attempts, settings, to)
    if (error.retrying) lose(backoff.next, Math.max(askedMs, retryMs), error)
    else go('stop', undefined, error)
  }

  /** Waiting has become pointless. */
  function wake(restored: boolean): void {
    if ((restored && phase === 'streaming') || (alarm?.passedMs() ?? -1) >= enoughMs) retry()
  }

  const listener: AttemptListener = {
    asks() {
      wait(HEADERS_MS, () => fail({ code: 'HEADERS_FAILED', message: `no headers in ${HEADERS_MS} ms` }))
      return { attempt: attempts, reason }
    },
    leaves(identity) {
      // Not before: who has failed to fetch a fresh token is asked for a fresh one again.
      reason = undefined
      wait(CONNECT_MS, () =>
        fail({
          code: 'CONNECT_TIMEOUT',
          message: `no "connected" in ${CONNECT_MS} ms: held back by a proxy, or by fetch?`,
        }),
      )
      return reader.begin(identity)
    },
    opened: () => reader.opened?.(),
    bytes() {
      if (phase === 'streaming') alarm?.restart()
      return renewal?.hold
    },
    frame(frame) {
      reader.frame(frame)
      // A `retry:` counts in the frame that ends the stream, and where no frame follows. Others are for native EventSources.
      if (!reader.opened) retryMs = 0
    },
    retry(delayMs) {
      retryMs = delayMs
    },
    over({ action, minimumMs: askedMs, ...failure }) {
      if (failure.code === 'STREAM_ENDED') {
        rememberStable()
        if (++ended >= LOOP) {
          const message = `${ended} streams ended at once: by a proxy, or a route that closes?`
          fail({ code: 'STREAM_LOOP', message })
          return
        }
      }
      if (action === 'forget') {
        reader.forget()
        lose(backoff.soon, undefined, errorOf(failure))
      } else if (action === 'refresh' && !refreshed) {
        refreshed = true
        reason = 'unauthorized'
        lose(backoff.soon)
      } else fail({ ...failure, retrying: action === 'retry' }, askedMs)
    },
  }

  return {
    get pauses() {
      return [...pauses]
    },
    journal,
    shown: () => ({
      state:
        phase === 'closed'
          ? 'disconnected'
          : phase === 'streaming'
            ? 'connected'
            : again
              ? 'reconnecting'
              : 'connecting',
      attempt: attempts,
      nextRetryAt,
      error: lastError,
      closed: pauses.has('closed'),
    }),
    connect,
    close: () => pause('closed'),
    pause,
    resume,
    reconnect() {
      if (pauses.size > 0) connect()
      else {
        startAfresh()
        retry()
      }
    },
    live(connected) {
      again = true
      refreshed = false
      lastError = undefined
      liveAt = clock.now()
      go('live', () => watch(connected))
    },
    closing(why) {
      if (why === 'revoked' || why === 'replaced')
        fail({
          code: why.toUpperCase() as 'REVOKED' | 'REPLACED',
          message: `the server has ${why} this stream`,
          retrying: false,
        })
      else if (why === 'expired' || why === 'rotated') {
        if (why === 'expired') reason = why
        lose(backoff.soon, retryMs)
      } else lose(backoff.next, retryMs)
    },
    fail,
  }
}
