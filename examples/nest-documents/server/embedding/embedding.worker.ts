import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { Inject, Injectable, Logger, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common'
import { CONFIG, type Config } from '../config.js'
import { DocumentsService } from '../documents/documents.service.js'
import { DocumentStore } from '../documents/documents.store.js'
import { embed } from './embedder.js'

const LOOK_EVERY_MS = 1_000

/**
 * Embeds queued documents in the background, a few side by side. It keeps no state of its own: what is left to do is what
 * the database says, so a killed process goes on where it was. Instances that share a database share the work: each takes
 * documents for a while, and those of one that has died are taken by another.
 */
@Injectable()
export class EmbeddingWorker implements OnApplicationBootstrap, OnModuleDestroy {
  readonly #log = new Logger(EmbeddingWorker.name)
  readonly #stop = new AbortController()
  readonly #worker = randomUUID()
  readonly #leaseMs: number
  readonly #busy = new Map<string, Promise<void>>()
  #running: Promise<void> = Promise.resolve()
  #work = signal()

  constructor(
    @Inject(CONFIG) private readonly config: Config,
    @Inject(DocumentsService) private readonly documents: DocumentsService,
    @Inject(DocumentStore) private readonly store: DocumentStore,
  ) {
    this.#leaseMs = config.embeddingDelayMs + 2_000
  }

  onApplicationBootstrap(): void {
    this.documents.onQueued(() => this.#work.raise())
    this.#running = this.#dispatch()
  }

  /** Here and not later: the hub closes in `beforeApplicationShutdown`. */
  async onModuleDestroy(): Promise<void> {
    this.#stop.abort()
    this.#work.raise()
    await this.#running
    await Promise.all(this.#busy.values())
  }

  async #dispatch(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      this.#work = signal()
      try {
        await this.#fill()
      } catch (error) {
        this.#log.error(`cannot look for work, trying again in a second: ${String(error)}`)
        void delay(1000, undefined, { signal: this.#stop.signal }).then(this.#work.raise, () => {})
      }
      // Another instance may have queued something, or left something undone.
      const look = setTimeout(this.#work.raise, LOOK_EVERY_MS)
      await this.#work.raised
      clearTimeout(look)
    }
  }

  /** Begins with documents until there is none left or enough are under way. */
  async #fill(): Promise<void> {
    while (this.#busy.size < this.config.embeddingConcurrency && !this.#stop.signal.aborted) {
      const id = await this.store.takeDocument(this.#worker, this.#leaseMs)
      if (id === null) return
      const done = this.#embed(id)
        .catch(async (error: unknown) => {
          if (this.#stop.signal.aborted) return
          this.#log.error(`document ${id} failed, trying again in a second: ${String(error)}`)
          await delay(1000, undefined, { signal: this.#stop.signal }).catch(() => {})
        })
        .finally(async () => {
          await this.store.leaveDocument(this.#worker, id).catch(() => {}) // the lease runs out
          this.#busy.delete(id)
          this.#work.raise()
        })
      this.#busy.set(id, done)
    }
  }

  async #embed(documentId: string): Promise<void> {
    await this.documents.begin(documentId)
    for (;;) {
      const chunk = await this.store.nextChunk(this.#worker, documentId, this.#leaseMs)
      if (!chunk) return
      // In place of a model's latency; the embedding itself takes well under a millisecond.
      await delay(this.config.embeddingDelayMs, undefined, { signal: this.#stop.signal })
      await this.documents.keepEmbedding(documentId, chunk.id, embed(chunk.text))
    }
  }
}

/** A promise that somebody else resolves. */
function signal(): { raised: Promise<void>; raise: () => void } {
  let raise = () => {}
  const raised = new Promise<void>((resolve) => {
    raise = resolve
  })
  return { raised, raise }
}
