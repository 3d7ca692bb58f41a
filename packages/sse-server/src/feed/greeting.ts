import type { Resume } from '@entitycast/sse-protocol'

/** What comes right before the id, which is the first field of the data; what stands above it holds no quotes. */
const MARK = '{"connectionId":"'

/**
 * The first frame of those who come to one place in a log: but for the connection's id it is the same text for all of them, so it is
 * encoded for the first one only.
 */
export class Greeting {
  #before = ''
  #after = ''
  #epoch = ''
  #offset = -1
  #resume: Resume | undefined

  /** The text, if somebody came to this place before. */
  text(connectionId: string, epoch: string, offset: number, resume: Resume): string | undefined {
    if (offset !== this.#offset || resume !== this.#resume || epoch !== this.#epoch) return undefined
    return this.#before + connectionId + this.#after
  }

  /** Remembers what was encoded for this connection. */
  keep(text: string, connectionId: string, epoch: string, offset: number, resume: Resume): void {
    const at = text.indexOf(MARK) + MARK.length
    this.#before = text.slice(0, at)
    this.#after = text.slice(at + connectionId.length)
    this.#epoch = epoch
    this.#offset = offset
    this.#resume = resume
  }
}
