import { type Answer, judge } from '../retry/answer'
import type { Clock, Fetch } from '../seams/ports'
import type { StreamFrame } from './parser'
import { currentIdentity, type HeadersContext, requestHeaders, requestInit, type Settings } from './request'
import { readStream } from './stream'

/** Why an attempt is over: the server's answer, or what went wrong. `end`: the stream has ended without a word. */
export interface Outcome extends Omit<Answer, 'action'> {
  readonly action: Answer['action'] | 'end'
  readonly message: string
  readonly cause?: unknown
}

/** Who hears of an attempt. */
export interface AttemptListener {
  /** The headers are asked for: with these words. */
  asks(): HeadersContext
  /** They are there, for this user. The result is the cursor that goes with the request. */
  leaves(identity: string | undefined): string | undefined | Promise<string | undefined>
  /** The response is a stream. */
  opened?(): void
  /** Bytes have arrived, whatever they say. They are read when the result, where there is one, settles. */
  bytes(): Promise<unknown> | undefined
  frame(frame: StreamFrame): void
  /** A `retry:` line, in milliseconds. */
  retry(delayMs: number): void
  over(outcome: Outcome): void
}

/** One request, from its headers to the end of its stream. Once it is abandoned, nobody hears of it. */
export class Attempt {
  /** Who hears of it: another one, when it takes the place of the stream before. */
  to: AttemptListener
  #abandoned = false
  #release: (() => void) | undefined

  constructor(to: AttemptListener) {
    this.to = to
  }

  abandon(): void {
    this.#abandoned = true
    this.#release?.()
  }

  /** Never rejects. */
  async run(settings: Settings, clock: Clock): Promise<void> {
    // Whoever connects, closes and connects in one turn (React's StrictMode does) makes one request.
    await undefined
    if (this.#abandoned) return
    let headers: Record<string, string>
    let identity: string | undefined
    try {
      headers = await requestHeaders(settings, this.to.asks())
      identity = currentIdentity(settings)
    } catch (cause) {
      const message = 'headers() or identity() threw, or a header is not allowed'
      this.#over({ action: 'retry', code: 'HEADERS_FAILED', message, cause })
      return
    }
    if (this.#abandoned) return
    const cursor = await this.to.leaves(identity)
    if (!this.#abandoned) await this.#request(settings, clock, headers, cursor)
  }

  async #request(
    settings: Settings,
    clock: Clock,
    headers: Record<string, string>,
    cursor: string | undefined,
  ): Promise<void> {
    const { address, maxEventBytes, fetch = globalThis.fetch as Fetch } = settings
    const aborter = new AbortController()
    this.#release = () => aborter.abort()
    try {
      const response = await fetch(address, requestInit(settings, headers, cursor, aborter.signal))
      const answer = judge(response, cursor !== undefined, clock.now())
      const reader = this.#abandoned || answer ? undefined : response.body?.getReader()
      if (!reader) {
        response.body?.cancel().catch(ignore)
        const { status } = response
        const message = `the server answered ${status}`
        this.#over(
          answer ? { ...answer, status, message } : { action: 'retry', code: 'STREAM_ENDED', message: 'no body' },
        )
        return
      }
      this.#release = () => {
        reader.cancel().catch(ignore)
        aborter.abort()
      }
      this.to.opened?.()
      const end = await readStream(reader, maxEventBytes, {
        bytes: () => (this.#abandoned ? undefined : this.to.bytes()),
        frame: (frame) => {
          if (!this.#abandoned) this.to.frame(frame)
        },
        retry: (delayMs) => {
          if (!this.#abandoned) this.to.retry(delayMs)
        },
      })
      if (end === 'ended')
        this.#over({ action: 'end', code: 'STREAM_ENDED', message: 'the stream ended without a word' })
      else {
        const message = `an event is over ${maxEventBytes} bytes (maxEventBytes)`
        this.#over({ action: 'retry', code: 'TOO_LARGE', message })
      }
    } catch (cause) {
      this.#over({ action: 'retry', code: 'NETWORK', message: 'the request failed or the stream broke', cause })
    }
  }

  #over(outcome: Outcome): void {
    if (!this.#abandoned) this.to.over(outcome)
  }
}

function ignore(): void {}
