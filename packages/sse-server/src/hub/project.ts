import type {
  EntityData,
  EntityName,
  EventDefinitions,
  EventInput,
  NamedData,
  NamedType,
} from '@entitycast/sse-protocol'
import type { PublishOptions } from './publisher'

/** What an event of one project may say beside its data. */
export interface EventOptions extends Pick<PublishOptions, 'audience' | 'client'> {
  /** Who caused it. */
  userId?: string | undefined
  /** The named part of the project's events. Default: the channel `default`. */
  channel?: string | undefined
  /** When it happened: an ISO 8601 date-time. Default: now. */
  timestamp?: string | undefined
}

export interface EntityEventOptions extends EventOptions {
  /** Grows with each change of this entity; pages drop what is not newer. */
  version?: number | undefined
}

export interface BatchEventOptions extends EventOptions {
  /** The version of each id after the change, in the order of the ids. */
  versions?: readonly number[] | undefined
}

export interface NamedEventOptions extends EventOptions, Pick<PublishOptions, 'conflateKey'> {}

/** Publishes events of one project. Each method resolves with the event's cursor once it is in the log, and rejects as `hub.publish` does. */
export interface ProjectPublisher<Definitions extends EventDefinitions = EventDefinitions> {
  readonly projectId: string
  /** A new entity, with its fields. */
  created<Entity extends EntityName<Definitions>>(
    entity: Entity,
    id: string,
    data?: EntityData<Definitions, Entity>,
    options?: EntityEventOptions,
  ): Promise<string>
  /** The fields that changed. Without data: it changed, load it again. */
  updated<Entity extends EntityName<Definitions>>(
    entity: Entity,
    id: string,
    data?: EntityData<Definitions, Entity>,
    options?: EntityEventOptions,
  ): Promise<string>
  deleted<Entity extends EntityName<Definitions>>(
    entity: Entity,
    id: string,
    options?: EntityEventOptions,
  ): Promise<string>
  /** The same change of 1 to 10,000 entities. */
  batch<Entity extends EntityName<Definitions>>(
    entity: Entity,
    ids: readonly string[],
    data?: EntityData<Definitions, Entity>,
    options?: BatchEventOptions,
  ): Promise<string>
  /** A named event: `lock:acquired`. */
  emit<Type extends NamedType<Definitions>>(
    type: Type,
    data: NamedData<Definitions, Type>,
    options?: NamedEventOptions,
  ): Promise<string>
}

type Publish = (event: EventInput, options: PublishOptions) => Promise<string>

export function projectPublisher<Definitions extends EventDefinitions>(
  projectId: string,
  publish: Publish,
): ProjectPublisher<Definitions> {
  const send = (fields: object, options: (EntityEventOptions & BatchEventOptions & NamedEventOptions) | undefined) => {
    // What is left is misspelt: `publish` says so.
    const { audience, client, conflateKey, userId, channel, timestamp, version, versions, ...unknown } = options ?? {}
    const event = { ...fields, projectId, userId, channel, timestamp, version, versions } as EventInput
    return publish(event, { audience, conflateKey, client, ...unknown })
  }
  return {
    projectId,
    created: (entity, id, data, options) => send({ type: 'entity.created', entity, id, data }, options),
    updated: (entity, id, data, options) => send({ type: 'entity.updated', entity, id, data }, options),
    deleted: (entity, id, options) => send({ type: 'entity.deleted', entity, id }, options),
    batch: (entity, ids, data, options) => send({ type: 'entity.batch', entity, id: null, ids, data }, options),
    emit: (type, data, options) => send({ type, data }, options),
  }
}
