import * as v from 'valibot'
import { CLOSING_REASONS, RESYNC_REASONS } from './control'
import { MAX_BATCH_IDS } from './event'
import { isId, isTimestamp, MAX_ID_BYTES } from './name'

/*
 * The same shapes as `event.ts` and `control.ts`, as schemas: to check a value at a boundary of one's own, and as JSON Schema
 * (`@entitycast/sse-protocol/schema/*.json`) for other languages. `test/types` proves that schema and type say the same.
 */

// JSON Schema cannot count bytes and has no `u`: it gets what it can say, and `isId` says the rest.
const Id = v.pipe(
  v.string(),
  v.minLength(1),
  v.maxLength(MAX_ID_BYTES),
  v.regex(/^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]*$/),
  v.check((id: string) => isId(id), '1 to 256 bytes of text without control characters'),
)
const Timestamp = v.pipe(
  v.string(),
  v.isoTimestamp(),
  v.check((text: string) => isTimestamp(text), 'an ISO 8601 date-time'),
)
const Channel = v.pipe(v.string(), v.regex(/^[A-Za-z0-9._:-]{1,64}$/))
const Entity = v.pipe(v.string(), v.regex(/^[A-Za-z0-9._-]{1,64}$/))
const Version = v.pipe(v.number(), v.safeInteger(), v.minValue(0))

const fields = { projectId: Id, channel: v.optional(Channel), timestamp: Timestamp, userId: v.optional(Id) }

/** A change of one entity. */
export const SingleEntityEventSchema = v.object({
  type: v.picklist(['entity.created', 'entity.updated', 'entity.deleted']),
  entity: Entity,
  id: Id,
  ...fields,
  data: v.optional(v.unknown()),
  version: v.optional(Version),
})

/** The same change of several entities. */
export const BatchEntityEventSchema = v.pipe(
  v.object({
    type: v.literal('entity.batch'),
    entity: Entity,
    id: v.null(),
    ids: v.pipe(v.array(Id), v.minLength(1), v.maxLength(MAX_BATCH_IDS)),
    ...fields,
    data: v.optional(v.unknown()),
    versions: v.optional(v.array(Version)),
  }),
  v.check(({ ids, versions }) => !versions || versions.length === ids.length, 'one version for each of the ids'),
)

/**
 * An entity event, as handlers see it.
 *
 * @example
 * import { parse } from 'valibot'
 * const event = parse(EntityEventSchema, JSON.parse(text))
 */
export const EntityEventSchema = v.variant('type', [SingleEntityEventSchema, BatchEntityEventSchema])

/** A named event, as handlers see it. */
export const NamedEventSchema = v.object({
  type: v.pipe(v.string(), v.regex(/^(?=.{3,64}$)(?!entity\.)[A-Za-z0-9._-]+(?::[A-Za-z0-9._-]+)+$/)),
  ...fields,
  data: v.unknown(),
})

/** The data of each control event. */
export const ControlEventSchemas = {
  connected: v.object({
    connectionId: v.string(),
    projectId: Id,
    resume: v.picklist(['live', 'replayed', 'resync']),
    heartbeatMs: v.pipe(v.number(), v.integer(), v.minValue(0)),
    expiresInMs: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0))),
  }),
  heartbeat: v.object({ timestamp: Timestamp }),
  resync: v.object({ reason: v.picklist(RESYNC_REASONS) }),
  closing: v.object({ reason: v.picklist(CLOSING_REASONS) }),
}
