import { EventHub } from '@entitycast/sse-server'
import { Inject, Injectable } from '@nestjs/common'
import type { BulkAction, DocumentRow, DocumentStatus, ProjectData, SearchHit } from '../../shared/model.js'
import { Activity } from '../activity/activity.js'
import { cosine, embed } from '../embedding/embedder.js'
import { type BulkChange, DocumentStore, type Placed, type StoredDocument } from './documents.store.js'

/**
 * Every change of a document: written to the database first, then told to the project's pages. One change at a time goes
 * through both steps, so that the log has the changes in the order in which they were committed.
 *
 * A crash between the steps costs nothing: the hub's log dies with the process, so every page that comes back is told to
 * resync and loads what the database has.
 */
@Injectable()
export class DocumentsService {
  #last: Promise<unknown> = Promise.resolve()
  #onQueued: () => void = () => {}

  constructor(
    @Inject(DocumentStore) private readonly store: DocumentStore,
    @Inject(EventHub) private readonly hub: EventHub,
    @Inject(Activity) private readonly activity: Activity,
  ) {}

  /** What a page shows. The cursor is taken BEFORE the read: what changes during it is read, or arrives as an event, or both. */
  async load(projectId: string): Promise<ProjectData> {
    const cursor = await this.hub.cursor(projectId)
    const [rows, activity] = await Promise.all([this.store.load(projectId), this.activity.latest(projectId)])
    return { ...rows, activity, cursor }
  }

  add(
    projectId: string,
    title: string,
    text: string,
    status: DocumentStatus,
    userId?: string,
  ): Promise<StoredDocument> {
    return this.#change(
      () => this.store.add(projectId, title, text, status),
      ({ document, chunks }) => {
        const project = this.hub.project(projectId)
        return [
          project.created('document', document.id, document, { version: document.version, userId }),
          ...chunks.map((chunk) => project.created('chunk', chunk.id, chunk, { version: chunk.version, userId })),
        ]
      },
    )
  }

  async bulk(projectId: string, action: BulkAction, ids: string[] | null, userId: string): Promise<BulkChange> {
    const status: DocumentStatus = action === 'reset' ? 'pending' : 'queued'
    return this.#change(
      () =>
        action === 'embed'
          ? this.store.queue(projectId, ids)
          : this.store.reset(projectId, ids, status as 'pending' | 'queued'),
      ({ documentIds, chunkIds, version, updatedAt }) => {
        const project = this.hub.project(projectId)
        // A batch has one `data` for all of its rows, so the version that they share travels in it.
        return [
          ...slices(documentIds).map((batch) =>
            project.batch('document', batch, { status, embeddedChunks: 0, updatedAt, version }, { userId }),
          ),
          ...slices(chunkIds).map((batch) => project.batch('chunk', batch, { status: 'pending', version }, { userId })),
        ]
      },
    )
  }

  async remove(projectId: string, id: string, userId: string): Promise<{ title: string } | null> {
    return this.#change(
      () => this.store.remove(projectId, id),
      (removed) =>
        removed ? [this.hub.project(projectId).deleted('document', id, { version: removed.version, userId })] : [],
    )
  }

  begin(documentId: string): Promise<Placed | null> {
    return this.#change(
      () => this.store.begin(documentId),
      (begun) => (begun ? [this.#progress(begun)] : []),
    )
  }

  keepEmbedding(documentId: string, chunkId: string, embedding: Float32Array<ArrayBuffer>): Promise<Placed | null> {
    return this.#change(
      () => this.store.keepEmbedding(documentId, chunkId, embedding),
      (kept) => {
        if (!kept) return []
        const { version } = kept.document
        return [
          this.hub.project(kept.projectId).updated('chunk', chunkId, { status: 'embedded', version }, { version }),
          this.#progress(kept),
        ]
      },
    )
  }

  async search(projectId: string, query: string, limit: number): Promise<SearchHit[]> {
    const wanted = embed(query)
    return (await this.store.embeddings(projectId))
      .map(({ embedding, document, ...chunk }) => ({
        ...chunk,
        documentId: document.id,
        title: document.title,
        score: cosine(wanted, embedding),
      }))
      .filter((hit) => hit.score > 0.08)
      .sort((a, b) => b.score - a.score)
      .slice(0, limit)
  }

  /** Who embeds wants to know that there is work. */
  onQueued(listener: () => void): void {
    this.#onQueued = listener
  }

  /**
   * Every field that can change goes along: a page that drops an older event, because it has a newer one, must not miss a
   * field that only the older one had. The version is in the data as well, so that rows carry it.
   */
  #progress({ projectId, document }: Placed): Promise<string> {
    const { status, embeddedChunks, updatedAt, version }: DocumentRow = document
    return this.hub
      .project(projectId)
      .updated('document', document.id, { status, embeddedChunks, updatedAt, version }, { version })
  }

  async #change<Result>(write: () => Promise<Result>, publish: (result: Result) => Promise<string>[]): Promise<Result> {
    let published: Promise<unknown> = Promise.resolve()
    const turn = this.#last.then(async () => {
      const result = await write()
      published = Promise.all(publish(result))
      published.catch(() => {}) // awaited below, when it is this caller's turn to look
      return result
    })
    this.#last = turn.catch(() => {})
    const result = await turn
    this.#onQueued()
    await published
    return result
  }
}

/** Batches that stay far below the limit of an event's size. */
function slices(ids: string[], size = 1000): string[][] {
  const result: string[][] = []
  for (let at = 0; at < ids.length; at += size) result.push(ids.slice(at, at + size))
  return result
}
