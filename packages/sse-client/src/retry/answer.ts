import type { StreamResponse } from '../seams/ports'
import type { SubscriberErrorCode } from '../subscriber/error'

/** What a response that is no stream means for the connection. */
export interface Answer {
  /**
   * - `retry`: come back later
   * - `refresh`, `forget`: come back at once, with fresh headers, or without the cursor; never twice in a row
   * - `stop`: do not come back
   */
  readonly action: 'retry' | 'refresh' | 'forget' | 'stop'
  readonly code: SubscriberErrorCode
  readonly message: string
  readonly status?: number
  /** The server does not want us back before. */
  readonly minimumMs?: number | undefined
}

const STOP: Readonly<Record<number, SubscriberErrorCode>> = {
  403: 'FORBIDDEN',
  404: 'NOT_FOUND',
}

/** These 4xx say "later", not "no". */
const LATER = [408, 425, 429]

const STREAM = /^\s*text\/event-stream\s*(;|$)/i

/** The status table. Nothing: it is a stream. `resuming`: whether the request carried a cursor. */
export function judge(response: StreamResponse, resuming: boolean, nowMs: number): Answer | undefined {
  const { status, headers } = response
  const answer = (code: SubscriberErrorCode, action: Answer['action'], what = 'see its body'): Answer => ({
    action,
    code,
    status,
    message: `status ${status}: ${what}`,
    minimumMs: parseRetryAfter(headers.get('retry-after'), nowMs),
  })
  // A page is told 0 instead of 3xx.
  if (response.redirected || !status || (status >= 300 && status < 400))
    return answer('REDIRECTED', 'stop', 'no redirect is followed')
  if (status === 204) return answer('NO_CONTENT', 'stop', 'do not come back')
  if (status === 401) return answer('UNAUTHORIZED', 'refresh')
  // 409: the cursor cannot be used. 431: the headers are too large, and the cursor is the one header that can be done without.
  if (resuming && (status === 409 || status === 431)) return answer('CURSOR_REFUSED', 'forget')
  if (status >= 400 && status < 500 && !LATER.includes(status)) return answer(STOP[status] ?? 'REFUSED', 'stop')
  if (status !== 200) return answer('UNAVAILABLE', 'retry')
  if (!STREAM.test(headers.get('content-type') ?? '')) return answer('NOT_A_STREAM', 'retry')
  // React Native's own is like that.
  return response.body ? undefined : answer('NOT_A_STREAM', 'retry', 'fetch gives no body; expo/fetch does')
}

/** Milliseconds that a `Retry-After` asks for: seconds, or a date. 0 where it is neither. */
export function parseRetryAfter(value: string | null, nowMs: number): number {
  const text = (value ?? '').trim()
  const ms = /\D/.test(text) ? Date.parse(text) - nowMs : Number(text) * 1000
  return ms > 0 ? ms : 0
}
