import { HubError } from '@entitycast/sse-server'
import { ReconnectingLink } from '../seams/reconnecting-link'
import { reasonOf, type SessionListener } from './postgres-session'
import type { Wire } from './postgres-wire'

/**
 * The tables or functions are not there or are other ones than this session knows, the server is going, or is not the one that takes writes:
 * only a new wire's checks can tell what to do.
 */
const ANOTHER_SERVER = new Set(['42P01', '42883', '3F000', '0A000', '26000', 'XX000', '57P01', '57P02', '57P03'])

/**
 * Only reading is allowed: it was made a standby; or a host whose disk is nearly full has it so, for sessions that begin. Those are tried now
 * and then, and read meanwhile.
 */
const READ_ONLY = '25006'
const READ_MS = 5_000

export interface LinkOptions {
  readonly dial: (listener: SessionListener) => Wire
  /** It can be used. */
  readonly up: () => void
  readonly notified: SessionListener['notified']
  readonly timeoutMs: number
}

export type Link = ReconnectingLink<Wire>

/** Connects to PostgreSQL, now and after each loss. */
export function linkTo({ dial, up, notified, timeoutMs }: LinkOptions): Link {
  const link: Link = new ReconnectingLink({
    dial: (lost) => {
      const wire = dial({
        notified: (channel, payload) => {
          if (wire === link.wire) notified(channel, payload)
        },
        lost,
      })
      return wire
    },
    prepare: (wire) => wire.connect(),
    up,
    end: (wire, isClosed) => wire.end(isClosed),
    // Where statements are answered, and only too many of them wait, the wire is a good one.
    isSilent: (wire) => wire.silentMs >= timeoutMs * 0.9,
    timeoutMs,
    reasonOf,
    failed: (error, wire) => {
      if (error instanceof HubError) return error
      const reason = reasonOf(error)
      const isOver = reason === READ_ONLY ? link.heldMs > READ_MS : ANOTHER_SERVER.has(reason)
      if (isOver) link.drop(wire)
      return unavailable(`answered ${reason}`, reason)
    },
    refusalOf,
    unavailable,
    closed,
  })
  return link
}

/** @returns what a call gets after the end */
export function closed(): HubError {
  return new HubError('CLOSED', 'The adapter is closed')
}

/** What a call gets that was refused, or not answered. `sqlState` is there where the server has said why. */
export function unavailable(trouble: string, sqlState?: string): HubError & { sqlState?: string } {
  const error = new HubError('UNAVAILABLE', `The event log is not available: PostgreSQL ${trouble}`, {
    retryAfterMs: 5_000,
  })
  return sqlState === undefined ? error : Object.assign(error, { sqlState })
}

/** Each call gets an error of its own, with its own stack. */
function refusalOf(error: unknown): HubError | undefined {
  if (!(error instanceof HubError)) return undefined
  const { code, message, retryAfterMs } = error
  return new HubError(code, message, retryAfterMs === undefined ? {} : { retryAfterMs })
}
