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
  readonly status?: number
  /** The server does not want us back before. */
  readonly minimumMs?: number | undefined
}

const STOP: Readonly<Record<number, SubscriberErrorCode>> = {
  204: 'NO_CONTENT',
  403: 'FORBIDDEN',
  404: 'NOT_FOUND',
}

/** These 4xx say "later", not "no". */
const LATER = [408, 425, 429]

const STREAM = /^\s*text\/event-stream\s*(;|$)/i

/** The status table. Nothing: it is a stream. `resuming`: whether the request carried a cursor. */
export function judge(response: StreamResponse, resuming: boolean, nowMs: number): Answer | undefined {
  const { status, headers } = response
  const isRedirect = response.redirected || response.type === 'opaqueredirect' || (status >= 300 && status < 400)
  if (isRedirect) return answer('REDIRECTED', 'stop')
  const stop = STOP[status]
  if (stop) return answer(stop, 'stop')
  if (status === 401) return answer('UNAUTHORIZED', 'refresh')
  // 409: the cursor cannot be used. 431: the headers are too large, and the cursor is the one header that can be done without.
  if (resuming && (status === 409 || status === 431)) return answer('CURSOR_REFUSED', 'forget')
  if (status >= 400 && status < 500 && !LATER.includes(status)) return answer('REFUSED', 'stop')
  if (status !== 200) return answer('UNAVAILABLE', 'retry', parseRetryAfter(headers.get('retry-after'), nowMs))
  return STREAM.test(headers.get('content-type') ?? '') ? undefined : answer('NOT_A_STREAM', 'retry')
}

function answer(code: SubscriberErrorCode, action: Answer['action'], minimumMs?: number): Answer {
  return { action, code, minimumMs }
}

/** Milliseconds that a `Retry-After` asks for: seconds, or a date. 0 where it is neither. */
export function parseRetryAfter(value: string | null, nowMs: number): number {
  const text = value?.trim()
  if (!text) return 0
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - nowMs
  return ms > 0 ? ms : 0
}
