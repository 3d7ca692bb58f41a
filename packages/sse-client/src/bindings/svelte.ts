import { type ConnectionSnapshot, type ConnectionState, type EventSubscriber, onSnapshot } from '@entitycast/sse-client'
import type { EventDefinitions } from '@entitycast/sse-protocol'
import { derived, type Readable, readable } from 'svelte/store'

/**
 * Readable stores over one subscriber. Nothing here connects or closes it. Events need no store, and must not have one: `$store` shows the newest
 * value, and a burst has several. `subscribe` returns what `onMount` wants: `onMount(() => updates.subscribe('document:*', apply))`.
 */

/**
 * What a UI shows of the connection: as it is now, and whenever it changes. Listens only while somebody reads it.
 *
 * @example
 * const live = connection(updates)     // {$live.state}
 */
export function connection<Definitions extends EventDefinitions>(
  subscriber: EventSubscriber<Definitions>,
): Readable<ConnectionSnapshot> {
  return readable(subscriber.getSnapshot(), (set) => onSnapshot(subscriber, set))
}

/** The state as it is now, and each new one. */
export function connectionState<Definitions extends EventDefinitions>(
  subscriber: EventSubscriber<Definitions>,
): Readable<ConnectionState> {
  return derived(connection(subscriber), ({ state }) => state)
}
