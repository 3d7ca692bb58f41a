import {
  type EventDefinitions,
  type EventForPattern,
  type EventForType,
  HandlerIndex,
  type PatternOf,
  type ProjectEvent,
  type TypePatternOf,
} from '@entitycast/sse-protocol'
import { browserPage, type Ports, pageWakes, systemClock } from '../seams/ports'
import { type Connection, createConnection } from './connection'
import { createDelivery, type Delivery } from './delivery'
import type { SubscriberError } from './error'
import type { Transition } from './journal'
import { createListeners } from './listeners'
import type { ConnectionState, PauseReason } from './phase'
import { checkOptions, type Settings, type SubscriberOptions } from './request'
import type { Resync } from './resync-gate'
import { type ConnectionSnapshot, nextSnapshot } from './snapshot'
import { errorOf } from './verdict'

/** Takes a handler out. Doing it twice does nothing. */
export type Unsubscribe = () => void

/** `[Symbol.dispose]`, for whoever compiles with a library that has it: with another one there is no such name, and no error. */
type ClosedByUsing = { [Name in SymbolConstructor['dispose' & keyof SymbolConstructor] & symbol]: () => void }

export interface EventSubscriber<Definitions extends EventDefinitions = EventDefinitions> extends ClosedByUsing {
  /** Never there. For types: what a function of the other half, ESM or CommonJS, learns the definitions from. */
  readonly '~definitions'?: Definitions
}

/**
 * Follows one project's events, and never lies about being up to date: it reconnects by itself and goes on where it was; where
 * that cannot be proven, `onResync` handlers are told before any later event.
 *
 * Nothing runs before `connect()`, and nothing after `close()`, which `using` calls too. In between it keeps a Node process alive, which
 * `NodeSubscriber` of `@entitycast/sse-client/node` leaves to you.
 *
 * @example
 * const updates = new EventSubscriber('/api/events/stream', { projectId, headers: async () => ({ authorization: `Bearer ${await token()}` }) })
 * updates.subscribe('document:*', (event) => { rows = applyEntityEvent(rows, event) })
 * updates.onResync(() => reload())
 * updates.connect()
 */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: the constructor defines what that adds, where the platform has the symbol
export class EventSubscriber<Definitions extends EventDefinitions = EventDefinitions> {
  readonly #settings: Settings
  readonly #connection: Connection
  readonly #delivery: Delivery
  readonly #handlers = new HandlerIndex()
  readonly #stateListeners = createListeners<ConnectionState>()
  readonly #resyncListeners = createListeners<Resync>()
  readonly #errorListeners = createListeners<SubscriberError>()
  readonly #logged = new Set<string>()
  readonly #changeListeners = createListeners<ConnectionSnapshot>()
  #snapshot: ConnectionSnapshot | undefined
  #told: ConnectionState = 'disconnected'
  #toldSnapshot: ConnectionSnapshot
  #lastEventAt: number | undefined

  /**
   * @param url the stream's address; in a page it may be relative. A server of another origin must allow the headers `Authorization`,
   * `Last-Event-ID` and `X-Project-Id` (the hub's option `cors` does)
   * @param ports time, chance and the page's events instead of the platform's: for tests and simulations
   * @throws SubscriberError `INVALID_OPTION`
   */
  constructor(url: string | URL, options: SubscriberOptions = {}, ports: Partial<Ports> = {}) {
    this.#settings = checkOptions(url, options)
    const { clock = systemClock, random = Math.random, wakes = pageWakes, page = browserPage } = ports
    const given = { clock, random, wakes, page }
    // A clock that is asked for each event costs more than the handler is found for: those of one turn share a moment.
    let turnAt: number | undefined
    const now = () => {
      if (turnAt === undefined) {
        turnAt = clock.now()
        // Fake timers, which tests of pages have, stop the time of `queueMicrotask`, and not that of promises.
        void Promise.resolve().then(() => {
          turnAt = undefined
        })
      }
      return turnAt
    }
    const to = {
      event: (event: ProjectEvent) => {
        this.#lastEventAt = now()
        this.#handlers.dispatch(event, this.#handlerFailed)
      },
      resync: (resync: Resync) => {
        if (this.#resyncListeners.size() === 0) {
          const message = `events may have been missed (${resync.reason}): no onResync handler`
          this.#report(errorOf({ code: 'RESYNC_UNHEARD', message }))
        }
        return this.#resyncListeners.tell(resync, (cause, wasPromised) => {
          this.#handlerFailed(cause)
          // The data was not loaded: it is as due as before.
          if (wasPromised) delivery.owe(resync.reason)
        })
      },
      moved: () => this.#moved(),
      failed: (error: SubscriberError) => this.#report(error),
    }
    const delivery: Delivery = createDelivery(this.#settings, given, () => connection, to)
    const connection = createConnection(this.#settings, given, delivery, to)
    this.#delivery = delivery
    this.#connection = connection
    this.#toldSnapshot = this.getSnapshot()
    // Not a method: a class whose names depend on the platform cannot be left out of a bundle.
    const { dispose } = Symbol as { dispose?: symbol }
    if (dispose) Object.defineProperty(this, dispose, { value: () => this.close() })
  }

  /** Where the connection is. `connected` only once the server has said so, and a resync, if one is due, was told. */
  get state(): ConnectionState {
    const { state } = this.#connection.shown()
    return state === 'connected' && this.#delivery.isResyncing() ? 'resyncing' : state
  }

  /** The place up to which handlers have been given everything: `since` for another subscriber. None before the first stream. */
  get cursor(): string | undefined {
    return this.#delivery.cursor()
  }

  /** When handlers were last given an event, in milliseconds since 1970. */
  get lastEventAt(): number | undefined {
    return this.#lastEventAt
  }

  /**
   * What a UI shows of the connection: the same object for as long as nothing but {@link lastEventAt} changes. With `onChange` it is the
   * seam for bindings: both fit `useSyncExternalStore`, a store's `subscribe`, a signal.
   *
   * @example
   * const { state, nextRetryAt } = useSyncExternalStore((changed) => updates.onChange(changed), () => updates.getSnapshot())
   */
  getSnapshot(): ConnectionSnapshot {
    const { state } = this
    const shown = { ...this.#connection.shown(), state, lastEventAt: this.#lastEventAt, role: 'single' } as const
    this.#snapshot = nextSnapshot(this.#snapshot, shown)
    return this.#snapshot
  }

  /**
   * Calls the listener with each new snapshot. Several changes in one step are told once. It comes after `onError`, and before `onState`
   * for the same step.
   */
  onChange(listener: (snapshot: ConnectionSnapshot) => unknown): Unsubscribe {
    return this.#changeListeners.add(listener)
  }

  /** Opens the stream, and keeps it open. Does nothing where that is already so. After `close()` it goes on at the cursor. */
  connect(): void {
    this.#connection.connect()
  }

  /**
   * Ends the stream. No handler is called for a later event, and no timer or request is left. The other handlers of an event
   * that is being delivered still get it.
   */
  close(): void {
    this.#connection.close()
  }

  /**
   * Another stream at once, for a button: it waits neither for the delay nor for what the server has asked for. After `close()`, or after
   * the server has stopped it, it is `connect()`. While something else than that keeps it closed, it does nothing.
   */
  reconnect(): void {
    this.#connection.reconnect()
  }

  /**
   * Closes the stream for a reason of the application's, beside those that the subscriber knows by itself; the cursor is kept. It is
   * opened again when no reason is left, and `resume()` never opens what `close()` has closed.
   *
   * @example
   * meeting.onJoin(() => updates.pause('disabled'))
   * meeting.onLeave(() => updates.resume('disabled'))
   */
  pause(reason: Exclude<PauseReason, 'closed'>): void {
    this.#connection.pause(reason)
  }

  /** Takes a reason back. */
  resume(reason: Exclude<PauseReason, 'closed'>): void {
    this.#connection.resume(reason)
  }

  /** Why there is no stream; empty while one is wanted. */
  get pauses(): readonly PauseReason[] {
    return this.#connection.pauses
  }

  /**
   * Calls the handler for each entity event that the pattern names: `*`, `document:*`, `document:doc_1`. Does not connect.
   * What a handler throws or rejects with goes to `onError`.
   *
   * @throws ProtocolError `INVALID_PATTERN`
   */
  subscribe<Pattern extends PatternOf<Definitions>>(
    pattern: Pattern,
    handler: (event: EventForPattern<Definitions, Pattern>) => unknown,
  ): Unsubscribe {
    return this.#handlers.addPattern(pattern, handler as (event: ProjectEvent) => void)
  }

  /**
   * Calls the handler for each event whose type the type pattern names: `lock:acquired`, `lock:*`, `entity.deleted`, `*` for all.
   *
   * @throws ProtocolError `INVALID_PATTERN`
   */
  on<const TypePattern extends TypePatternOf<Definitions>>(
    typePattern: TypePattern,
    handler: (event: EventForType<Definitions, TypePattern>) => unknown,
  ): Unsubscribe {
    return this.#handlers.addType(typePattern, handler as (event: ProjectEvent) => void)
  }

  /**
   * Calls the handler when events may have been missed: load the data again. It comes before any later event, and once for each such gap.
   *
   * Where the handler returns a promise, the state is `resyncing` until it settles, or until `resyncTimeoutMs` has passed, and events wait.
   * They come after it, so that rows which compare versions (`applyEntityEvent` does) end up right. If more come than may be held back
   * (10,000, or `maxEventBytes`), they are dropped, and one more resync follows. A resync less than 2 s after the one before waits, for
   * longer each time; those that come meanwhile are one with it.
   *
   * Where the promise rejects, the data was not loaded: `onError` hears of it, the state stays `resyncing`, and the handlers are called again after about 2 s,
   * then 4, and so on up to a minute, by chance half as long or half as much again. A handler whose failure must keep nothing back catches it itself.
   *
   * @example
   * updates.onResync(async () => {
   *   rows = await load()          // rejects where the server answers 503: called again, and nobody takes the old rows for new ones
   * })
   */
  onResync(handler: (resync: Resync) => unknown): Unsubscribe {
    return this.#resyncListeners.add(handler)
  }

  /** Calls the handler with each new state. */
  onState(handler: (state: ConnectionState) => unknown): Unsubscribe {
    return this.#stateListeners.add(handler)
  }

  /** Calls the handler with whatever goes wrong. Without one, each code is written to the console once. */
  onError(handler: (error: SubscriberError) => unknown): Unsubscribe {
    return this.#errorListeners.add(handler)
  }

  /** The last 100 steps of the connection, oldest first, for a bug report. Nothing in it is secret: no event, no header, no address. */
  dump(): Transition[] {
    return [...this.#connection.journal]
  }

  /** For a subclass whose snapshot has changed by itself. @internal */
  protected changed(): void {
    this.#moved()
  }

  #moved(): void {
    const snapshot = this.getSnapshot()
    if (snapshot !== this.#toldSnapshot) {
      this.#toldSnapshot = snapshot
      void this.#changeListeners.tell(snapshot, this.#handlerFailed, () => this.#toldSnapshot === snapshot)
    }
    const { state } = this
    if (state === this.#told) return
    this.#told = state
    // A listener may connect or close: then the others hear only of where that led.
    void this.#stateListeners.tell(state, this.#handlerFailed, () => this.#told === state)
  }

  readonly #handlerFailed = (cause: unknown): void => {
    this.#report(errorOf({ code: 'HANDLER_FAILED', message: 'a handler threw or rejected', cause }))
  }

  #report(error: SubscriberError): void {
    if (this.#errorListeners.size() > 0) {
      void this.#errorListeners.tell(error, (thrown) => globalThis.console?.error(thrown))
    }
    // Only the first of its code makes the set larger.
    else if (this.#logged.size < this.#logged.add(error.code).size) globalThis.console?.error(error)
  }
}
