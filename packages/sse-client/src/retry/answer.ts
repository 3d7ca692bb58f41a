import type { StreamResponse } from '../seams/ports'
import type { SubscriberErrorCode } from '../subscriber/error'

/** What a response means for the connection. */
export type Answer =
  /** Read it. */
  | { readonly action: 'read' }
  /** Come back later. */
  | { readonly action: 'retry'; readonly code: SubscriberErrorCode; readonly minimumMs: number }
  /** Come back at once, with fresh headers, or without the cursor; never twice in a row. */
  | { readonly action: 'refresh' | 'forget'; readonly code: SubscriberErrorCode }
  /** Do not come back. */
  | { readonly action: 'stop'; readonly code: SubscriberErrorCode }

const STOP: Readonly<Record<number, SubscriberErrorCode>> = {
  204: 'NO_CONTENT',
  403: 'FORBIDDEN',
  404: 'NOT_FOUND',
}

/** These 4xx say "later", not "no". */
const LATER = [408, 425, 429]

/** The status table. `resuming`: whether the request carried a cursor. */
export function judge(response: StreamResponse, resuming: boolean, nowMs: number): Answer {
  const { status, headers } = response
  if (response.redirected || response.type === 'opaqueredirect' || (status >= 300 && status < 400)) {
    return { action: 'stop', code: 'REDIRECTED' }
  }
  const stop = STOP[status]
  if (stop) return { action: 'stop', code: stop }
  if (status === 401) return { action: 'refresh', code: 'UNAUTHORIZED' }
  // 409: the cursor cannot be used. 431: the headers are too large, and the cursor is the one header that can be done without.
  if (resuming && (status === 409 || status === 431)) return { action: 'forget', code: 'CURSOR_REFUSED' }
  if (status >= 400 && status < 500 && !LATER.includes(status)) return { action: 'stop', code: 'REFUSED' }
  if (status === 200) {
    const type = headers.get('content-type')?.split(';')[0]?.trim().toLowerCase()
    if (type === 'text/event-stream') return { action: 'read' }
    return { action: 'retry', code: 'NOT_A_STREAM', minimumMs: 0 }
  }
  return { action: 'retry', code: 'UNAVAILABLE', minimumMs: parseRetryAfter(headers.get('retry-after'), nowMs) }
}

/** Milliseconds that a `Retry-After` asks for: seconds, or a date. 0 where it is neither. */
export function parseRetryAfter(value: string | null, nowMs: number): number {
  const text = value?.trim()
  if (!text) return 0
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - nowMs
  return ms > 0 ? ms : 0
}
