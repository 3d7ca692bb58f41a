import { encodeFrame, formatCursor } from '@entitycast/sse-protocol'
import type { LogEntry } from '../seams/adapter'
import { Chunk } from '../seams/sink'
import { conflate } from './conflate'

/** Most bytes of events in one page: what a connection is given at a time before its socket is looked at again. */
export const PAGE_BYTES = 65_536

/**
 * The entries from the `next` place on, as many as go into a page. Where each page ends is a matter of its beginning alone, so that a
 * page that is sent again is never shorter.
 */
export function takePage(entries: { at(place: number): LogEntry | undefined }, next: number): LogEntry[] {
  const taken: LogEntry[] = []
  let bytes = 0
  for (let entry = entries.at(next); entry; entry = entries.at(++next)) {
    bytes += entry.record.data.length
    if (bytes > PAGE_BYTES && taken.length > 0) break
    taken.push(entry)
  }
  return taken
}

/** The frames of events as they are. Each is encoded when the first reader needs it, and then shared until it is forgotten. */
export class Frames {
  readonly #byOffset = new Map<number, string>()

  /** The text of these entries of a log. */
  encode(entries: readonly LogEntry[], epoch: string): string {
    let text = ''
    for (const { offset, record } of entries) {
      let frame = this.#byOffset.get(offset)
      if (frame === undefined) {
        frame = encodeFrame({ event: record.type, id: formatCursor(epoch, offset), data: record.data })
        this.#byOffset.set(offset, frame)
      }
      text += frame
    }
    return text
  }

  forget(): void {
    if (this.#byOffset.size > 0) this.#byOffset.clear()
  }
}

/**
 * The text that readers get who are behind. A merged event stands at the place of its last part, so a cursor before it would claim
 * parts that come only with it: such frames carry no id. The last one carries the page's end.
 */
export function encodeConflated(entries: readonly LogEntry[], epoch: string, to: number): string {
  const left = conflate(entries)
  const frames: string[] = []
  let earliest = Number.POSITIVE_INFINITY
  for (let i = left.length - 1; i >= 0; i--) {
    const { record, first, last } = left[i] as (typeof left)[number]
    const cursor = i === left.length - 1 ? to : last < earliest ? last : undefined
    frames.push(
      encodeFrame({
        event: record.type,
        id: cursor === undefined ? undefined : formatCursor(epoch, cursor),
        data: record.data,
      }),
    )
    earliest = Math.min(earliest, first)
  }
  return frames.reverse().join('')
}

/**
 * The text of these entries on its way. What only some users may see is never compressed: together with what others may choose, the
 * length would tell of it.
 */
export function toChunk(text: string, entries: readonly LogEntry[]): Chunk | undefined {
  return text === '' ? undefined : new Chunk(text, !entries.some(({ record }) => record.users))
}
