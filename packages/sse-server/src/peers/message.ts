import { DEFAULT_CHANNEL } from '@entitycast/sse-protocol'
import type { ConnectionFilter } from '../feed/connection'
import type { HubStats } from '../hub/tally'
import type { LogRecord } from '../seams/adapter'

/**
 * What the hubs of a cluster tell each other in the control log. `from` is an instance's id; `at` is the sender's monotonic clock, and means
 * something to itself only.
 */
export type ControlMessage = { readonly from: string } & (
  | { readonly kind: 'hello'; readonly at?: number }
  | { readonly kind: 'alive'; readonly at?: number }
  | { readonly kind: 'bye' }
  | { readonly kind: 'end'; readonly filter: ConnectionFilter; readonly reason: 'rotated' | 'revoked' }
  | { readonly kind: 'ask'; readonly question: string }
  | { readonly kind: 'answer'; readonly question: string; readonly stats: HubStats }
)

const PREFIX = 'hub:'

/** A message of hubs among themselves as a record of a log. */
export function encodeMessage({ kind, ...rest }: { readonly kind: string }): LogRecord {
  return { type: `${PREFIX}${kind}`, data: JSON.stringify(rest), channel: DEFAULT_CHANNEL }
}

/** The message of a record; nothing where it is not one. Whatever else it holds is for the reader to check. */
export function decodeMessage({ type, data }: LogRecord): { readonly kind: string; readonly from: string } | undefined {
  if (!type.startsWith(PREFIX)) return undefined
  try {
    const message = JSON.parse(data)
    return typeof message?.from === 'string' ? { ...message, kind: type.slice(PREFIX.length) } : undefined
  } catch {
    return undefined
  }
}
