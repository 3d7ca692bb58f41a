import { type Answer, judge } from '../retry/answer'
import type { Clock, Fetch, StreamBody } from '../seams/ports'
import type { SubscriberErrorCode } from './error'
import { ask, type HeadersContext, requestHeaders, type Settings } from './request'
import { readStream, type StreamListener } from './stream'

/** Why an attempt is over: the server's answer, or what went wrong. */
export interface Outcome extends Answer {
  readonly message: string
  readonly cause?: unknown
}

/** Who hears of an attempt. */
export interface AttemptListener extends StreamListener {
  /** The headers are asked for: with these words. */
  asks(): HeadersContext
  /** They are there, for this user. The result is the cursor that goes with the request. */
  leaves(identity: string | undefined): string | undefined | Promise<string | undefined>
  /** The response is a stream. */
  opened?(): void
  over(outcome: Outcome): void
}

/** One request, from its headers to the end of its stream. Once it is abandoned, nobody hears of it. */
export interface Attempt {
  /** Who hears of it: another one, when it takes the place of the stream before; nobody, once it is abandoned. */
  to: AttemptListener | undefined
  abandon(): void
}

export function startAttempt(settings: Settings, clock: Clock, to: AttemptListener): Attempt {
  const { address, maxEventBytes, credentials, fetch = globalThis.fetch as Fetch } = settings
  const aborter = new AbortController()
  let release: (() => void) | undefined
  const attempt: Attempt = {
    to,
    abandon() {
      attempt.to = undefined
      void release?.()
      aborter.abort()
    },
  }

  function over(code: SubscriberErrorCode, details: Partial<Outcome> & Pick<Outcome, 'message'>): void {
    attempt.to?.over({ action: 'retry', ...details, code })
  }

  /** Never rejects. */
  async function run(): Promise<void> {
    // Whoever connects, closes and connects in one turn (React's StrictMode does) makes one request.
    await undefined
    if (!attempt.to) return
    let headers: Record<string, string>
    let identity: string | undefined
    try {
      headers = await requestHeaders(settings, to.asks())
      identity = ask(settings.identity)
    } catch (cause) {
      over('HEADERS_FAILED', { message: 'headers() or identity() threw, or a header is not allowed', cause })
      return
    }
    if (!attempt.to) return
    const cursor = await to.leaves(identity)
    if (!attempt.to) return
    try {
      // In a header: addresses end up in logs, and in caches.
      if (cursor !== undefined) headers['last-event-id'] = cursor
      const response = await fetch(address, {
        method: 'GET',
        headers,
        cache: 'no-store',
        redirect: 'manual',
        signal: aborter.signal,
        credentials,
      })
      const answer = judge(response, cursor !== undefined, clock.now())
      const body = response.body as StreamBody
      if (answer || !attempt.to) {
        // Of a refusal there may be none.
        body?.cancel?.().catch(ignore)
        attempt.to?.over(answer as Answer)
        return
      }
      const reader = body.getReader()
      release = () => reader.cancel?.().catch(ignore)
      to.opened?.()
      const end = await readStream(reader, maxEventBytes, {
        bytes: () => attempt.to?.bytes(),
        frame: (frame) => attempt.to?.frame(frame),
        retry: (delayMs) => attempt.to?.retry(delayMs),
      })
      const tooLarge = `an event is over ${maxEventBytes} bytes (maxEventBytes)`
      over(end, { message: end === 'TOO_LARGE' ? tooLarge : 'it ended without a word' })
    } catch (cause) {
      over('NETWORK', { message: 'the request or the stream broke', cause })
    }
  }

  void run()
  return attempt
}

function ignore(): void {}
