import type { EntityEvent } from '@entitycast/sse-client'
import { describe, expect, it } from 'vitest'
import type { ChunkRow, DocumentRow } from '../../shared/model.js'
import { addActivity, applyToRows, type Rows } from '../../web/rows.js'

const document = (id: string, version: number, fields: Partial<DocumentRow> = {}): DocumentRow => ({
  id,
  title: `${id}.txt`,
  bytes: 10,
  chunks: 12,
  embeddedChunks: 0,
  status: 'pending',
  version,
  createdAt: '2026-01-01T00:00:00.000Z',
  updatedAt: '2026-01-01T00:00:00.000Z',
  ...fields,
})
const chunk = (id: string, documentId: string): ChunkRow => ({
  id,
  documentId,
  ordinal: 1,
  excerpt: 'text',
  characters: 4,
  status: 'pending',
  version: 1,
})
const rows: Rows = {
  documents: [document('a', 7), document('b', 3)],
  chunks: [chunk('a-1', 'a'), chunk('b-1', 'b')],
  activity: [],
}
const event = (fields: object) => ({ projectId: 'p', timestamp: '2026-01-01T00:00:00.000Z', ...fields }) as EntityEvent

describe('the rows of the page', () => {
  it('[documents] take a newer update and its version', () => {
    const update = {
      type: 'entity.updated',
      entity: 'document',
      id: 'a',
      data: { embeddedChunks: 5, version: 8 },
      version: 8,
    }
    expect(applyToRows(rows, event(update)).documents[0]).toMatchObject({ embeddedChunks: 5, version: 8 })
  })

  it('[documents] are not taken back by an update from before they were loaded', () => {
    const update = {
      type: 'entity.updated',
      entity: 'document',
      id: 'a',
      data: { embeddedChunks: 5, version: 7 },
      version: 7,
    }
    expect(applyToRows(rows, event(update)).documents).toBe(rows.documents)
  })

  it('[documents] take a batch, but not those that were loaded with a newer version', () => {
    const batch = {
      type: 'entity.batch',
      entity: 'document',
      id: null,
      ids: ['a', 'b'],
      data: { status: 'queued', version: 6 },
    }
    expect(applyToRows(rows, event(batch)).documents.map(({ status, version }) => [status, version])).toEqual([
      ['pending', 7],
      ['queued', 6],
    ])
  })

  it('[documents] lose the chunks of a deleted document', () => {
    const gone = applyToRows(rows, event({ type: 'entity.deleted', entity: 'document', id: 'a', version: 9 }))
    expect(gone.documents.map(({ id }) => id)).toEqual(['b'])
    expect(gone.chunks.map(({ id }) => id)).toEqual(['b-1'])
  })

  it('[documents] show each activity once, newest first', () => {
    const entry = (id: string, at: string) => ({ id, userName: 'Maya', text: 'did something', at })
    const once = addActivity(addActivity(rows, entry('1', '2026-01-01T00:00:01Z')), entry('2', '2026-01-01T00:00:02Z'))
    const again = addActivity(once, entry('1', '2026-01-01T00:00:01Z'))
    expect(again.activity.map(({ id }) => id)).toEqual(['2', '1'])
  })
})
