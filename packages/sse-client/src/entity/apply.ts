import type { EntityEvent } from '@entitycast/sse-protocol'

export interface ApplyOptions<Row> {
  /** Only events of this entity; others change nothing. Needed where the events of several entities come to one handler. */
  entity?: string
  /** The field that holds the id. Default `id`. A number is compared as text. */
  key?: keyof Row & string
}

/**
 * Rows after an event. `created` appends the row, or replaces the one with its id; `updated` and `batch` merge the fields of `data` into
 * the rows that are there, one level deep; `deleted` takes the row out. The rows that were given are never changed; where
 * nothing changes, the very same array comes back, so that React renders nothing. An event without `data`
 * (it changed, load it again) changes nothing, unless it is a deletion.
 *
 * A row never goes backwards: its `version` (as loaded, or from the last event) is kept in the field `version`, and an event that is not
 * newer leaves the row as it is. So events may be replayed over rows that were loaded after them.
 *
 * @example
 * updates.subscribe('document:*', (event) => setRows((rows) => applyEntityEvent(rows, event)))
 */
export function applyEntityEvent<Row extends object>(
  rows: readonly Row[],
  event: EntityEvent,
  options: ApplyOptions<Row> = {},
): Row[] {
  const { entity, key = 'id' as keyof Row & string } = options
  const unchanged = rows as Row[]
  if (entity !== undefined && event.entity !== entity) return unchanged
  const idOf = (row: Row) => String(row[key])

  if (event.type === 'entity.deleted') {
    const kept = rows.filter((row) => idOf(row) !== event.id || !isNewer(event.version, row))
    return kept.length < rows.length ? kept : unchanged
  }
  const fields = ownFields(event.data)
  if (!fields) return unchanged

  if (event.type === 'entity.created') {
    const id = String(fields[key]) === event.id ? fields[key] : event.id
    const created = withVersion({ ...fields, [key]: id } as Row, event.version)
    const at = rows.findIndex((row) => idOf(row) === event.id)
    if (at < 0) return [...rows, created]
    return isNewer(event.version, rows[at] as Row) ? rows.map((row, i) => (i === at ? created : row)) : unchanged
  }
  // A row keeps its own id, whatever the data says.
  delete fields[key]
  const versions = versionsOf(event)
  let changed = false
  const merged = rows.map((row) => {
    const id = idOf(row)
    if (!versions.has(id)) return row
    const version = versions.get(id)
    if (!isNewer(version, row)) return row
    const next = withVersion({ ...row, ...fields }, version)
    if (!differs(row, next)) return row
    changed = true
    return next
  })
  return changed ? merged : unchanged
}

/** The entities that an event changes, each with its new version, where it has one. */
function versionsOf(event: EntityEvent): Map<string, number | undefined> {
  if (event.type !== 'entity.batch') return new Map([[event.id, event.version]])
  return new Map(event.ids.map((id, i) => [id, event.versions?.[i]]))
}

/** Where either has no version, there is nothing to compare, and the event counts. */
function isNewer(version: number | undefined, row: object): boolean {
  const shown = (row as { version?: unknown }).version
  return version === undefined || typeof shown !== 'number' || version > shown
}

function withVersion<Row extends object>(row: Row, version: number | undefined): Row {
  return version === undefined ? row : { ...row, version }
}

/** The fields of `data` as an object of its own; nothing where it is not an object. */
function ownFields(data: unknown): Record<string, unknown> | undefined {
  if (typeof data !== 'object' || data === null || Array.isArray(data)) return undefined
  const fields: Record<string, unknown> = { ...data }
  // Harmless here, but not in the hands of whoever copies the row with `Object.assign`.
  Reflect.deleteProperty(fields, '__proto__')
  return fields
}

function differs(row: object, fields: Record<string, unknown>): boolean {
  const current = row as Record<string, unknown>
  return Object.keys(fields).some((name) => !Object.hasOwn(current, name) || !Object.is(current[name], fields[name]))
}
