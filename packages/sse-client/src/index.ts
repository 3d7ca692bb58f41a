export type {
  BatchEntityEvent,
  EntityEvent,
  NamedEvent,
  ProjectEvent,
  ResyncData,
  ResyncReason,
  SingleEntityEvent,
} from '@entitycast/sse-protocol'
export { type ApplyOptions, applyEntityEvent } from './entity/apply'
export {
  type Clock,
  type Fetch,
  type Page,
  type PageListener,
  type Ports,
  type Random,
  type StreamBody,
  type StreamReader,
  type StreamRequestInit,
  type StreamResponse,
  systemClock,
  type Wakes,
} from './seams/ports'
export {
  type CursorKeeper,
  type CursorStorage,
  type CursorStore,
  sessionCursor,
  storedCursor,
} from './subscriber/cursor-keeper'
export { SubscriberError, type SubscriberErrorCode } from './subscriber/error'
export { type EventsOfOptions, eventsOf } from './subscriber/events-of'
/* @internal For `@entitycast/sse-client/event-source`. */
export { type ForeignListener, type ForeignOptions, ForeignStream } from './subscriber/foreign-stream'
export type { Transition } from './subscriber/journal'
export { onSnapshot } from './subscriber/on-snapshot'
export type { ConnectionState, PauseReason } from './subscriber/phase'
export { ready } from './subscriber/ready'
/* `ask` is @internal, for `@entitycast/sse-client/react`. */
export {
  ask,
  type HeaderFields,
  type HeadersContext,
  type HeadersReason,
  type RetryContext,
  type SubscriberOptions,
} from './subscriber/request'
export type { Resync, ResyncCause } from './subscriber/resync-gate'
export type { ConnectionSnapshot } from './subscriber/snapshot'
export { EventSubscriber, type Unsubscribe } from './subscriber/subscriber'
