export type {
  Cursor,
  EntityEvent,
  EventDefinitions,
  NamedEvent,
  ProjectEvent,
  ResyncReason,
} from '@entitycast/sse-protocol'
export { defineEvents } from '@entitycast/sse-protocol'
export { MemoryAdapter } from './adapters/memory'
export { EventHub } from './event-hub'
export type { ConnectionFilter } from './feed/connection'
export type { ConnectRequest } from './hub/admission'
export type { AnyHub } from './hub/any-hub'
export type { CorsOptions } from './hub/cors'
export { assertDrainMs } from './hub/drain'
export { HubError, type HubErrorCode } from './hub/error'
export type { Grant } from './hub/grant'
export type { Hub } from './hub/hub'
export type { ListenFilter, ListenOptions } from './hub/listen'
export type { ConnectionLimits, EventHubOptions, PresenceOptions } from './hub/options'
export type {
  BatchEventOptions,
  EntityEventOptions,
  EventOptions,
  NamedEventOptions,
  ProjectPublisher,
} from './hub/project'
export type { PublishOptions } from './hub/publisher'
export { serveStream } from './hub/serve'
export { assertHub, assertStreamOptions, type EventStreamOptions } from './hub/stream-options'
export type { HubStats } from './hub/tally'
export type { ClusterStats, ClusterTotals, InstanceStats } from './peers/cluster-stats'
export type { PresentUser } from './presence/present-user'
export type { ConnectionInfo } from './registry/registry'
export type {
  Adapter,
  AdapterManifest,
  AdapterStatus,
  LogEntry,
  LogListener,
  LogPage,
  LogRecord,
  OpenLog,
  Retention,
} from './seams/adapter'
export { GZIP_HEADER } from './seams/deflate'
export type { Addressed, StreamRequest, StreamResponse } from './seams/exchange'
export { logName } from './seams/log-name'
export type { Clock, Logger, Ports, Random } from './seams/ports'
export { Chunk, LAGGING_BYTES, type Sink, type SinkListener } from './seams/sink'
