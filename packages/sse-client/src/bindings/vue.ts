import { type ConnectionSnapshot, type EventSubscriber, onSnapshot, type Resync } from '@entitycast/sse-client'
import type {
  EventDefinitions,
  EventForPattern,
  EventForType,
  PatternOf,
  TypePatternOf,
} from '@entitycast/sse-protocol'
import {
  getCurrentInstance,
  type MaybeRefOrGetter,
  onMounted,
  type ShallowRef,
  shallowReadonly,
  shallowRef,
  toValue,
  watch,
} from 'vue'

/**
 * Composables over one subscriber: in `setup`, or in an effect scope. On a server they ask for nothing. Nothing here connects or closes it.
 */

/**
 * What a UI shows of the connection.
 *
 * @example
 * const connection = useConnection(updates)     // <p>{{ connection.state }}</p>
 */
export function useConnection<Definitions extends EventDefinitions>(
  subscriber: EventSubscriber<Definitions>,
): Readonly<ShallowRef<ConnectionSnapshot>> {
  const snapshot = shallowRef(subscriber.getSnapshot())
  follow(null, () => onSnapshot(subscriber, (now) => (snapshot.value = now)))
  return shallowReadonly(snapshot)
}

/** Calls the handler for each entity event that the pattern names; the pattern may be a ref or a getter. */
export function useEntityUpdates<Definitions extends EventDefinitions, const Pattern extends PatternOf<Definitions>>(
  subscriber: EventSubscriber<Definitions>,
  pattern: MaybeRefOrGetter<Pattern>,
  handler: (event: EventForPattern<Definitions, Pattern>) => unknown,
): void {
  follow(pattern, (now) => subscriber.subscribe(now, handler))
}

/** Calls the handler for each event whose type the type pattern names: `lock:acquired`, `lock:*`, `*`. */
export function useEvents<Definitions extends EventDefinitions, const TypePattern extends TypePatternOf<Definitions>>(
  subscriber: EventSubscriber<Definitions>,
  typePattern: MaybeRefOrGetter<TypePattern>,
  handler: (event: EventForType<Definitions, TypePattern>) => unknown,
): void {
  follow(typePattern, (now) => subscriber.on(now, handler))
}

/** Calls the handler when events may have been missed: load the data again. */
export function useResync<Definitions extends EventDefinitions>(
  subscriber: EventSubscriber<Definitions>,
  handler: (resync: Resync) => unknown,
): void {
  follow(null, () => subscriber.onResync(handler))
}

function follow<Value>(source: MaybeRefOrGetter<Value>, subscribe: (value: Value) => () => void): void {
  // A component on a server is never mounted, and never disposed of.
  const whenLive = getCurrentInstance() ? onMounted : (start: () => void) => start()
  const source$ = () => toValue(source)
  // At once, not with the next rendering: an event in between would be lost.
  whenLive(() => watch(source$, (now, _, onCleanup) => onCleanup(subscribe(now)), { immediate: true, flush: 'sync' }))
}
