'use client'

import {
  type ConnectionState,
  EventSubscriber,
  type HeadersContext,
  type SubscriberOptions,
  type Unsubscribe,
} from '@entitycast/sse-client'
import {
  DEFAULT_CHANNEL,
  type EventDefinitions,
  type EventForPattern,
  type EventForType,
  type EventOf,
  type PatternOf,
  type ResyncData,
} from '@entitycast/sse-protocol'
import {
  createContext,
  type ReactNode,
  type RefObject,
  useContext,
  useEffect,
  useInsertionEffect,
  useMemo,
  useRef,
  useSyncExternalStore,
} from 'react'

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

/** What {@link Register} was given; otherwise any events. */
export type RegisteredEvents = Register extends { events: infer Events extends EventDefinitions }
  ? Events
  : EventDefinitions

type Subscriber = EventSubscriber<RegisteredEvents>

const Context = createContext<Subscriber | undefined>(undefined)

/** A subscriber that the application made, connects and closes by itself. */
interface GivenSubscriber {
  subscriber: Subscriber
}

/** A subscriber that the provider makes: another one when `url`, `projectId`, `channels` or `credentials` change. */
interface OwnSubscriber extends SubscriberOptions {
  url: string
  /** False closes the stream: for a feature flag. Default true. */
  enabled?: boolean | undefined
  subscriber?: undefined
}

export type DataUpdatesProviderProps = (GivenSubscriber | OwnSubscriber) & { children?: ReactNode }

/**
 * One stream for everything below it. `headers` may be another function in each render: the newest one is asked, and nothing reconnects.
 *
 * @example
 * <DataUpdatesProvider url="/api/events/stream" projectId={projectId} headers={headers} enabled={flags.sse}>…</DataUpdatesProvider>
 */
export function DataUpdatesProvider(props: DataUpdatesProviderProps): ReactNode {
  return props.subscriber ? (
    <Context.Provider value={props.subscriber}>{props.children}</Context.Provider>
  ) : (
    <OwnProvider {...(props as OwnSubscriber)} />
  )
}

function OwnProvider({
  url,
  enabled = true,
  children,
  ...options
}: OwnSubscriber & { children?: ReactNode }): ReactNode {
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
    return new EventSubscriber<RegisteredEvents>(url, { ...options, headers })
  }, [identity])

  useEffect(() => {
    if (!enabled) return
    subscriber.connect()
    return () => subscriber.close()
  }, [subscriber, enabled])

  return <Context.Provider value={subscriber}>{children}</Context.Provider>
}

/** What {@link useDataUpdates} gives. The functions stay the same for as long as the subscriber does. */
export interface DataUpdates {
  subscriber: Subscriber
  subscribe: Subscriber['subscribe']
  on: Subscriber['on']
  onResync: Subscriber['onResync']
  connectionState: ConnectionState
}

/** The subscriber of the provider above, and where its connection is. */
export function useDataUpdates(): DataUpdates {
  const subscriber = useSubscriber()
  const connectionState = useConnectionState()
  const functions = useMemo(
    () => ({
      subscriber,
      subscribe: subscriber.subscribe.bind(subscriber) as Subscriber['subscribe'],
      on: subscriber.on.bind(subscriber) as Subscriber['on'],
      onResync: subscriber.onResync.bind(subscriber),
    }),
    [subscriber],
  )
  return useMemo(() => ({ ...functions, connectionState }), [functions, connectionState])
}

/** `connecting`, `connected`, `reconnecting` or `disconnected`, which it also is on the server. */
export function useConnectionState(): ConnectionState {
  const subscriber = useSubscriber()
  const listen = useMemo(() => subscriber.onState.bind(subscriber), [subscriber])
  return useSyncExternalStore(
    listen,
    () => subscriber.state,
    () => 'disconnected',
  )
}

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
  useEffect((): Unsubscribe => {
    return subscriber.on('*', (event: EventForType<RegisteredEvents, '*'>) => {
      const { channels, onEvent } = latest.current
      if (channels.includes(event.channel ?? DEFAULT_CHANNEL)) return onEvent(event)
    })
  }, [subscriber, latest])
}

/** Calls the newest handler when events may have been missed: load the data again. */
export function useResync(handler: (resync: ResyncData) => void): void {
  const subscriber = useSubscriber()
  const latest = useLatest(handler)
  useEffect(() => subscriber.onResync((resync) => latest.current(resync)), [subscriber, latest])
}

function useSubscriber(): Subscriber {
  const subscriber = useContext(Context)
  if (!subscriber) throw new Error('there is no <DataUpdatesProvider> above this component; put one around the page')
  return subscriber
}

/** The newest value, for functions that are called later. Written in an effect, so that a render that is thrown away changes nothing. */
function useLatest<Value>(value: Value): RefObject<Value> {
  const ref = useRef(value)
  useInsertionEffect(() => {
    ref.current = value
  })
  return ref
}
