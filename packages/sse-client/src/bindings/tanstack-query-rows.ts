import { applyEntityEvent } from '@entitycast/sse-client'
import { type EntityEvent, isEntityType, type ProjectEvent } from '@entitycast/sse-protocol'

/** How an event stands to data that may have been loaded before or after it. */
export type Standing =
  /** Each row that the event names has a version that is as new. */
  | 'old'
  /** Some row is older, or is not there. */
  | 'new'
  /** Versions are missing: nobody can say. */
  | 'unknown'

/** Looks at an array of rows, or at one row, by the fields `id` and `version`. */
export function standingOf(data: unknown, event: ProjectEvent): Standing {
  const named = rowsOf(data, event)
  const shown = named.map(({ version }) => version)
  const given = named.map((row) => versionOf(row, event))
  if (!isEntityType(event.type) || (event.version === undefined && !event.versions)) return 'unknown'
  if (shown.some((version) => typeof version !== 'number')) return 'unknown'
  const isOld = shown.length > 0 && shown.every((version, i) => (version as number) >= (given[i] as number))
  return isOld ? 'old' : 'new'
}

/**
 * The data after the event; nothing where only loading it again can say. What a rule throws is put to the others: the queries beside it are
 * patched all the same, and a request that has brought the data does not fail.
 */
export function dataAfter(
  event: ProjectEvent,
  data: unknown,
  rule: { update?(data: unknown, event: ProjectEvent): unknown },
  errors: unknown[],
): unknown {
  try {
    return rule.update ? rule.update(data, event) : applyToData(data, event)
  } catch (error) {
    errors.push(error)
    return undefined
  }
}

function applyToData(data: unknown, event: ProjectEvent): unknown {
  if (!isEntityType(event.type) || (event.data === undefined && event.type !== 'entity.deleted')) return undefined
  const change = event as EntityEvent
  if (Array.isArray(data)) return data.every(isRow) ? applyEntityEvent(data, change) : undefined
  // The pages of an infinite query, a count, `null` for what was not there: who knows what the event means to it?
  if (!isRow(data)) return undefined
  if (rowsOf(data, event).length === 0) return data
  return applyEntityEvent([data], change)[0]
}

type Row = { id?: unknown; version?: unknown }

function isRow(data: unknown): data is object {
  return typeof data === 'object' && (data as Row | null)?.id !== undefined
}

function rowsOf(data: unknown, event: ProjectEvent): Row[] {
  const ids = new Set(event.ids ?? [event.id])
  const rows = (Array.isArray(data) ? data : [data]) as (Row | null)[]
  const named = rows.filter((row) => typeof row === 'object' && row !== null && ids.has(String(row.id)))
  // An object of some other shape, such as the pages of an infinite query, may hold the row anywhere.
  if (named.length > 0 || Array.isArray(data) || (data as Row | null)?.id !== undefined) return named as Row[]
  return [{}]
}

function versionOf(row: Row, event: ProjectEvent): number | undefined {
  return event.version ?? event.versions?.[event.ids?.indexOf(String(row.id)) ?? -1]
}
