import type { EventDefinitions } from '@entitycast/sse-protocol'
import { SubscriberError } from './error'
import type { EventSubscriber } from './subscriber'

/**
 * Calls `settle` once the subscriber is closed, with the error that closed it, or with none where the application did. Where the server had
 * stopped it before, that is now, unless `connect()` is called in this very turn.
 */
export function whenClosed<Definitions extends EventDefinitions>(
  updates: EventSubscriber<Definitions>,
  settle: (error: SubscriberError | undefined) => void,
): () => void {
  const look = (closed: boolean) => {
    const { error } = updates.getSnapshot()
    const stopped = error?.retrying === false ? error : undefined
    if (closed || stopped) settle(stopped)
  }
  void Promise.resolve().then(() => look(false))
  return updates.onChange(({ closed }) => look(closed))
}

/**
 * Waits until the stream is live, and what it could not prove has been dealt with. Does not connect. Nobody waits for a subscriber that the
 * server has stopped.
 *
 * @throws SubscriberError what the subscriber was stopped by, or `CLOSED`; the signal's reason
 * @example
 * updates.connect()
 * await ready(updates, { signal: AbortSignal.timeout(10_000) })
 */
export function ready<Definitions extends EventDefinitions>(
  updates: EventSubscriber<Definitions>,
  { signal }: { signal?: AbortSignal } = {},
): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = () => end(() => reject(signal?.reason))
    const end = (settle: () => void) => {
      for (const off of offs) off()
      signal?.removeEventListener('abort', abort)
      settle()
    }
    const offs = [
      updates.onChange(({ state }) => state === 'connected' && end(resolve)),
      whenClosed(updates, (error) => {
        const closed = () => new SubscriberError('CLOSED', 'closed before it was ready', { retrying: false })
        end(() => reject(error ?? closed()))
      }),
    ]
    signal?.addEventListener('abort', abort)
    if (signal?.aborted) abort()
    else if (updates.state === 'connected') end(resolve)
  })
}
