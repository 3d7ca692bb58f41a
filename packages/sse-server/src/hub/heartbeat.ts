import { encodeFrame } from '@entitycast/sse-protocol'
import { Chunk } from '../seams/sink'

/** Heartbeat frames of one round: all readers at one place in a log share theirs. */
export class Heartbeats {
  readonly #frames = new Map<string | undefined, Chunk>()

  constructor(
    readonly kind: 'event' | 'comment',
    /** Milliseconds since 1970. */
    readonly now: () => number,
  ) {}

  /** The frame for readers at this cursor; without one it moves nobody's cursor. */
  frame(cursor: string | undefined): Chunk {
    const id = this.kind === 'comment' ? undefined : cursor
    let chunk = this.#frames.get(id)
    if (!chunk) {
      chunk = new Chunk(this.#encode(id))
      this.#frames.set(id, chunk)
    }
    return chunk
  }

  /** The round is over. */
  clear(): void {
    this.#frames.clear()
  }

  #encode(id: string | undefined): string {
    if (this.kind === 'comment') return encodeFrame({ comment: 'keepalive' })
    return encodeFrame({
      event: 'heartbeat',
      id,
      data: JSON.stringify({ timestamp: new Date(this.now()).toISOString() }),
    })
  }
}
