import type { EntityEvent } from '@entitycast/sse-protocol'

export interface ApplyOptions<Row> {
  /** Only events of this entity; others change nothing. Needed where the events of several entities come to one handler. */
  entity?: string
  /** The field that holds the id. Default `id`. A number is compared as text. */
  key?: keyof Row & string
}

/**
 * Rows after an event. `created` appends the row, or replaces the one with its id; `updated` and `batch` merge the fields of `data` into
 * the rows that are there, one level deep; `deleted` takes the row out. Where several rows have the id (a list that shows it in two groups), all of them
 * are meant, and `created` leaves them alike: give it one list a group, or load such a list again. The rows that were given are never changed; where
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
  const { entity = event.entity, key = 'id' as keyof Row & string } = options
  const unchanged = rows as Row[]
  if (event.entity !== entity) return unchanged
  /** The entities that the event changes, each with its new version, where it has one. */
  const versions = new Map<string, number | undefined>(
    event.ids ? event.ids.map((id, i) => [id, event.versions?.[i]]) : [[event.id, event.version]],
  )
  const idOf = (row: Row) => String(row[key])
  const versionOf = (row: Row) => versions.get(idOf(row))
  const changes = (row: Row) => versions.has(idOf(row)) && isNewer(versionOf(row), row)

  let next: Row[]
  if (event.type === 'entity.deleted') next = rows.filter((row) => !changes(row))
  else {
    const fields = ownFields(event.data)
    if (!fields) return unchanged
    if (event.type === 'entity.created') {
      const id = String(fields[key]) === event.id ? fields[key] : event.id
      const created = withVersion({ ...fields, [key]: id } as Row, event.version)
      if (!rows.some((row) => idOf(row) === event.id)) return [...rows, created]
      next = rows.map((row) => (changes(row) ? created : row))
    } else {
      // A row keeps its own id, whatever the data says.
      delete fields[key]
      next = rows.map((row) => {
        if (!changes(row)) return row
        const merged = withVersion({ ...row, ...fields }, versionOf(row))
        return differs(row, merged) ? merged : row
      })
    }
  }
  return next.length < rows.length || next.some((row, i) => row !== rows[i]) ? next : unchanged
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
  if (Object(data) !== data || Array.isArray(data)) return undefined
  const fields: Record<string, unknown> = { ...(data as object) }
  // Harmless here, but not in the hands of whoever copies the row with `Object.assign`.
  Reflect.deleteProperty(fields, '__proto__')
  return fields
}

function differs(row: object, fields: Record<string, unknown>): boolean {
  const current = row as Record<string, unknown>
  return Object.keys(fields).some((name) => !Object.hasOwn(current, name) || !Object.is(current[name], fields[name]))
}
