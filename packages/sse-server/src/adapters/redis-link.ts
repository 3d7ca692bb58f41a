import { HubError } from '@entitycast/sse-server'
import { ReconnectingLink } from '../seams/reconnecting-link'
import { reasonOf, type Wire, type WireListener } from './redis-client'
import { NO_PAST } from './redis-script'

export type Link = ReconnectingLink<Wire>

export interface LinkOptions {
  readonly dial: (listener: WireListener) => Wire
  /** What a new wire needs before anybody may use it. */
  readonly prepare: (wire: Wire) => Promise<unknown>
  /** It can be used. */
  readonly up: () => void
  readonly message: WireListener['message']
  readonly timeoutMs: number
}

/** Connects to Redis, now and after each loss. */
export function linkTo({ dial, prepare, up, message, timeoutMs }: LinkOptions): Link {
  const link: Link = new ReconnectingLink({
    dial: (lost) => {
      const wire = dial({
        message: (channel, text) => {
          if (wire === link.wire) message(channel, text)
        },
        lost,
      })
      return wire
    },
    prepare: (wire) => wire.connect().then(() => prepare(wire)),
    up,
    end: (wire) => wire.destroy(),
    // Less than the whole time: a call may have waited for its turn before it was sent.
    isSilent: (_, since) => performance.now() - since >= timeoutMs * 0.6,
    timeoutMs,
    reasonOf,
    failed: (error, wire) => {
      if (error instanceof HubError) return error
      const reason = reasonOf(error)
      if (reason === NO_PAST) return noPast()
      // After a failover this is a replica: whoever is the master now is found by dialling.
      if (reason === 'READONLY') link.drop(wire)
      return unavailable(`answered ${reason}`)
    },
    refusalOf: (error) => (error instanceof NoPast ? noPast() : undefined),
    unavailable,
    closed,
  })
  return link
}

class NoPast extends Error {}

/** Whether a server says which past it has, where it may be asked outside of the scripts, which look each time. */
export async function checkPast(wire: Wire): Promise<void> {
  const answer = await wire.send('', ['INFO', 'replication']).catch(() => undefined)
  if (answer !== undefined && !/master_replid:\w/.test(String(answer))) throw new NoPast()
}

function noPast(): HubError {
  return new HubError(
    'UNSUPPORTED',
    'This Redis does not say which past it has (INFO replication has no master_replid), and so not whether a restart has lost events. Where one loses nothing, say durable: true',
  )
}

/** @returns what a call gets after the end */
export function closed(): HubError {
  return new HubError('CLOSED', 'The adapter is closed')
}

function unavailable(trouble: string): HubError {
  return new HubError('UNAVAILABLE', `The event log is not available: Redis ${trouble}`, { retryAfterMs: 5_000 })
}
