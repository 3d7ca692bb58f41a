import { type ConnectionSnapshot, type EventSubscriber, onSnapshot, type Resync } from '@entitycast/sse-client'
import type {
  EventDefinitions,
  EventForPattern,
  EventForType,
  PatternOf,
  TypePatternOf,
} from '@entitycast/sse-protocol'
import { type Accessor, createEffect, createSignal, onCleanup, onMount } from 'solid-js'

/**
 * Primitives over one subscriber, each for as long as its owner lives. On a server they ask for nothing. Nothing here connects or closes it.
 */

/**
 * What a UI shows of the connection.
 *
 * @example
 * const connection = useConnection(updates)     // <p>{connection().state}</p>
 */
export function useConnection<Definitions extends EventDefinitions>(
  subscriber: EventSubscriber<Definitions>,
): Accessor<ConnectionSnapshot> {
  const [snapshot, setSnapshot] = createSignal(subscriber.getSnapshot())
  onMount(() => onCleanup(onSnapshot(subscriber, setSnapshot)))
  return snapshot
}

/** Calls the handler for each entity event that the pattern names. The pattern may be an accessor: another pattern is another subscription. */
export function useEntityUpdates<Definitions extends EventDefinitions, const Pattern extends PatternOf<Definitions>>(
  subscriber: EventSubscriber<Definitions>,
  pattern: Pattern | Accessor<Pattern>,
  handler: (event: EventForPattern<Definitions, Pattern>) => unknown,
): void {
  createEffect(() => onCleanup(subscriber.subscribe(typeof pattern === 'function' ? pattern() : pattern, handler)))
}

/** Calls the handler for each event whose type the type pattern names: `lock:acquired`, `lock:*`, `*`. */
export function useEvents<Definitions extends EventDefinitions, const TypePattern extends TypePatternOf<Definitions>>(
  subscriber: EventSubscriber<Definitions>,
  typePattern: TypePattern,
  handler: (event: EventForType<Definitions, TypePattern>) => unknown,
): void {
  onMount(() => onCleanup(subscriber.on(typePattern, handler)))
}

/** Calls the handler when events may have been missed: load the data again. */
export function useResync<Definitions extends EventDefinitions>(
  subscriber: EventSubscriber<Definitions>,
  handler: (resync: Resync) => unknown,
): void {
  onMount(() => onCleanup(subscriber.onResync(handler)))
}
