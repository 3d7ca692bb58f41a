import { randomBytes } from 'node:crypto'
import type { InStatement, Row } from '@libsql/client'
import { Inject, Injectable } from '@nestjs/common'
import type { ChunkRow, DocumentRow, DocumentStatus } from '../../shared/model.js'
import { Database } from '../database.js'
import { chunkText } from './chunker.js'

const EXCERPT_CHARACTERS = 160

const CHUNK_COLUMNS = `c.id, c.document_id, c.ordinal, substr(c.text, 1, ${EXCERPT_CHARACTERS}) AS excerpt, length(c.text) AS characters, c.status, c.version`
const CHOSEN = '(?2 IS NULL OR id IN (SELECT value FROM json_each(?2)))'

/** A document and the project it is in. */
export interface Placed {
  projectId: string
  document: DocumentRow
}

export interface StoredDocument extends Placed {
  chunks: ChunkRow[]
}

/** What a bulk change did: the rows it touched, all with one version. */
export interface BulkChange {
  documentIds: string[]
  chunkIds: string[]
  version: number
  updatedAt: string
}

export interface EmbeddedChunk {
  chunkId: string
  text: string
  document: { id: string; title: string }
  ordinal: number
  embedding: Float32Array
}

/** The SQL. Every write that pages can see takes the next number of its project's `version`. */
@Injectable()
export class DocumentStore {
  constructor(@Inject(Database) private readonly database: Database) {}

  /** What a page shows, all of one moment. */
  async load(projectId: string): Promise<{ documents: DocumentRow[]; chunks: ChunkRow[] }> {
    const [documents, chunks] = await this.database.snapshot([
      { sql: 'SELECT * FROM documents WHERE project_id = ? ORDER BY created_at, id', args: [projectId] },
      {
        sql: `SELECT ${CHUNK_COLUMNS} FROM chunks c JOIN documents d ON d.id = c.document_id
              WHERE d.project_id = ? ORDER BY c.document_id, c.ordinal`,
        args: [projectId],
      },
    ])
    return { documents: documents!.rows.map(toDocument), chunks: chunks!.rows.map(toChunk) }
  }

  async add(projectId: string, title: string, text: string, status: DocumentStatus): Promise<StoredDocument> {
    const texts = chunkText(text)
    const id = `doc_${randomBytes(6).toString('hex')}`
    const at = new Date().toISOString()
    const bytes = Buffer.byteLength(text)
    const [, document, ...chunks] = await this.database.transaction([
      nextVersion(projectId),
      {
        sql: `INSERT INTO documents (id, project_id, title, bytes, chunks, status, version, created_at, updated_at)
              SELECT ?1, id, ?3, ?4, ?5, ?6, version, ?7, ?7 FROM projects WHERE id = ?2 RETURNING *`,
        args: [id, projectId, title, bytes, texts.length, status, at],
      },
      ...texts.map((chunk, index) => ({
        sql: `INSERT INTO chunks (id, document_id, ordinal, text, version)
              SELECT ?1, d.id, ?3, ?4, d.version FROM documents d WHERE d.id = ?2
              RETURNING id, document_id, ordinal, substr(text, 1, ${EXCERPT_CHARACTERS}) AS excerpt, length(text) AS characters, status, version`,
        args: [`${id}-${index + 1}`, id, index + 1, chunk],
      })),
    ])
    return {
      projectId,
      document: toDocument(document!.rows[0]!),
      chunks: chunks.map((result) => toChunk(result.rows[0]!)),
    }
  }

  /** Queues the pending ones of these documents; of all where `ids` is null. */
  async queue(projectId: string, ids: string[] | null): Promise<BulkChange> {
    const updatedAt = new Date().toISOString()
    const [version, documents] = await this.database.transaction([
      nextVersion(projectId),
      {
        sql: `UPDATE documents SET status = 'queued', version = (SELECT version FROM projects WHERE id = ?1), updated_at = ?3
              WHERE project_id = ?1 AND status = 'pending' AND ${CHOSEN} RETURNING id`,
        args: [projectId, ids && JSON.stringify(ids), updatedAt],
      },
    ])
    return { documentIds: idsOf(documents!.rows), chunkIds: [], version: versionOf(version!.rows), updatedAt }
  }

  /** Forgets the embeddings of these documents, of all where `ids` is null, and leaves them `pending` or `queued`. */
  async reset(projectId: string, ids: string[] | null, status: 'pending' | 'queued'): Promise<BulkChange> {
    const updatedAt = new Date().toISOString()
    const chosen = ids && JSON.stringify(ids)
    const [version, chunks, documents] = await this.database.transaction([
      nextVersion(projectId),
      {
        sql: `UPDATE chunks SET status = 'pending', embedding = NULL, version = (SELECT version FROM projects WHERE id = ?1)
              WHERE status = 'embedded' AND document_id IN (SELECT id FROM documents WHERE project_id = ?1 AND ${CHOSEN}) RETURNING id`,
        args: [projectId, chosen],
      },
      {
        sql: `UPDATE documents SET status = ?4, embedded_chunks = 0, version = (SELECT version FROM projects WHERE id = ?1), updated_at = ?3
              WHERE project_id = ?1 AND (status <> ?4 OR embedded_chunks > 0) AND ${CHOSEN} RETURNING id`,
        args: [projectId, chosen, updatedAt, status],
      },
    ])
    return {
      documentIds: idsOf(documents!.rows),
      chunkIds: idsOf(chunks!.rows),
      version: versionOf(version!.rows),
      updatedAt,
    }
  }

  /** The version of the deletion; null where there is no such document. */
  async remove(projectId: string, id: string): Promise<{ title: string; version: number } | null> {
    const [version, , document] = await this.database.transaction([
      nextVersion(projectId),
      {
        sql: 'DELETE FROM chunks WHERE document_id IN (SELECT id FROM documents WHERE id = ? AND project_id = ?)',
        args: [id, projectId],
      },
      { sql: 'DELETE FROM documents WHERE id = ? AND project_id = ? RETURNING title', args: [id, projectId] },
    ])
    const row = document!.rows[0]
    return row ? { title: String(row.title), version: versionOf(version!.rows) } : null
  }

  /** A document that wants embedding and is none of `busy`: unfinished ones first, then those that wait longest. */
  async nextDocument(busy: string[]): Promise<string | null> {
    const { rows } = await this.database.execute(
      `SELECT d.id FROM documents d
       WHERE d.status IN ('queued', 'embedding') AND d.id NOT IN (SELECT value FROM json_each(?))
         AND EXISTS (SELECT 1 FROM chunks c WHERE c.document_id = d.id AND c.status = 'pending')
       ORDER BY d.status, d.updated_at, d.created_at LIMIT 1`,
      [JSON.stringify(busy)],
    )
    return rows[0] ? String(rows[0].id) : null
  }

  /** The next chunk to embed; null when the document is done, deleted, or no longer wanted. */
  async nextChunk(documentId: string): Promise<{ id: string; text: string } | null> {
    const { rows } = await this.database.execute(
      `SELECT c.id, c.text FROM chunks c JOIN documents d ON d.id = c.document_id
       WHERE d.id = ? AND d.status IN ('queued', 'embedding') AND c.status = 'pending' ORDER BY c.ordinal LIMIT 1`,
      [documentId],
    )
    return rows[0] ? { id: String(rows[0].id), text: String(rows[0].text) } : null
  }

  /** `queued` → `embedding`; null where that is not its state. */
  async begin(documentId: string): Promise<Placed | null> {
    const [, document] = await this.database.transaction([
      nextVersionOfDocument(documentId),
      {
        sql: `UPDATE documents SET status = 'embedding', updated_at = ?2, version = (SELECT version FROM projects p WHERE p.id = project_id)
              WHERE id = ?1 AND status = 'queued' RETURNING *`,
        args: [documentId, new Date().toISOString()],
      },
    ])
    return toPlaced(document!.rows[0])
  }

  /** Keeps a chunk's embedding and counts it; null where the chunk was deleted or reset meanwhile. */
  async keepEmbedding(
    documentId: string,
    chunkId: string,
    embedding: Float32Array<ArrayBuffer>,
  ): Promise<Placed | null> {
    const counted = `(SELECT count(*) FROM chunks c WHERE c.document_id = documents.id AND c.status = 'embedded')`
    const [, , document] = await this.database.transaction([
      nextVersionOfDocument(documentId),
      {
        sql: `UPDATE chunks SET status = 'embedded', embedding = ?3,
                version = (SELECT p.version FROM projects p JOIN documents d ON d.project_id = p.id WHERE d.id = ?1)
              WHERE id = ?2 AND document_id = ?1 AND status = 'pending'
                AND EXISTS (SELECT 1 FROM documents d WHERE d.id = ?1 AND d.status IN ('queued', 'embedding'))`,
        args: [documentId, chunkId, new Uint8Array(embedding.buffer)],
      },
      {
        sql: `UPDATE documents SET embedded_chunks = ${counted}, updated_at = ?2,
                status = CASE WHEN ${counted} = chunks THEN 'embedded' ELSE 'embedding' END,
                version = (SELECT version FROM projects p WHERE p.id = project_id)
              WHERE id = ?1 AND embedded_chunks <> ${counted} RETURNING *`,
        args: [documentId, new Date().toISOString()],
      },
    ])
    return toPlaced(document!.rows[0])
  }

  async embeddings(projectId: string): Promise<EmbeddedChunk[]> {
    const { rows } = await this.database.execute(
      `SELECT c.id, c.document_id, c.ordinal, c.text, c.embedding, d.title FROM chunks c JOIN documents d ON d.id = c.document_id
       WHERE d.project_id = ? AND c.status = 'embedded'`,
      [projectId],
    )
    return rows.map((row) => ({
      chunkId: String(row.id),
      text: String(row.text),
      document: { id: String(row.document_id), title: String(row.title) },
      ordinal: Number(row.ordinal),
      embedding: new Float32Array(row.embedding as ArrayBuffer),
    }))
  }

  /** False where the project is there already, with its samples. */
  async wantsSamples(projectId: string): Promise<boolean> {
    const ofProject = 'SELECT id FROM documents WHERE project_id = ?'
    const unfinished = `NOT EXISTS (SELECT 1 FROM projects WHERE id = ? AND has_samples = 1)`
    await this.database.transaction([
      { sql: 'INSERT OR IGNORE INTO projects (id) VALUES (?)', args: [projectId] },
      // A first start that was killed half-way begins anew.
      { sql: `DELETE FROM chunks WHERE document_id IN (${ofProject}) AND ${unfinished}`, args: [projectId, projectId] },
      { sql: `DELETE FROM documents WHERE project_id = ? AND ${unfinished}`, args: [projectId, projectId] },
    ])
    const { rows } = await this.database.execute('SELECT has_samples FROM projects WHERE id = ?', [projectId])
    return rows[0]!.has_samples === 0
  }

  async hasSamples(projectId: string): Promise<void> {
    await this.database.execute('UPDATE projects SET has_samples = 1 WHERE id = ?', [projectId])
  }
}

function nextVersion(projectId: string): InStatement {
  return { sql: 'UPDATE projects SET version = version + 1 WHERE id = ? RETURNING version', args: [projectId] }
}

function nextVersionOfDocument(documentId: string): InStatement {
  return {
    sql: 'UPDATE projects SET version = version + 1 WHERE id = (SELECT project_id FROM documents WHERE id = ?)',
    args: [documentId],
  }
}

function idsOf(rows: Row[]): string[] {
  return rows.map((row) => String(row.id))
}

function versionOf(rows: Row[]): number {
  return Number(rows[0]!.version)
}

function toPlaced(row: Row | undefined): Placed | null {
  return row ? { projectId: String(row.project_id), document: toDocument(row) } : null
}

function toDocument(row: Row): DocumentRow {
  return {
    id: String(row.id),
    title: String(row.title),
    bytes: Number(row.bytes),
    chunks: Number(row.chunks),
    embeddedChunks: Number(row.embedded_chunks),
    status: row.status as DocumentStatus,
    version: Number(row.version),
    createdAt: String(row.created_at),
    updatedAt: String(row.updated_at),
  }
}

function toChunk(row: Row): ChunkRow {
  return {
    id: String(row.id),
    documentId: String(row.document_id),
    ordinal: Number(row.ordinal),
    excerpt: String(row.excerpt),
    characters: Number(row.characters),
    status: row.status as ChunkRow['status'],
    version: Number(row.version),
  }
}
