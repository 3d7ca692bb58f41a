import type { ProjectEvent } from '@entitycast/sse-protocol'

/**
 * The newest version of each entity that was given to handlers, so that a page never goes backwards. Bounded: of the entities that
 * have not changed for longest nothing is remembered. A resync forgets nothing, because versions only grow.
 *
 * @returns what of an event is newer than what was last given; that is then what was last given. Of a batch only the newer
 * entities are left. Nothing where it is all old. Without a version everything is new
 */
export function createVersions(limit = 10_000): (event: ProjectEvent) => ProjectEvent | undefined {
  const newest = new Map<string, number>()

  function isNew(key: string, version: number): boolean {
    const last = newest.get(key)
    if (last !== undefined && version <= last) return false
    // A deletion is remembered like any change: a late update does not bring the entity back, a newer creation does.
    newest.delete(key)
    newest.set(key, version)
    if (newest.size > limit) newest.delete(newest.keys().next().value as string)
    return true
  }

  return (event) => {
    const { type, entity, id, version, ids, versions } = event
    if (versions) {
      const kept = ids.flatMap((one, i) => (isNew(`${entity}:${one}`, versions[i] as number) ? [i] : []))
      if (kept.length === ids.length) return event
      if (kept.length === 0) return undefined
      return { ...event, ids: kept.map((i) => ids[i] as string), versions: kept.map((i) => versions[i] as number) }
    }
    if (version !== undefined) return isNew(`${entity}:${id}`, version) ? event : undefined
    // Whoever deletes without a version may begin at 1 again when the entity comes back.
    if (type === 'entity.deleted') newest.delete(`${entity}:${id}`)
    return event
  }
}
