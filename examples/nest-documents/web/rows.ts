import { applyEntityEvent, type EntityEvent } from '@entitycast/sse-client'
import type { ActivityRow, ProjectData } from '../shared/model'

/** What the tables show. */
export type Rows = Omit<ProjectData, 'cursor'>

const ACTIVITY_ROWS = 30

/** The rows after an event of a document or a chunk. */
export function applyToRows(rows: Rows, event: EntityEvent): Rows {
  switch (event.entity) {
    case 'document': {
      const documents = apply(rows.documents, event)
      const isGone = event.type === 'entity.deleted'
      return {
        ...rows,
        documents,
        chunks: isGone ? rows.chunks.filter((chunk) => chunk.documentId !== event.id) : rows.chunks,
      }
    }
    case 'chunk':
      return { ...rows, chunks: apply(rows.chunks, event) }
    default:
      return rows
  }
}

/**
 * The rows after an event, without those that were loaded at its version or a newer one: after a load, events from during
 * the load still come, and must not take a row back. A batch has no version of its own; ours travels in its data.
 */
function apply<Row extends { id: string; version: number }>(rows: Row[], event: EntityEvent): Row[] {
  const version = event.version ?? (event.data as { version?: number } | undefined)?.version
  if (version === undefined) return applyEntityEvent(rows, event)
  const loaded = new Set(rows.filter((row) => row.version >= version).map((row) => row.id))
  if (event.type !== 'entity.batch') return loaded.has(event.id) ? rows : applyEntityEvent(rows, event)
  return applyEntityEvent(rows, { ...event, ids: event.ids.filter((id) => !loaded.has(id)) })
}

/** Each entry once, newest first: an entry may have been loaded and arrive as an event as well. */
export function addActivity(rows: Rows, entry: ActivityRow): Rows {
  if (rows.activity.some(({ id }) => id === entry.id)) return rows
  const activity = [entry, ...rows.activity].sort((a, b) => b.at.localeCompare(a.at)).slice(0, ACTIVITY_ROWS)
  return { ...rows, activity }
}
