import {
  computed,
  DestroyRef,
  type EnvironmentProviders,
  inject,
  makeEnvironmentProviders,
  NgZone,
  PLATFORM_ID,
  type Signal,
  signal,
} from '@angular/core'
import {
  type ConnectionSnapshot,
  type ConnectionState,
  EventSubscriber,
  onSnapshot,
  type PauseReason,
  type Resync,
  type SubscriberOptions,
} from '@entitycast/sse-client'
import type {
  EventDefinitions,
  EventForPattern,
  EventForType,
  PatternOf,
  TypePatternOf,
} from '@entitycast/sse-protocol'

/**
 * One stream for an application, without decorators, so that no compiler of Angular's is needed to publish it. The stream, its timers and every
 * handler run outside the zone: an event that changes no signal checks no view. Handlers set signals.
 */

/** A subscriber that the injector makes, connects and closes; or one that the application made, connects and closes by itself. */
export type EntitycastOptions =
  | (SubscriberOptions & { url: string | URL; subscriber?: undefined })
  | { subscriber: EventSubscriber }

/**
 * The injectable service. The first who asks for it opens the stream, in a browser; on a server it stays `disconnected`.
 *
 * @example
 * readonly live = inject(Entitycast).connectionState      // {{ live() }}
 * readonly typed = inject(Entitycast<typeof events>).subscriber
 */
export class Entitycast<Definitions extends EventDefinitions = EventDefinitions> {
  /** What a UI shows of the connection. */
  readonly connection: Signal<ConnectionSnapshot>
  readonly connectionState: Signal<ConnectionState>

  /** Made by {@link provideEntitycast}. */
  constructor(
    readonly subscriber: EventSubscriber<Definitions>,
    destroyed: DestroyRef,
  ) {
    const connection = signal(subscriber.getSnapshot())
    destroyed.onDestroy(onSnapshot(subscriber, connection.set))
    this.connection = connection.asReadonly()
    this.connectionState = computed(() => connection().state)
  }
}

/** Whatever opens a stream, also the click on a button later, does so outside the zone: all that follows stays where it began. */
class OutsideSubscriber extends EventSubscriber {
  readonly #zone: NgZone

  constructor({ url, ...options }: SubscriberOptions & { url: string | URL }, zone: NgZone) {
    super(url, options)
    this.#zone = zone
  }

  override connect(): void {
    this.#zone.runOutsideAngular(() => super.connect())
  }

  override reconnect(): void {
    this.#zone.runOutsideAngular(() => super.reconnect())
  }

  override resume(reason: Exclude<PauseReason, 'closed'>): void {
    this.#zone.runOutsideAngular(() => super.resume(reason))
  }
}

/**
 * Provides {@link Entitycast}, for an application or for a route. The end of that injector closes the stream.
 *
 * @example
 * bootstrapApplication(App, { providers: [provideEntitycast({ url: '/api/events/stream', projectId, headers })] })
 */
export function provideEntitycast(options: EntitycastOptions): EnvironmentProviders {
  const useFactory = () => {
    const destroyed = inject(DestroyRef)
    if (options.subscriber) return new Entitycast(options.subscriber, destroyed)
    const subscriber = new OutsideSubscriber(options, inject(NgZone))
    const service = new Entitycast(subscriber, destroyed)
    if (inject(PLATFORM_ID) === 'browser') subscriber.connect()
    destroyed.onDestroy(() => subscriber.close())
    return service
  }
  return makeEnvironmentProviders([{ provide: Entitycast, useFactory }])
}

/**
 * Calls the handler for each entity event that the pattern names, until whatever is being made here is destroyed.
 *
 * @example
 * constructor() { injectEntityUpdates('document:*', (event) => this.rows.update((rows) => applyEntityEvent(rows, event))) }
 */
export function injectEntityUpdates<
  Definitions extends EventDefinitions = EventDefinitions,
  const Pattern extends PatternOf<Definitions> = PatternOf<Definitions>,
>(pattern: Pattern, handler: (event: EventForPattern<Definitions, Pattern>) => unknown): void {
  inject(DestroyRef).onDestroy(inject(Entitycast<Definitions>).subscriber.subscribe(pattern, handler))
}

/** Calls the handler for each event whose type the type pattern names: `lock:acquired`, `lock:*`, `*`. */
export function injectEvents<const TypePattern extends TypePatternOf<EventDefinitions>>(
  typePattern: TypePattern,
  handler: (event: EventForType<EventDefinitions, TypePattern>) => unknown,
): void {
  inject(DestroyRef).onDestroy(inject(Entitycast).subscriber.on(typePattern, handler))
}

/** Calls the handler when events may have been missed: load the data again. */
export function injectResync(handler: (resync: Resync) => unknown): void {
  inject(DestroyRef).onDestroy(inject(Entitycast).subscriber.onResync(handler))
}
