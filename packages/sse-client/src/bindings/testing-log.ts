import type { ResyncReason } from '@entitycast/sse-client'
import {
  DEFAULT_CHANNEL,
  type EventInput,
  encodeEvent,
  encodeFrame,
  formatCursor,
  parseCursor,
  type Resume,
} from '@entitycast/sse-protocol'
import type { FakeStream } from './testing-stream'

interface Recorded {
  readonly channel: string
  readonly type: string
  readonly data: string
}

/** One project's log, and what it writes to those who read it. */
export class FakeLog {
  #records: Recorded[] = []
  #epochs = 1

  get cursor(): string {
    return formatCursor(this.#epoch, this.#records.length)
  }

  get #epoch(): string {
    return `fake${this.#epochs}`
  }

  /** @throws ProtocolError as `hub.publish` rejects */
  append(event: EventInput, now: number): void {
    const encoded = encodeEvent(event, () => new Date(now).toISOString())
    this.#records.push({ ...encoded, channel: event.channel ?? DEFAULT_CHANNEL })
  }

  forget(): void {
    this.#records = []
    this.#epochs++
  }

  resync(reason: ResyncReason): string {
    return encodeFrame({ event: 'resync', id: this.cursor, data: JSON.stringify({ reason }) })
  }

  /** Begins a stream: from now on, from a cursor, or with the word that this cannot be. */
  greet(stream: FakeStream, lastEventId: string | undefined, connected: object): void {
    const { from, resume, reason } = this.#resume(lastEventId)
    const id = resume === 'resync' ? {} : { id: lastEventId ?? this.cursor }
    stream.send(encodeFrame({ event: 'connected', ...id, data: JSON.stringify({ ...connected, resume }) }))
    if (reason) stream.send(this.resync(reason))
    for (let offset = from + 1; offset <= this.#records.length; offset++) this.send(stream, offset)
  }

  /** Sends the record at an offset, or the newest, to a stream that wants its channel. */
  send(stream: FakeStream, offset = this.#records.length): void {
    const { type, data, channel } = this.#records[offset - 1] as Recorded
    if (stream.channels && !stream.channels.includes(channel)) return
    stream.send(encodeFrame({ event: type, id: formatCursor(this.#epoch, offset), data }))
  }

  #resume(lastEventId: string | undefined): { from: number; resume: Resume; reason?: ResyncReason } {
    const head = this.#records.length
    if (lastEventId === undefined || lastEventId === this.cursor) return { from: head, resume: 'live' }
    const cursor = parseCursor(lastEventId)
    if (cursor?.epoch !== this.#epoch) return { from: head, resume: 'resync', reason: cursor ? 'epoch' : 'bad-cursor' }
    return cursor.offset < head
      ? { from: cursor.offset, resume: 'replayed' }
      : { from: head, resume: 'resync', reason: 'ahead' }
  }
}
