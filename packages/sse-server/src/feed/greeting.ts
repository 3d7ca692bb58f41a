import type { Resume } from '@entitycast/sse-protocol'
import { Chunk } from '../seams/sink'

/** What comes right before the id, which is the first field of the data; what stands above it holds no quotes. */
const MARK = '{"connectionId":"'

/**
 * The first frame of those who come to one place in a log: but for the connection's id it is the same text for all of them, so it is
 * encoded for the first one only.
 */
export class Greeting {
  #before = ''
  #after = ''
  #bytes = 0
  #epoch = ''
  #offset = -1
  #resume: Resume | undefined

  /** The frame, if somebody came to this place before. */
  chunk(connectionId: string, epoch: string, offset: number, resume: Resume): Chunk | undefined {
    if (offset !== this.#offset || resume !== this.#resume || epoch !== this.#epoch) return undefined
    // An id is letters that are one byte each. For this connection alone: there is nothing to gain by compressing it, and an id to keep.
    return new Chunk(this.#before + connectionId + this.#after, false, this.#bytes + connectionId.length)
  }

  /** Remembers what was encoded for this connection. */
  keep({ text, byteLength }: Chunk, connectionId: string, epoch: string, offset: number, resume: Resume): void {
    const at = text.indexOf(MARK) + MARK.length
    this.#before = text.slice(0, at)
    this.#after = text.slice(at + connectionId.length)
    this.#bytes = byteLength - connectionId.length
    this.#epoch = epoch
    this.#offset = offset
    this.#resume = resume
  }
}
