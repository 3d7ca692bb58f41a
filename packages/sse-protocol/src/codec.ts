import { ProtocolError, quote } from './error'
import {
  type BatchEntityEvent,
  type BatchEntityInput,
  type EntityEvent,
  MAX_BATCH_IDS,
  type NamedEvent,
  type NamedInput,
  type ProjectEvent,
  type SingleEntityEvent,
  type SingleEntityInput,
} from './event'
import {
  assertChannel,
  assertEntity,
  assertEntityId,
  assertEventType,
  assertProjectId,
  assertTimestamp,
  assertUserId,
  assertVersion,
  isEntityType,
} from './name'

/** Deepest nesting of arrays and objects that `data` may have: `[]` is one level. */
export const MAX_DATA_DEPTH = 500

/** An event as a publisher may write it: without `timestamp`, which is then the time of the call. */
export type EventInput<Event extends ProjectEvent = ProjectEvent> =
  Event extends SingleEntityEvent<infer Data, infer Entity>
    ? SingleEntityInput<Data, Entity>
    : Event extends BatchEntityEvent<infer Data, infer Entity>
      ? BatchEntityInput<Data, Entity>
      : Event extends NamedEvent<infer Type, infer Data>
        ? NamedInput<Type, Data>
        : never

/** An event on its way into the log: the `event:` line, and the text of the `data:` line. */
export interface EncodedEvent {
  readonly type: string
  readonly data: string
}

/**
 * Checks an event and writes it as the wire carries it. The result is text: what the caller does to the object afterwards changes nothing.
 * Fields that the protocol does not know are left out.
 *
 * @throws ProtocolError for whatever is wrong first; see {@link ProtocolErrorCode}
 */
export function encodeEvent(event: EventInput, now: () => string): EncodedEvent {
  if (typeof event !== 'object' || event === null || Array.isArray(event)) {
    throw invalid(`event is ${quote(event)}; it must be an object`)
  }
  const { type, projectId, channel, timestamp, userId } = event
  assertEventType(type)
  assertProjectId(projectId)
  if (channel !== undefined) assertChannel(channel)
  if (timestamp !== undefined) assertTimestamp(timestamp)
  if (userId !== undefined) assertUserId(userId)
  const when = timestamp ?? now()
  const { entity, id, ids, version, versions, data } = event as EntityEvent
  if (!isEntityType(type)) {
    if (
      entity !== undefined ||
      id !== undefined ||
      ids !== undefined ||
      version !== undefined ||
      versions !== undefined
    ) {
      throw invalid(
        `${type} has entity, id, ids, version or versions; a named event carries whatever it has to say in data`,
      )
    }
    return { type, data: stringify({ data: data ?? null, channel, timestamp: when, userId }) }
  }
  assertEntity(entity)
  if (type === 'entity.batch') {
    if (id !== null && id !== undefined) {
      throw invalid(`id is ${quote(id)}; a batch names its entities in ids and has the id null`)
    }
    assertIds(ids)
    if (version !== undefined) {
      throw invalid(`version is ${quote(version)}; a batch has versions, one for each of its ids`)
    }
    if (versions !== undefined) assertVersions(versions, ids)
    return { type, data: stringify({ entity, id: null, ids, data, channel, timestamp: when, userId, versions }) }
  }
  assertEntityId(id)
  if (ids !== undefined || versions !== undefined) {
    throw invalid(`${type} has ids or versions; only entity.batch may have them`)
  }
  if (version !== undefined) assertVersion(version)
  return { type, data: stringify({ entity, id, data, channel, timestamp: when, userId, version }) }
}

function assertIds(ids: unknown): asserts ids is string[] {
  if (!Array.isArray(ids) || ids.length === 0 || ids.length > MAX_BATCH_IDS) {
    throw invalid(`ids is ${quoteArray(ids)}; a batch must name 1 to ${MAX_BATCH_IDS} ids`)
  }
  for (const one of ids) assertEntityId(one)
}

function assertVersions(versions: unknown, ids: readonly string[]): asserts versions is number[] {
  if (!Array.isArray(versions) || versions.length !== ids.length) {
    throw new ProtocolError(
      'INVALID_VERSION',
      `versions is ${quoteArray(versions)}; it must have one version for each of the ${ids.length} ids`,
    )
  }
  for (const one of versions) assertVersion(one)
}

function stringify(wire: { data?: unknown; [field: string]: unknown }): string {
  let text: string
  try {
    text = JSON.stringify(wire)
  } catch (cause) {
    throw new ProtocolError(
      'INVALID_DATA',
      `data cannot be written as JSON (${quote((cause as Error)?.message)}); publish plain values: no BigInt, no cycle`,
      { cause },
    )
  }
  if (typeof wire.data === 'function' || typeof wire.data === 'symbol') {
    throw new ProtocolError('INVALID_DATA', `data is a ${typeof wire.data}; it must be a JSON value`)
  }
  // Two characters a level: a shorter text cannot be too deep, and is not walked. One level is the object that `data` lies in.
  if (text.length > MAX_DATA_DEPTH * 2 && depth(text) - 1 > MAX_DATA_DEPTH) {
    throw new ProtocolError(
      'INVALID_DATA',
      `data is nested deeper than ${MAX_DATA_DEPTH} levels; publish a flatter value`,
    )
  }
  return text
}

function depth(json: string): number {
  let level = 0
  let deepest = 0
  let inString = false
  for (let i = 0; i < json.length; i++) {
    const unit = json.charCodeAt(i)
    if (inString) {
      if (unit === 0x5c) i++
      else if (unit === 0x22) inString = false
    } else if (unit === 0x22) inString = true
    else if (unit === 0x7b || unit === 0x5b) deepest = Math.max(deepest, ++level)
    else if (unit === 0x7d || unit === 0x5d) level--
  }
  return deepest
}

function quoteArray(value: unknown): string {
  return Array.isArray(value) ? `an array of ${value.length}` : quote(value)
}

function invalid(message: string): ProtocolError {
  return new ProtocolError('INVALID_EVENT', message)
}
