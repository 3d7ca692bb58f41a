import { StringDecoder } from 'node:string_decoder'
import type { Chunk, Sink, SinkListener } from '@entitycast/sse-server'

/**
 * A socket whose peer reads as the test says. What the peer has read is `received`; what it has not is what the hub sees as unsent.
 */
export class RecordingSink implements Sink {
  /** Everything that the peer has read. */
  received = ''
  /** How often the hub wrote, and whether it was ended or destroyed. */
  writes = 0
  ended = false
  destroyed = false
  /** Unsent bytes above which `write` says false. */
  capacity = 0
  readonly #waiting: Buffer[] = []
  readonly #decoder = new StringDecoder('utf8')
  #reading = true
  #full = false
  #closed = false
  #listener: SinkListener | undefined
  #onBytes: (text: string) => void = () => {}
  #onClose: () => void = () => {}

  /** What the peer does with what it reads. */
  attach(peer: { bytes(text: string): void; closed(): void }): void {
    this.#onBytes = peer.bytes
    this.#onClose = peer.closed
  }

  get closed(): boolean {
    return this.#closed
  }

  get unsentBytes(): number {
    return this.#waiting.reduce((sum, { length }) => sum + length, 0)
  }

  /** What was handed over and not yet read. */
  get unsent(): string {
    return Buffer.concat(this.#waiting).toString()
  }

  write(chunk: Chunk): boolean {
    if (this.#closed || this.ended) return false
    this.writes++
    this.#waiting.push(chunk.bytes)
    if (this.#reading) this.#take(Number.POSITIVE_INFINITY)
    this.#full = this.unsentBytes > this.capacity
    return !this.#full
  }

  end(): void {
    this.ended = true
    this.#settle()
  }

  destroy(): void {
    this.destroyed = true
    this.#close()
  }

  listen(listener: SinkListener): void {
    this.#listener = listener
    if (this.#closed) listener.closed()
  }

  /** The peer reads nothing from now on. From then on `capacity` bytes fit. */
  stall(capacity = 0): void {
    this.#reading = false
    this.capacity = capacity
  }

  /** The peer reads this many bytes, or all there is. Told as `drained` when nothing is left. */
  drain(bytes = Number.POSITIVE_INFINITY): void {
    this.#take(bytes)
    this.#settle()
  }

  /** The peer reads again, for good. */
  resume(): void {
    this.#reading = true
    this.drain()
  }

  /** The peer goes. */
  cut(): void {
    this.#close()
  }

  #take(bytes: number): void {
    let left = bytes
    let text = ''
    while (left > 0 && this.#waiting.length > 0) {
      const first = this.#waiting[0] as Buffer
      text += this.#decoder.write(first.subarray(0, left))
      if (first.length > left) this.#waiting[0] = first.subarray(left)
      else this.#waiting.shift()
      left -= first.length
    }
    if (text === '') return
    this.received += text
    this.#onBytes(text)
  }

  #settle(): void {
    if (this.#closed || this.unsentBytes > 0) return
    if (this.ended) this.#close()
    else if (this.#full) {
      this.#full = false
      this.#listener?.drained()
    }
  }

  #close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#waiting.length = 0
    this.#onClose()
    this.#listener?.closed()
  }
}
