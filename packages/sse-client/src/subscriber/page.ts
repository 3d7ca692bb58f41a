import type { Ports } from '../seams/ports'
import type { PauseReason } from './phase'
import type { SubscriberOptions } from './request'

/** What the page's life means for a connection. */
export interface PageFollower {
  pause(reason: PauseReason): void
  resume(reason: PauseReason): void
  wake(restored: boolean): void
}

/** Follows the page from `connect()` to `close()`; the result ends that, with the timer that may run. */
export function followPage(
  { clock, wakes, page }: Ports,
  { hidden = 'keep', signal }: Pick<SubscriberOptions, 'hidden' | 'signal'>,
  to: PageFollower,
): () => void {
  const afterMs = hidden === 'close' ? 0 : hidden === 'keep' ? undefined : hidden.closeAfterMs
  let cancel: (() => void) | undefined
  const abort = () => to.pause('closed')
  signal?.addEventListener('abort', abort)
  const unwake = wakes((restored) => to.wake(restored))
  const unpage = page?.({
    hidden: (isHidden) => {
      cancel?.()
      if (!isHidden) to.resume('hidden')
      else if (afterMs === 0) to.pause('hidden')
      else if (afterMs !== undefined) cancel = clock.after(afterMs, () => to.pause('hidden'))
    },
    away: (isAway) => (isAway ? to.pause('frozen') : to.resume('frozen')),
  })
  return () => {
    cancel?.()
    signal?.removeEventListener('abort', abort)
    unwake()
    unpage?.()
  }
}
