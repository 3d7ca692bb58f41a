import {
  type ConnectionSnapshot,
  type ConnectionState,
  type EventSubscriber,
  onSnapshot,
  type Resync,
} from '@entitycast/sse-client'
import type {
  EventDefinitions,
  EventForPattern,
  EventForType,
  PatternOf,
  TypePatternOf,
} from '@entitycast/sse-protocol'
import { distinctUntilChanged, map, Observable } from 'rxjs'

/**
 * Observables over one subscriber. Nothing here connects or closes it; each subscription of an observable is one handler, and ends with it.
 */

/**
 * The entity events that the pattern names. Never completes, never errors: what goes wrong is the subscriber's `onError`.
 *
 * @throws ProtocolError `INVALID_PATTERN`, to whoever subscribes
 * @example
 * const rows$ = fromPattern(updates, 'document:*').pipe(scan((rows, event) => applyEntityEvent(rows, event), loaded))
 */
export function fromPattern<Definitions extends EventDefinitions, Pattern extends PatternOf<Definitions>>(
  subscriber: EventSubscriber<Definitions>,
  pattern: Pattern,
): Observable<EventForPattern<Definitions, Pattern>> {
  return new Observable((observer) => subscriber.subscribe(pattern, (event) => observer.next(event)))
}

/**
 * The events whose type the type pattern names.
 *
 * @throws ProtocolError `INVALID_PATTERN`, to whoever subscribes
 * @example
 * fromType(updates, 'lock:*').subscribe(({ type, data }) => showLock(type, data))
 */
export function fromType<Definitions extends EventDefinitions, const TypePattern extends TypePatternOf<Definitions>>(
  subscriber: EventSubscriber<Definitions>,
  typePattern: TypePattern,
): Observable<EventForType<Definitions, TypePattern>> {
  return new Observable((observer) => subscriber.on(typePattern, (event) => observer.next(event)))
}

/** Says when events may have been missed: load the data again. */
export function resync$<Definitions extends EventDefinitions>(
  subscriber: EventSubscriber<Definitions>,
): Observable<Resync> {
  return new Observable((observer) => subscriber.onResync((resync) => observer.next(resync)))
}

/** Everything that a UI shows of the connection: as it is now, and whenever it changes. */
export function connection$<Definitions extends EventDefinitions>(
  subscriber: EventSubscriber<Definitions>,
): Observable<ConnectionSnapshot> {
  return new Observable<ConnectionSnapshot>((observer) =>
    onSnapshot(subscriber, (snapshot) => observer.next(snapshot)),
  ).pipe(distinctUntilChanged())
}

/** The state as it is now, and each new one. */
export function connectionState$<Definitions extends EventDefinitions>(
  subscriber: EventSubscriber<Definitions>,
): Observable<ConnectionState> {
  return connection$(subscriber).pipe(
    map(({ state }) => state),
    distinctUntilChanged(),
  )
}
