import type { ConnectedData } from '@entitycast/sse-protocol'
import { Alarm } from '../retry/alarm'
import { Backoff, clampMinimum } from '../retry/backoff'
import type { Ports } from '../seams/ports'
import { Attempt, type AttemptListener, type Outcome } from './attempt'
import { SubscriberError, type SubscriberErrorCode } from './error'
import { note, type Transition } from './journal'
import { followPage } from './page'
import type { StreamFrame } from './parser'
import { type ConnectionState, NEXT, type PauseReason, type Phase, type Signal } from './phase'
import { type RenewableReader, Renewal, type RenewalListener } from './renewal'
import type { HeadersContext, HeadersReason, Settings } from './request'
import { decide, type Failure } from './verdict'

/** What a connection brings frames to. */
export interface FrameReader extends RenewableReader {
  /** The response to the request is a stream. Given only where that alone makes it live: then a `retry:` counts until the next one. */
  opened?(): void
  /** A request leaves, for this user. The result is the cursor that goes with it. */
  begin(identity?: string): string | undefined | Promise<string | undefined>
  /** One frame of the present stream. */
  frame(frame: StreamFrame): void
  /** The request or the stream is over. */
  end(): void
  /** And no other follows by itself. */
  close(): void
  /** The server does not take the cursor. */
  forget(): void
}

/** Who is told about a connection. */
export interface ConnectionListener {
  /** The state may have changed. */
  moved(): void
  failed(error: SubscriberError): void
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
 * One stream at a time, for as long as the application wants one. Only the present attempt is heard; the one before is abandoned first, so
 * that two streams at once are impossible. There is one timer, and one more where the grant has an end.
 */
export class Connection implements AttemptListener, RenewalListener {
  /** The last steps. */
  readonly journal: Transition[] = []
  readonly #settings: Settings
  readonly #ports: Ports
  readonly #reader: FrameReader
  readonly #to: ConnectionListener
  readonly #backoff: Backoff
  #phase: Phase = 'closed'
  #present: Attempt | undefined
  #renewal: Renewal | undefined
  /** Since `connect()` something was lost or was live: what comes now is "again". */
  #again = false
  // What of it is shown; nobody else writes it.
  /** Attempts since the last stream that has held. */
  attempt = 0
  /** When the next attempt is due, while it is waited for. */
  nextRetryAt: number | undefined
  /** What it last failed with, until it is live again. */
  error: SubscriberError | undefined
  #reason: HeadersReason | undefined
  /** A 401 was answered with fresh headers, and nothing was live since. */
  #refreshed = false
  /** The `retry:` after which no frame of the present stream came. */
  #retryMs = 0
  /** The present wait is not cut shorter than this: the server asked for it. */
  #minimumMs = 0
  #liveAt = 0
  /** Streams that ended by themselves since the last that was stable. */
  #ended = 0
  #alarm: Alarm | undefined
  /** Why there is no stream. It may be open only while there is none. */
  readonly #pauses = new Set<PauseReason>(['closed'])
  /** The server does not want us back before; and so long it was when it said so, because clocks are set. */
  #notBefore = 0
  #notBeforeMs = 0
  #unlisten: (() => void) | undefined

  constructor(settings: Settings, ports: Ports, reader: FrameReader, to: ConnectionListener) {
    this.#settings = settings
    this.#ports = ports
    this.#reader = reader
    this.#to = to
    this.#backoff = new Backoff(ports.random)
  }

  get state(): ConnectionState {
    if (this.#phase === 'closed') return 'disconnected'
    if (this.#phase === 'streaming') return 'connected'
    return this.#again ? 'reconnecting' : 'connecting'
  }

  get pauses(): readonly PauseReason[] {
    return [...this.#pauses]
  }

  connect(): void {
    if (!this.#pauses.has('closed') || this.#settings.signal?.aborted) return
    this.#again = false
    this.#afresh()
    this.#unlisten = followPage(this.#ports, this.#settings, this)
    this.resume('closed')
    // Where another reason is left, only this has changed.
    this.#to.moved()
  }

  close(): void {
    this.pause('closed')
  }

  /** There is one more reason to have no stream. */
  pause(reason: PauseReason): void {
    if (this.#pauses.has(reason)) return
    const { passedMs = 0 } = this.#alarm ?? {}
    if (this.#phase === 'waiting') this.#embargo(this.#minimumMs - passedMs)
    this.#rememberStable()
    this.#pauses.add(reason)
    if (reason === 'closed') this.#release()
    this.#go('close')
  }

  /** There is one reason less. After the last one it goes on at once, unless the server has asked for more time. */
  resume(reason: PauseReason): void {
    if (!this.#pauses.delete(reason) || this.#pauses.size > 0) return
    const remainingMs = this.#embargoMs()
    this.#embargo(0)
    if (remainingMs > 0) this.#go('hold', () => this.#waitToRetry(remainingMs, remainingMs))
    else this.#go('connect', () => this.#try())
  }

  /** Another stream, now. */
  reconnect(): void {
    if (this.#pauses.size > 0) this.connect()
    else {
      this.#afresh()
      this.#retry()
    }
  }

  /** As if nothing had failed before. */
  #afresh(): void {
    this.#backoff.reset()
    this.error = undefined
    this.#refreshed = false
    this.attempt = this.#ended = 0
    this.#reason = undefined
    this.#embargo(0)
  }

  #embargo(ms: number): void {
    this.#notBeforeMs = ms
    this.#notBefore = this.#ports.clock.now() + ms
  }

  /** How much longer the server does not want us back. */
  #embargoMs(): number {
    return Math.max(0, Math.min(this.#notBefore - this.#ports.clock.now(), this.#notBeforeMs))
  }

  #release(): void {
    this.#unlisten?.()
    this.#unlisten = undefined
    // The page's own reasons are not known any more.
    this.#pauses.delete('hidden')
    this.#pauses.delete('frozen')
  }

  /** The stream has begun. */
  live(connected: ConnectedData): void {
    this.#again = true
    this.#refreshed = false
    this.error = undefined
    this.#liveAt = this.#ports.clock.now()
    this.#go('live', () => this.#watch(connected))
  }

  renewed(next: Attempt, connected: ConnectedData): void {
    this.#go('renew', () => {
      this.#present?.abandon()
      this.#present = next
      next.to = this
      this.#watch(connected)
    })
  }

  /** The stream goes on. What the server has said counts for the attempt that will follow it. */
  notRenewed({ action, minimumMs = 0 }: Outcome): void {
    if (action === 'refresh') this.#reason = 'unauthorized'
    this.#embargo(clampMinimum(minimumMs))
  }

  /** The server has promised a heartbeat this often, 0 for none, and says when the grant ends. */
  #watch({ heartbeatMs, expiresInMs }: ConnectedData): void {
    const silenceMs = Math.max(HEARTBEATS * heartbeatMs, MIN_SILENCE_MS)
    if (heartbeatMs > 0) {
      const error = new SubscriberError('SILENT', `not a byte for ${silenceMs} ms`)
      this.#wait(silenceMs, () => this.#retry(error))
    }
    if (expiresInMs) this.#renewal = new Renewal(expiresInMs, this.#settings, this.#ports, this.#reader, this)
  }

  /** The server ends the stream. A reason that is not known is one more to come back. */
  closing(reason: unknown): void {
    if (reason === 'revoked') this.#fail('REVOKED', 'the right to read was taken back', { retrying: false })
    else if (reason === 'replaced')
      this.#fail('REPLACED', 'another connection has taken the place of this one', { retrying: false })
    else if (reason === 'expired' || reason === 'rotated') {
      if (reason === 'expired') this.#reason = reason
      this.#lose(() => this.#minimum(this.#retryMs) + this.#backoff.soon())
    } else this.#lose(() => this.#backoff.next(this.#minimum(this.#retryMs)))
  }

  /** The stream cannot be used any more. */
  broken({ code, message, retrying }: SubscriberError): void {
    this.#fail(code, message, { retrying })
  }

  /** Makes the step that the table has for this signal; without one, nothing. Listeners hear of it last: they may close or connect. */
  #go(signal: Signal, effect?: () => void): void {
    const next = NEXT[this.#phase][signal]
    if (!next) return
    this.#renewal?.cancel()
    this.#renewal = undefined
    this.#alarm?.cancel()
    this.#alarm = undefined
    this.nextRetryAt = undefined
    if (next !== 'streaming') {
      this.#present?.abandon()
      this.#present = undefined
      if (next === 'closed') this.#reader.close()
      else this.#reader.end()
    }
    const from = this.#phase
    this.#phase = next
    if (signal === 'stop') {
      this.#pauses.add('closed')
      this.#release()
    }
    effect?.()
    const { code: error, status } = this.error ?? {}
    note(this.journal, {
      at: this.#ports.clock.now(),
      from,
      signal,
      to: next,
      attempt: this.attempt,
      error,
      status,
    })
    this.#to.moved()
  }

  #wait(delayMs: number, task: () => void): void {
    this.#alarm?.cancel()
    this.#alarm = new Alarm(this.#ports.clock, delayMs, task)
  }

  #minimum(minimumMs: number): number {
    this.#minimumMs = Math.max(clampMinimum(minimumMs), this.#embargoMs())
    return this.#minimumMs
  }

  #try(): void {
    this.attempt++
    if (!this.#reader.opened) this.#retryMs = 0
    this.#present = new Attempt(this)
    void this.#present.run(this.#settings, this.#ports.clock)
  }

  /** Another attempt now: the wait is over or has become pointless, or the peer is dead and has not said so. */
  #retry(error?: SubscriberError): void {
    if (this.#phase === 'streaming' && this.#embargoMs() > 0) {
      this.#lose(() => this.#minimum(0) + this.#backoff.soon(), error)
      return
    }
    this.#rememberStable()
    this.#again = true
    this.#go('retry', () => {
      this.#try()
      if (error) this.#failed(error)
    })
  }

  #lose(delayMs: () => number, error?: SubscriberError): void {
    if (this.#phase === 'closed' || this.#phase === 'waiting') return
    this.#rememberStable()
    this.#again = true
    this.#minimumMs = 0
    const delay = delayMs()
    this.#go('lost', () => {
      this.#waitToRetry(delay, this.#minimumMs)
      if (error) this.#failed(error)
    })
  }

  #waitToRetry(delayMs: number, minimumMs: number): void {
    this.#minimumMs = minimumMs
    this.#wait(delayMs, () => this.#retry())
    this.nextRetryAt = this.#ports.clock.now() + delayMs
  }

  #failed(error: SubscriberError): void {
    this.error = error
    this.#to.failed(error)
  }

  #rememberStable(): void {
    if (this.#phase !== 'streaming' || this.#ports.clock.now() - this.#liveAt < STABLE_MS) return
    this.#backoff.reset()
    this.attempt = this.#ended = 0
  }

  /** The attempt or the stream is over. */
  #fail(code: SubscriberErrorCode, message: string, details: Partial<Failure> = {}, askedMs = 0): void {
    const error = decide({ ...details, code, message }, this.attempt, this.#settings, (thrown) =>
      this.#to.failed(thrown),
    )
    const minimumMs = Math.max(askedMs, this.#retryMs)
    if (error.retrying) this.#lose(() => this.#backoff.next(this.#minimum(minimumMs)), error)
    else this.#go('stop', () => this.#failed(error))
  }

  /** Waiting has become pointless. */
  wake(restored: boolean): void {
    if (this.#phase === 'waiting') {
      // Backoff is there for the server's sake only while the network is; a minimum is the server's own word.
      if (this.#alarm && this.#alarm.passedMs >= this.#minimumMs) this.#retry()
      return
    }
    if (this.#phase !== 'streaming') return
    // Away from the page half of the usual patience is enough: a heartbeat is overdue.
    if (restored || (this.#alarm && this.#alarm.passedMs * 2 >= this.#alarm.delayMs)) this.#retry()
  }

  asks(): HeadersContext {
    const reason = this.#reason
    this.#reason = undefined
    this.#wait(HEADERS_MS, () => this.#fail('HEADERS_FAILED', `no headers in ${HEADERS_MS} ms`))
    return { attempt: this.attempt, reason }
  }

  leaves(identity: string | undefined): string | undefined | Promise<string | undefined> {
    this.#wait(CONNECT_MS, () =>
      this.#fail('CONNECT_TIMEOUT', `no "connected" in ${CONNECT_MS} ms; does a proxy hold it back?`),
    )
    return this.#reader.begin(identity)
  }

  opened(): void {
    this.#reader.opened?.()
  }

  bytes(): Promise<unknown> | undefined {
    if (this.#phase === 'streaming') this.#alarm?.restart()
    return this.#renewal?.hold
  }

  frame(frame: StreamFrame): void {
    this.#reader.frame(frame)
    // A `retry:` counts in the frame that ends the stream, and where no frame follows. Others are for native EventSources.
    if (!this.#reader.opened) this.#retryMs = 0
  }

  retry(delayMs: number): void {
    this.#retryMs = delayMs
  }

  over({ action, code, message, minimumMs, ...details }: Outcome): void {
    const again = () => this.#backoff.soon()
    if (code === 'STREAM_ENDED') {
      this.#rememberStable()
      if (++this.#ended >= LOOP) {
        const causes = 'by a proxy, or a route that closes them?'
        this.#fail('STREAM_LOOP', `${this.#ended} streams in a row ended at once: ${causes}`)
        return
      }
    }
    if (action === 'forget') {
      this.#reader.forget()
      this.#lose(again, new SubscriberError(code, message, details))
    } else if (action === 'refresh' && !this.#refreshed) {
      this.#refreshed = true
      this.#reason = 'unauthorized'
      this.#lose(again)
    } else this.#fail(code, message, { ...details, retrying: action === 'retry' }, minimumMs)
  }
}
