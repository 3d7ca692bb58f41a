import type { EntityEventType } from './name'

interface EventFields {
  /** The project (tenant, workspace) that the event belongs to. */
  projectId: string
  /** The named part of the project's events; without it the event is on the channel `default`. */
  channel?: string
  /** When it happened: an ISO 8601 date-time. */
  timestamp: string
  /** Who caused it. */
  userId?: string
}

/** One entity was created, updated or deleted. */
export interface SingleEntityEvent<Data = unknown, Entity extends string = string> extends EventFields {
  type: Exclude<EntityEventType, 'entity.batch'>
  /** What kind of thing changed: `document`. */
  entity: Entity
  /** Which one. */
  id: string
  ids?: undefined
  /** The fields that changed. Absent: it changed, load it again. */
  data?: Data
  /** Grows with each change of this entity. The client drops an event whose version is not newer than the last it applied. */
  version?: number
  versions?: undefined
}

/** The same change of several entities of one kind. */
export interface BatchEntityEvent<Data = unknown, Entity extends string = string> extends EventFields {
  type: 'entity.batch'
  entity: Entity
  id: null
  /** The entities that changed, 1 to 10,000. */
  ids: string[]
  /** The fields that changed, alike for each of `ids`. Absent: they changed, load them again. */
  data?: Data
  version?: undefined
  /** The version of each of `ids` after the change, in their order. */
  versions?: number[]
}

/** A change of one entity, or of several in a batch. */
export type EntityEvent<Data = unknown, Entity extends string = string> =
  | SingleEntityEvent<Data, Entity>
  | BatchEntityEvent<Data, Entity>

/** What only an event of entities has. */
interface NoEntity {
  entity?: undefined
  id?: undefined
  ids?: undefined
  version?: undefined
  versions?: undefined
}

/** Anything else worth telling: `lock:acquired`, `metrics:updated`. A fact: never merged with another unless published with a `conflateKey`. */
export interface NamedEvent<Type extends string = `${string}:${string}`, Data = unknown> extends EventFields, NoEntity {
  type: Type
  data: Data
}

/** `undefined` is as good as nothing, also with `exactOptionalPropertyTypes`: `userId: req.user?.id`. */
interface InputFields {
  /** The project (tenant, workspace) that the event belongs to. */
  projectId: string
  /** The named part of the project's events. Default: the channel `default`. */
  channel?: string | undefined
  /** When it happened: an ISO 8601 date-time. Default: the time of the call. */
  timestamp?: string | undefined
  /** Who caused it. */
  userId?: string | undefined
}

/** A {@link SingleEntityEvent} as a publisher may write it. */
export interface SingleEntityInput<Data = unknown, Entity extends string = string> extends InputFields {
  type: SingleEntityEvent['type']
  entity: Entity
  id: string
  ids?: undefined
  data?: Data | undefined
  version?: number | undefined
  versions?: undefined
}

/** A {@link BatchEntityEvent} as a publisher may write it. */
export interface BatchEntityInput<Data = unknown, Entity extends string = string> extends InputFields {
  type: BatchEntityEvent['type']
  entity: Entity
  id: null
  ids: string[]
  data?: Data | undefined
  version?: undefined
  versions?: number[] | undefined
}

/** A {@link NamedEvent} as a publisher may write it. */
export interface NamedInput<Type extends string = `${string}:${string}`, Data = unknown> extends InputFields, NoEntity {
  type: Type
  data: Data
}

/** Whatever a handler may be given. */
export type ProjectEvent = EntityEvent | NamedEvent

/** Most ids that one batch may name. */
export const MAX_BATCH_IDS = 10_000

/** The channel of an event that names none. */
export const DEFAULT_CHANNEL = 'default'
