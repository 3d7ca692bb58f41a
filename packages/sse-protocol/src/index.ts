export { channelName, parseChannelList, parseChannelName } from './channel'
export { type EncodedEvent, type EventInput, encodeEvent, MAX_DATA_DEPTH } from './codec'
export {
  CLOSING_REASONS,
  type ClosingData,
  type ClosingReason,
  CONTROL_TYPES,
  type ConnectedData,
  type ControlEvents,
  type ControlType,
  type HeartbeatData,
  isControlType,
  RESYNC_REASONS,
  type Resume,
  type ResyncData,
  type ResyncReason,
} from './control'
export { type Cursor, formatCursor, parseCursor } from './cursor'
export { decodeEvent } from './decode'
export {
  checkDefinedData,
  defineEvents,
  type EntityData,
  type EntityEventOf,
  type EntityName,
  type EventDefinitions,
  type EventForPattern,
  type EventForType,
  type EventOf,
  type NamedData,
  type NamedEventOf,
  type NamedType,
  type PatternOf,
  type TypePatternOf,
} from './define'
export { ProtocolError, type ProtocolErrorCode, quote } from './error'
export {
  type BatchEntityEvent,
  type BatchEntityInput,
  DEFAULT_CHANNEL,
  type EntityEvent,
  MAX_BATCH_IDS,
  type NamedEvent,
  type NamedInput,
  type ProjectEvent,
  type SingleEntityEvent,
  type SingleEntityInput,
} from './event'
export { encodeFrame, type Frame } from './frame'
export { HandlerIndex } from './handlers'
export {
  assertChannel,
  assertEntity,
  assertEntityId,
  assertEventType,
  assertProjectId,
  assertUserId,
  ENTITY_TYPES,
  type EntityEventType,
  isChannel,
  isEntityType,
  isNamedType,
  MAX_ID_BYTES,
  utf8Bytes,
} from './name'
export {
  assertPattern,
  assertTypePattern,
  matchesPattern,
  matchesType,
  type PatternTarget,
  patternKeys,
  typeKeys,
} from './pattern'
export {
  BatchEntityEventSchema,
  ControlEventSchemas,
  EntityEventSchema,
  NamedEventSchema,
  SingleEntityEventSchema,
} from './schema'
