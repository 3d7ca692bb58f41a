import { randomUUID } from 'node:crypto'
import { EventHub } from '@entitycast/sse-server'
import { Inject, Injectable, Logger, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common'
import type { BulkAction, DocumentRow, DocumentStatus, ProjectData, SearchHit } from '../../shared/model.js'
import { Activity } from '../activity/activity.js'
import { cosine, embed } from '../embedding/embedder.js'
import { type BulkChange, DocumentStore, type Placed, type StoredDocument } from './documents.store.js'

/** A change that is still not announced after this will not be, by whoever stored it. */
const FORGOTTEN_AFTER_MS = 5_000
const LOOK_EVERY_MS = 1_000

/**
 * Every change of a document: written to the database first, then told to the project's pages. One change at a time goes
 * through both steps, so that the log has this instance's changes in the order in which they were committed. Those of two instances
 * may change places in the log; the versions keep a page from going back.
 *
 * A crash between the steps must cost nothing either, and a log that outlives the process (Redis) would not tell. So each change
 * leaves a ticket in its own transaction, which is torn up once the log has the events. A ticket that nobody tears up makes any
 * instance tell the pages to load again: an outbox of one word.
 */
@Injectable()
export class DocumentsService implements OnApplicationBootstrap, OnModuleDestroy {
  readonly #log = new Logger(DocumentsService.name)
  #last: Promise<unknown> = Promise.resolve()
  #onQueued: () => void = () => {}
  #looking: NodeJS.Timeout | undefined

  constructor(
    @Inject(DocumentStore) private readonly store: DocumentStore,
    @Inject(EventHub) private readonly hub: EventHub,
    @Inject(Activity) private readonly activity: Activity,
  ) {}

  onApplicationBootstrap(): void {
    this.#looking = setInterval(() => {
      this.#announceForgotten().catch((error) =>
        this.#log.error(`cannot announce what was forgotten: ${String(error)}`),
      )
    }, LOOK_EVERY_MS)
  }

  onModuleDestroy(): void {
    clearInterval(this.#looking)
  }

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
      (ticket) => this.store.add(projectId, title, text, status, ticket),
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
      (ticket) =>
        action === 'embed'
          ? this.store.queue(projectId, ids, ticket)
          : this.store.reset(projectId, ids, status as 'pending' | 'queued', ticket),
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
      (ticket) => this.store.remove(projectId, id, ticket),
      (removed) =>
        removed ? [this.hub.project(projectId).deleted('document', id, { version: removed.version, userId })] : [],
    )
  }

  begin(documentId: string): Promise<Placed | null> {
    return this.#change(
      (ticket) => this.store.begin(documentId, ticket),
      (begun) => (begun ? [this.#progress(begun)] : []),
    )
  }

  keepEmbedding(documentId: string, chunkId: string, embedding: Float32Array<ArrayBuffer>): Promise<Placed | null> {
    return this.#change(
      (ticket) => this.store.keepEmbedding(documentId, chunkId, embedding, ticket),
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

  async #change<Result>(
    write: (ticket: string) => Promise<Result>,
    publish: (result: Result) => Promise<string>[],
  ): Promise<Result> {
    const ticket = randomUUID()
    let published: Promise<unknown> = Promise.resolve()
    const turn = this.#last.then(async () => {
      const result = await write(ticket)
      published = Promise.all(publish(result))
      published.catch(() => {}) // awaited below, when it is this caller's turn to look
      return result
    })
    this.#last = turn.catch(() => {})
    const result = await turn
    this.#onQueued()
    try {
      await published
      await this.store.announced(ticket)
    } catch (error) {
      // The change is stored, so the request has not failed; its ticket sees to it that the pages hear of it.
      this.#log.warn(`a stored change is announced later: ${String(error)}`)
    }
    return result
  }

  /** Tells the pages of a project to load again, where a change of it was never announced. */
  async #announceForgotten(): Promise<void> {
    const forgotten = await this.store.forgotten(FORGOTTEN_AFTER_MS)
    for (const projectId of new Set(forgotten.map((one) => one.projectId))) {
      await this.hub.project(projectId).emit('documents:changed', {}, { conflateKey: 'documents:changed' })
    }
    for (const { ticket } of forgotten) await this.store.announced(ticket)
  }
}

/** Batches that stay far below the limit of an event's size. */
function slices(ids: string[], size = 1000): string[][] {
  const result: string[][] = []
  for (let at = 0; at < ids.length; at += size) result.push(ids.slice(at, at + size))
  return result
}
