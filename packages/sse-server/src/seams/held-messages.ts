import type { LogRecord } from './adapter'
import { weightOf } from './record-text'

/** Messages that are held at a time, however small they are. */
const MOST_HELD = 1_000

/**
 * Messages of one log that are ahead of what was seen, by the place that each goes on from. As many as a log may keep, in bytes: what finds no room
 * is read from the log instead.
 */
export class HeldMessages<Message extends { readonly records: readonly LogRecord[] }> {
  readonly #messages = new Map<number, Message>()
  #bytes = 0

  constructor(readonly mostBytes: number) {}

  /** @returns whether there is room for it */
  hold(place: number, message: Message): boolean {
    this.delete(place)
    const bytes = this.#bytes + weigh(message)
    if (this.#messages.size >= MOST_HELD || bytes > this.mostBytes) return false
    this.#messages.set(place, message)
    this.#bytes = bytes
    return true
  }

  get(place: number): Message | undefined {
    return this.#messages.get(place)
  }

  delete(place: number): void {
    const message = this.#messages.get(place)
    if (!message) return
    this.#messages.delete(place)
    this.#bytes -= weigh(message)
  }

  /** Lets go of what will never fit. */
  drop(isGone: (place: number, message: Message) => boolean): void {
    for (const [place, message] of this.#messages) {
      if (isGone(place, message)) this.delete(place)
    }
  }

  clear(): void {
    this.drop(() => true)
  }
}

function weigh({ records }: { readonly records: readonly LogRecord[] }): number {
  return records.reduce((bytes, record) => bytes + weightOf(record), 0)
}
