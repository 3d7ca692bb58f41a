import { type Answer, judge } from '../retry/answer'
import type { Clock, Fetch } from '../seams/ports'
import type { SubscriberErrorCode } from './error'
import type { StreamFrame } from './parser'
import { currentIdentity, type HeadersContext, requestHeaders, requestInit, type Settings } from './request'
import { readStream } from './stream'

/** Why an attempt is over: the server's answer, or what went wrong. */
export interface Outcome extends Answer {
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
      this.#over('HEADERS_FAILED', 'headers() or identity() threw, or a header is not allowed', { cause })
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
        if (answer) this.#over(answer.code, `status ${status}: see its body`, { ...answer, status })
        else this.#over('STREAM_ENDED', 'no body')
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
      if (end === 'ended') this.#over('STREAM_ENDED', 'the stream ended without a word')
      else this.#over('TOO_LARGE', `an event is over ${maxEventBytes} bytes (maxEventBytes)`)
    } catch (cause) {
      this.#over('NETWORK', 'the request failed or the stream broke', { cause })
    }
  }

  #over(code: SubscriberErrorCode, message: string, details: Partial<Outcome> = {}): void {
    if (!this.#abandoned) this.to.over({ action: 'retry', ...details, code, message })
  }
}

function ignore(): void {}
