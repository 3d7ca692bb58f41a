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

  async add(
    projectId: string,
    title: string,
    text: string,
    status: DocumentStatus,
    ticket: string,
  ): Promise<StoredDocument> {
    const [, , document, ...chunks] = await this.database.transaction([
      unannounced(ticket, projectId),
      nextVersion(projectId),
      ...insertDocument(projectId, title, text, status, 'id = ?2'),
    ])
    return {
      projectId,
      document: toDocument(document!.rows[0]!),
      chunks: chunks.map((result) => toChunk(result.rows[0]!)),
    }
  }

  /** Queues the pending ones of these documents; of all where `ids` is null. */
  async queue(projectId: string, ids: string[] | null, ticket: string): Promise<BulkChange> {
    const updatedAt = new Date().toISOString()
    const [, version, documents] = await this.database.transaction([
      unannounced(ticket, projectId),
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
  async reset(
    projectId: string,
    ids: string[] | null,
    status: 'pending' | 'queued',
    ticket: string,
  ): Promise<BulkChange> {
    const updatedAt = new Date().toISOString()
    const chosen = ids && JSON.stringify(ids)
    const [, version, chunks, documents] = await this.database.transaction([
      unannounced(ticket, projectId),
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
  async remove(projectId: string, id: string, ticket: string): Promise<{ title: string; version: number } | null> {
    const [, version, , document] = await this.database.transaction([
      unannounced(ticket, projectId),
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

  /**
   * Takes a document that wants embedding and that nobody else is at: unfinished ones first, then those that wait longest.
   * It is this worker's until the lease runs out; `nextChunk` renews it. A lease saves work and no more: should two embed the
   * same chunk after all, one of them is told that it is kept already.
   */
  async takeDocument(worker: string, leaseMs: number): Promise<string | null> {
    const { rows } = await this.database.execute(
      `INSERT INTO leases (document_id, worker, until)
       SELECT d.id, ?1, ?2 FROM documents d LEFT JOIN leases l ON l.document_id = d.id
       WHERE d.status IN ('queued', 'embedding') AND (l.until IS NULL OR l.until <= ?3)
         AND EXISTS (SELECT 1 FROM chunks c WHERE c.document_id = d.id AND c.status = 'pending')
       ORDER BY d.status, d.updated_at, d.created_at LIMIT 1
       ON CONFLICT (document_id) DO UPDATE SET worker = excluded.worker, until = excluded.until RETURNING document_id`,
      [worker, Date.now() + leaseMs, Date.now()],
    )
    return rows[0] ? String(rows[0].document_id) : null
  }

  /** Gives back a document that was taken. */
  async leaveDocument(worker: string, documentId: string): Promise<void> {
    await this.database.execute('DELETE FROM leases WHERE document_id = ? AND worker = ?', [documentId, worker])
  }

  /** The next chunk to embed; null when the document is done, deleted, no longer wanted, or another worker's. */
  async nextChunk(worker: string, documentId: string, leaseMs: number): Promise<{ id: string; text: string } | null> {
    const [, chunks] = await this.database.transaction([
      {
        sql: 'UPDATE leases SET until = ? WHERE document_id = ? AND worker = ?',
        args: [Date.now() + leaseMs, documentId, worker],
      },
      {
        sql: `SELECT c.id, c.text FROM chunks c JOIN documents d ON d.id = c.document_id JOIN leases l ON l.document_id = d.id
              WHERE d.id = ? AND l.worker = ? AND d.status IN ('queued', 'embedding') AND c.status = 'pending'
              ORDER BY c.ordinal LIMIT 1`,
        args: [documentId, worker],
      },
    ])
    const row = chunks!.rows[0]
    return row ? { id: String(row.id), text: String(row.text) } : null
  }

  /** `queued` → `embedding`; null where that is not its state. */
  async begin(documentId: string, ticket: string): Promise<Placed | null> {
    const [, , document] = await this.database.transaction([
      unannouncedOfDocument(ticket, documentId),
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
    ticket: string,
  ): Promise<Placed | null> {
    const counted = `(SELECT count(*) FROM chunks c WHERE c.document_id = documents.id AND c.status = 'embedded')`
    const [, , , document] = await this.database.transaction([
      unannouncedOfDocument(ticket, documentId),
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

  /** What the ticket stood for is in the log. */
  async announced(ticket: string): Promise<void> {
    await this.database.execute('DELETE FROM unannounced WHERE ticket = ?', [ticket])
  }

  /** Changes that were stored so long ago that whoever stored them will not announce them any more. */
  async forgotten(olderThanMs: number): Promise<{ ticket: string; projectId: string }[]> {
    const { rows } = await this.database.execute('SELECT ticket, project_id FROM unannounced WHERE stored_at < ?', [
      Date.now() - olderThanMs,
    ])
    return rows.map((row) => ({ ticket: String(row.ticket), projectId: String(row.project_id) }))
  }

  /** Makes a project with these texts in it; not where it is there already. All or nothing, and once, however many instances start. */
  async addProject(projectId: string, samples: { title: string; text: string }[]): Promise<void> {
    const isNew = 'id = ?2 AND has_samples = 0'
    await this.database.transaction([
      { sql: 'INSERT OR IGNORE INTO projects (id) VALUES (?)', args: [projectId] },
      ...samples.flatMap(({ title, text }) => [
        nextVersion(projectId),
        ...insertDocument(projectId, title, text, 'pending', isNew),
      ]),
      { sql: 'UPDATE projects SET has_samples = 1 WHERE id = ?', args: [projectId] },
    ])
  }
}

/** A document and its chunks, where the project fits the condition. */
function insertDocument(
  projectId: string,
  title: string,
  text: string,
  status: DocumentStatus,
  condition: string,
): InStatement[] {
  const texts = chunkText(text)
  const id = `doc_${randomBytes(6).toString('hex')}`
  const at = new Date().toISOString()
  return [
    {
      sql: `INSERT INTO documents (id, project_id, title, bytes, chunks, status, version, created_at, updated_at)
            SELECT ?1, id, ?3, ?4, ?5, ?6, version, ?7, ?7 FROM projects WHERE ${condition} RETURNING *`,
      args: [id, projectId, title, Buffer.byteLength(text), texts.length, status, at],
    },
    ...texts.map((chunk, index) => ({
      sql: `INSERT INTO chunks (id, document_id, ordinal, text, version)
            SELECT ?1, d.id, ?3, ?4, d.version FROM documents d WHERE d.id = ?2
            RETURNING id, document_id, ordinal, substr(text, 1, ${EXCERPT_CHARACTERS}) AS excerpt, length(text) AS characters, status, version`,
      args: [`${id}-${index + 1}`, id, index + 1, chunk],
    })),
  ]
}

function unannounced(ticket: string, projectId: string): InStatement {
  return {
    sql: 'INSERT INTO unannounced (ticket, project_id, stored_at) VALUES (?, ?, ?)',
    args: [ticket, projectId, Date.now()],
  }
}

function unannouncedOfDocument(ticket: string, documentId: string): InStatement {
  return {
    sql: 'INSERT INTO unannounced (ticket, project_id, stored_at) SELECT ?, project_id, ? FROM documents WHERE id = ?',
    args: [ticket, Date.now(), documentId],
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
