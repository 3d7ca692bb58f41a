import type { Chunk, Sink, SinkListener } from '@entitycast/sse-server'

/** A socket whose peer takes everything at once. */
export class MemorySink implements Sink {
  readonly unsentBytes = 0
  #listener: SinkListener | undefined
  #closed = false

  constructor(
    signal: AbortSignal,
    readonly take: (text: string) => void,
    readonly over: () => void,
  ) {
    signal.addEventListener('abort', () => this.destroy(), { once: true })
    if (signal.aborted) this.destroy()
  }

  write(chunk: Chunk): boolean {
    if (!this.#closed) this.take(chunk.text)
    return !this.#closed
  }

  end(): void {
    this.destroy()
  }

  destroy(): void {
    if (this.#closed) return
    this.#closed = true
    this.over()
    this.#listener?.closed()
  }

  listen(listener: SinkListener): void {
    this.#listener = listener
    if (this.#closed) listener.closed()
  }
}
