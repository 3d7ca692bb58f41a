import { ProtocolError, type ProtocolErrorCode, quote } from './error'
import type { ProjectEvent } from './event'
import { isEntityType } from './name'

/**
 * Reads an event that `encodeEvent` wrote. Its shape is checked, so that handlers get what their types say; what a name may hold was checked
 * when it was published, and a page need not carry those rules. A field that is not known is left out, and nothing is merged into a prototype.
 *
 * @throws ProtocolError the code says which field
 */
export function decodeEvent(type: string, text: string, projectId: string): ProjectEvent {
  const isEntityEvent = isEntityType(type)
  // Only a named event has a colon, and whatever has none is none of ours.
  if (!isEntityEvent && !type.includes(':')) refuse('INVALID_TYPE', type)
  let wire: Record<string, unknown>
  try {
    wire = JSON.parse(text)
  } catch (cause) {
    refuse('INVALID_DATA', text, { cause })
  }
  if (Object(wire) !== wire || Array.isArray(wire)) refuse('INVALID_EVENT', wire)
  const { entity, id, ids, version, versions, data, channel, timestamp, userId } = wire
  assertText('INVALID_TIMESTAMP', timestamp)
  // Objects are written out, not spread, and with their data at once: a page decodes every event of its project.
  let event: ProjectEvent
  if (!isEntityEvent) event = { type: type as `${string}:${string}`, projectId, timestamp, data: data ?? null }
  else {
    assertText('INVALID_ENTITY', entity)
    if (type === 'entity.batch') {
      if (!Array.isArray(ids) || ids.length === 0) refuse('INVALID_EVENT', ids)
      for (const one of ids) assertText('INVALID_ENTITY_ID', one)
      event = { type, entity, id: null, ids, projectId, timestamp }
      if (data !== undefined) event.data = data
      if (versions !== undefined) {
        if (!Array.isArray(versions) || versions.length !== ids.length) refuse('INVALID_VERSION', versions)
        for (const one of versions) assertNumber(one)
        event.versions = versions
      }
    } else {
      assertText('INVALID_ENTITY_ID', id)
      event =
        data === undefined
          ? { type, entity, id, projectId, timestamp }
          : { type, entity, id, projectId, timestamp, data }
      if (version !== undefined) {
        assertNumber(version)
        event.version = version
      }
    }
  }
  if (channel !== undefined) {
    assertText('INVALID_CHANNEL', channel)
    event.channel = channel
  }
  if (userId !== undefined) {
    assertText('INVALID_USER_ID', userId)
    event.userId = userId
  }
  return event
}

function assertText(code: ProtocolErrorCode, value: unknown): asserts value is string {
  if (typeof value !== 'string') refuse(code, value)
}

function assertNumber(value: unknown): asserts value is number {
  if (typeof value !== 'number') refuse('INVALID_VERSION', value)
}

function refuse(code: ProtocolErrorCode, value: unknown, options?: { cause: unknown }): never {
  throw new ProtocolError(code, `${code}: ${quote(value)}`, options)
}
