'use client'

import {
  type ConnectionSnapshot,
  type ConnectionState,
  EventSubscriber,
  type HeadersContext,
  type Resync,
  type SubscriberOptions,
} from '@entitycast/sse-client'
import {
  DEFAULT_CHANNEL,
  type EventDefinitions,
  type EventForPattern,
  type EventOf,
  type PatternOf,
} from '@entitycast/sse-protocol'
import {
  createContext,
  type ReactNode,
  useContext,
  useEffect,
  useInsertionEffect,
  useMemo,
  useRef,
  useSyncExternalStore,
} from 'react'
import { aboutToConnect, NOTHING, selection } from './react-selection'

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

const Context = createContext<{ subscriber: Subscriber; connects: boolean } | undefined>(undefined)

/** A subscriber that the provider makes: another one when `url`, `projectId`, `channels` or `credentials` change. */
interface OwnSubscriber extends SubscriberOptions {
  url: string
  /** False closes the stream: for a feature flag. Default true. */
  enabled?: boolean | undefined
  subscriber?: undefined
}

/** A subscriber that the application made; it connects and closes it by itself. */
type GivenSubscriber = { subscriber: Subscriber } & { [Name in Exclude<keyof OwnSubscriber, 'subscriber'>]?: undefined }

export type DataUpdatesProviderProps = (OwnSubscriber | GivenSubscriber) & { children?: ReactNode }

/**
 * One stream for everything below it. `headers` may be another function in each render: the newest one is asked, and nothing reconnects.
 *
 * @example
 * <DataUpdatesProvider url="/api/events/stream" projectId={projectId} headers={headers} enabled={flags.sse}>…</DataUpdatesProvider>
 */
export function DataUpdatesProvider({
  subscriber: given,
  url,
  enabled = true,
  children,
  ...options
}: DataUpdatesProviderProps) {
  const latest = useLatest(options.headers)
  const { projectId, channels, credentials } = options
  const identity = JSON.stringify([url, projectId, channels, credentials])
  // Making a subscriber has no effect: a render that is thrown away leaves nothing behind.
  // biome-ignore lint/correctness/useExhaustiveDependencies: what else is in the options counts when the subscriber is made
  const subscriber = useMemo(() => {
    const headers = (context: HeadersContext) => {
      const { current = {} } = latest
      return typeof current === 'function' ? current(context) : current
    }
    return given ?? new EventSubscriber<RegisteredEvents>(url, { ...options, headers })
  }, [given, identity])

  useEffect(() => {
    if (given || !enabled) return
    subscriber.connect()
    return () => subscriber.close()
  }, [given, subscriber, enabled])

  const connects = !given && enabled
  const value = useMemo(() => ({ subscriber, connects }), [subscriber, connects])
  return <Context.Provider value={value}>{children}</Context.Provider>
}

/** What {@link useDataUpdates} gives. The functions stay the same for as long as the subscriber does. */
export interface DataUpdates extends Pick<Subscriber, 'subscribe' | 'on' | 'onResync'> {
  subscriber: Subscriber
  connectionState: ConnectionState
}

/** The subscriber of the provider above, and where its connection is. */
export function useDataUpdates(): DataUpdates {
  const subscriber = useSubscriber()
  const connectionState = useConnectionState()
  const functions = useMemo(() => {
    const subscribe: Subscriber['subscribe'] = (pattern, handler) => subscriber.subscribe(pattern, handler)
    const on: Subscriber['on'] = (typePattern, handler) => subscriber.on(typePattern, handler)
    const onResync: Subscriber['onResync'] = (handler) => subscriber.onResync(handler)
    return { subscriber, subscribe, on, onResync }
  }, [subscriber])
  return useMemo(() => ({ ...functions, connectionState }), [functions, connectionState])
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
export function useConnectionState(selector: (connection: ConnectionSnapshot) => unknown = stateOf): unknown {
  const { subscriber, connects } = useProvider()
  const shown = useRef<{ value: unknown }>(undefined)
  const [read, readOnServer] = useMemo(() => {
    const [select, selectOnServer] = [selection(selector, shown), selection(selector, shown)]
    const take = () => (connects ? aboutToConnect(subscriber.getSnapshot()) : subscriber.getSnapshot())
    return [() => select(take()), () => selectOnServer(NOTHING)]
  }, [subscriber, connects, selector])
  const listen = useMemo(() => (changed: () => void) => subscriber.onChange(changed), [subscriber])
  const value = useSyncExternalStore(listen, read, readOnServer)
  useEffect(() => {
    shown.current = { value }
  }, [value])
  return value
}

const stateOf = ({ state }: ConnectionSnapshot) => state

/** Calls the newest handler for each entity event that the pattern names. */
export function useEntityUpdates<Pattern extends PatternOf<RegisteredEvents>>(
  pattern: Pattern,
  handler: (event: EventForPattern<RegisteredEvents, Pattern>) => void,
): void {
  const subscriber = useSubscriber()
  const latest = useLatest(handler)
  useEffect(() => subscriber.subscribe(pattern, (event) => latest.current(event)), [subscriber, pattern, latest])
}

/** Calls the newest handler for each event of these channels, of whatever type. An event without a channel is on `default`. */
export function useSSE(channels: readonly string[], onEvent: (event: EventOf<RegisteredEvents>) => void): void {
  const subscriber = useSubscriber()
  const latest = useLatest({ channels, onEvent })
  useEffect(
    () =>
      subscriber.on('*', (event) => {
        const { channels, onEvent } = latest.current
        if (channels.includes(event.channel ?? DEFAULT_CHANNEL)) return onEvent(event)
      }),
    [subscriber, latest],
  )
}

/** Calls the newest handler when events may have been missed: load the data again. */
export function useResync(handler: (resync: Resync) => void): void {
  const subscriber = useSubscriber()
  const latest = useLatest(handler)
  useEffect(() => subscriber.onResync((resync) => latest.current(resync)), [subscriber, latest])
}

function useSubscriber(): Subscriber {
  return useProvider().subscriber
}

function useProvider() {
  const provided = useContext(Context)
  if (!provided) throw new Error('there is no <DataUpdatesProvider> above this component; put one around the page')
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
