import type { ProjectEvent } from '@entitycast/sse-protocol'

/**
 * The newest version of each entity that was given to handlers, so that a page never goes backwards. Bounded: of the entities that
 * have not changed for longest nothing is remembered. A resync forgets nothing, because versions only grow.
 */
export class Versions {
  readonly #newest = new Map<string, number>()
  readonly #limit: number

  constructor(limit = 10_000) {
    this.#limit = limit
  }

  /**
   * What of the event is newer than what was last given; that is then what was last given. Of a batch only the newer
   * entities are left. Nothing where it is all old. Without a version everything is new.
   */
  newer(event: ProjectEvent): ProjectEvent | undefined {
    if (event.type !== 'entity.batch') return this.#take(event) ? event : undefined
    const { entity, ids, versions } = event
    if (!versions) return event
    const kept = ids.flatMap((id, i) => (this.#takeVersion(`${entity}:${id}`, versions[i] as number) ? [i] : []))
    if (kept.length === ids.length) return event
    if (kept.length === 0) return undefined
    return { ...event, ids: kept.map((i) => ids[i] as string), versions: kept.map((i) => versions[i] as number) }
  }

  #take({ type, entity, id, version }: ProjectEvent): boolean {
    if (typeof id !== 'string') return true
    if (version !== undefined) return this.#takeVersion(`${entity}:${id}`, version)
    // Whoever deletes without a version may begin at 1 again when the entity comes back.
    if (type === 'entity.deleted') this.#newest.delete(`${entity}:${id}`)
    return true
  }

  #takeVersion(key: string, version: number): boolean {
    const newest = this.#newest.get(key)
    if (newest !== undefined && version <= newest) return false
    // A deletion is remembered like any change: a late update does not bring the entity back, a newer creation does.
    this.#newest.delete(key)
    this.#newest.set(key, version)
    if (this.#newest.size > this.#limit) this.#newest.delete(this.#newest.keys().next().value as string)
    return true
  }
}
