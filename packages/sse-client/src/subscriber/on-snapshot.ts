import type { ConnectionSnapshot } from './snapshot'
import type { EventSubscriber, Unsubscribe } from './subscriber'

/**
 * Shows what a UI shows of the connection: as it is now, and whenever it changes. What a binding for one more framework begins with.
 *
 * @returns ends it
 * @example
 * const off = onSnapshot(updates, ({ state }) => banner.toggleAttribute('hidden', state === 'connected'))
 */
export function onSnapshot(
  subscriber: Pick<EventSubscriber, 'getSnapshot' | 'onChange'>,
  show: (snapshot: ConnectionSnapshot) => unknown,
): Unsubscribe {
  const take = () => show(subscriber.getSnapshot())
  const off = subscriber.onChange(take)
  // Behind the subscription: nothing is missed between them.
  take()
  return off
}
