'use client'

import type { ConnectionSnapshot, ConnectionState, HeaderFields, Resync } from '@entitycast/sse-client'
import { ask, EventSubscriber } from '@entitycast/sse-client'
import type { DEFAULT_CHANNEL, EventDefinitions, EventForPattern, EventOf, PatternOf } from '@entitycast/sse-protocol'
import {
  createContext,
  createElement,
  type ReactNode,
  useContext,
  useEffect,
  useInsertionEffect,
  useMemo,
  useRef,
  useSyncExternalStore,
} from 'react'
import type { GivenSubscriber, OwnSubscriber } from './react-props'
import { NOTHING, type Selection, type Selector, selectionOf, shownOf } from './react-selection'

/**
 * The application's events, so that every hook knows the type of `event.data`.
 *
 * @example
 * declare module '@entitycast/sse-client/react' {
 *   interface Register { events: typeof events }
 * }
 */
// biome-ignore lint/suspicious/noEmptyInterface: it is there to be added to
export interface Register {}

type Registered<R> = R extends { events: infer Events extends EventDefinitions } ? Events : EventDefinitions

/** What {@link Register} was given; otherwise any events. */
export type RegisteredEvents = Registered<Register>

type Subscriber = EventSubscriber<RegisteredEvents>

/** What hooks are given; and whether the provider connects the subscriber, and closes it too. */
type Provided = readonly [updates: Omit<DataUpdates, 'connectionState'>, connects: boolean]

const Context = createContext<Provided | undefined>(undefined)

/** Without {@link Register} hooks say nothing of an event's data, so that a subscriber of any events will do. */
type AnySubscriber = [EventDefinitions] extends [RegisteredEvents] ? Omit<Subscriber, 'on' | 'subscribe'> : Subscriber

export type DataUpdatesProviderProps = (OwnSubscriber | GivenSubscriber<AnySubscriber>) & { children?: ReactNode }

/**
 * One stream for everything below it. `headers` and `identity` may be other functions in each render: the newest ones are asked, and nothing
 * reconnects. Another `identity` that is a text, also the first one, is another stream at once, and `useResync` is told `identity` before any event
 * of it. With `cursorStore` it must be there from the first rendering on.
 *
 * @example
 * <DataUpdatesProvider url="/api/events/stream" projectId={projectId} headers={headers} enabled={flags.sse}>…</DataUpdatesProvider>
 */
export function DataUpdatesProvider(props: DataUpdatesProviderProps) {
  const { children, enabled = true, subscriber: given, url, ...options } = props
  const latest = useLatest(options)
  // Making a subscriber has no effect: a render that is thrown away leaves nothing behind.
  // biome-ignore lint/correctness/useExhaustiveDependencies: what else is in the options counts when the subscriber is made
  const updates = useMemo(() => {
    const subscriber = (given ??
      new EventSubscriber<RegisteredEvents>(url, {
        ...options,
        identity: !options.identity && options.cursorStore ? undefined : () => ask(latest.current.identity) as string,
        headers: (context) => ask(latest.current.headers, context) as HeaderFields,
      })) as Subscriber
    return {
      subscriber,
      subscribe: subscriber.subscribe.bind(subscriber) as Subscriber['subscribe'],
      on: subscriber.on.bind(subscriber) as Subscriber['on'],
      onResync: subscriber.onResync.bind(subscriber),
      onChange: subscriber.onChange.bind(subscriber),
    }
  }, [given, url, options.projectId, options.credentials, `${options.channels}`])

  const connects = enabled && !given
  // biome-ignore lint/correctness/useExhaustiveDependencies: of another who looks at the page, what is open is not the stream
  useEffect(() => {
    if (!connects) return
    updates.subscriber.connect()
    return () => updates.subscriber.close()
  }, [updates, connects, `${options.identity}`])

  // Not as JSX: its runtime would be one more import, for one element.
  return createElement(
    Context.Provider,
    { value: useMemo(() => [updates, connects] as const, [updates, connects]) },
    children,
  )
}

/** What {@link useDataUpdates} gives. The functions stay the same for as long as the subscriber does. */
export interface DataUpdates extends Pick<Subscriber, 'subscribe' | 'on' | 'onResync' | 'onChange'> {
  subscriber: Subscriber
  connectionState: ConnectionState
}

/** The subscriber of the provider above, and where its connection is. */
export function useDataUpdates(): DataUpdates {
  const [updates] = useProvider()
  const connectionState = useConnectionState()
  return useMemo(() => ({ ...updates, connectionState }), [updates, connectionState])
}

/**
 * The connection's state; or, with a selector, whatever a component shows of the connection. It renders again only when the selected value
 * changes; objects and arrays are compared by their fields, one level deep. On a server it is `disconnected`.
 *
 * @example
 * const state = useConnectionState()
 * const { nextRetryAt, attempt } = useConnectionState(({ nextRetryAt, attempt }) => ({ nextRetryAt, attempt }))
 */
export function useConnectionState(): ConnectionState
export function useConnectionState<Selected>(selector: (connection: ConnectionSnapshot) => Selected): Selected
export function useConnectionState(selector: Selector = ({ state }) => state): unknown {
  const [{ subscriber, onChange }, connects] = useProvider()
  const last = useRef<Selection>([])
  const select = (from: ConnectionSnapshot) => {
    last.current = selectionOf(from, selector, last.current)
    return last.current[0]
  }
  return useSyncExternalStore(
    onChange,
    () => select(shownOf(subscriber.getSnapshot(), connects)),
    () => select(NOTHING),
  )
}

/** Calls the newest handler for each entity event that the pattern names. */
export function useEntityUpdates<Pattern extends PatternOf<RegisteredEvents>>(
  pattern: Pattern,
  handler: (event: EventForPattern<RegisteredEvents, Pattern>) => unknown,
): void {
  useHandler(handler, (subscriber, call) => subscriber.subscribe(pattern, call), pattern)
}

/** Calls the newest handler for each event of these channels, of whatever type. An event without a channel is on `default`. */
export function useSSE(channels: readonly string[], onEvent: (event: EventOf<RegisteredEvents>) => unknown): void {
  useHandler(
    (event: EventOf<RegisteredEvents>) =>
      channels.includes(event.channel ?? ('default' satisfies typeof DEFAULT_CHANNEL)) && onEvent(event),
    (subscriber, call) => subscriber.on('*', call),
  )
}

/** Calls the newest handler when events may have been missed: load the data again. */
export function useResync(handler: (resync: Resync) => unknown): void {
  useHandler(handler, (subscriber, call) => subscriber.onResync(call))
}

/** Registers once for each subscriber and key, and calls the newest handler. */
function useHandler<Given>(
  handler: (given: Given) => unknown,
  register: (subscriber: Subscriber, call: (given: Given) => void) => () => void,
  key?: string,
): void {
  const [{ subscriber }] = useProvider()
  const latest = useLatest(handler)
  // biome-ignore lint/correctness/useExhaustiveDependencies: another function that registers the same thing is no reason to
  useEffect(() => register(subscriber, (given) => latest.current(given)), [subscriber, key])
}

function useProvider() {
  const provided = useContext(Context)
  if (!provided) throw new Error('no <DataUpdatesProvider>')
  return provided
}

/** The newest value, for functions that are called later. Written in an effect, so that a render that is thrown away changes nothing. */
function useLatest<Value>(value: Value) {
  const ref = useRef(value)
  useInsertionEffect(() => {
    ref.current = value
  })
  return ref
}
