import { createParser } from 'eventsource-parser'

/** One block of a stream as it was on the wire: `id` is there only where the block had one. */
export interface ReceivedFrame {
  readonly type: string
  readonly id: string | undefined
  readonly retry: number | undefined
  // biome-ignore lint/suspicious/noExplicitAny: tests look at the JSON that they published.
  readonly data: any
}

const CONTROL = new Set(['connected', 'heartbeat', 'resync', 'closing'])

/** Collects the frames of one stream with a parser that is not ours. */
export class FrameCollector {
  readonly frames: ReceivedFrame[] = []
  readonly comments: string[] = []
  readonly errors: Error[] = []
  #retry: number | undefined
  readonly #parser = createParser({
    onEvent: ({ event: type = 'message', id, data }) => {
      const frame = { type, id, retry: this.#retry, data: JSON.parse(data) }
      this.#retry = undefined
      this.frames.push(frame)
      this.onFrame(frame)
    },
    onRetry: (ms) => {
      this.#retry = ms
    },
    onComment: (comment) => this.comments.push(comment),
    onError: (error) => this.errors.push(error),
  })

  constructor(readonly onFrame: (frame: ReceivedFrame) => void = () => {}) {}

  feed(text: string): void {
    this.#parser.feed(text)
  }

  /** Everything but the control frames. */
  get events(): ReceivedFrame[] {
    return this.frames.filter(({ type }) => !CONTROL.has(type))
  }

  of(type: string): ReceivedFrame[] {
    return this.frames.filter((frame) => frame.type === type)
  }

  /** The types, in order. */
  get types(): string[] {
    return this.frames.map(({ type }) => type)
  }

  /** What an EventSource would come back with. */
  get lastEventId(): string | undefined {
    return this.frames.findLast(({ id }) => id !== undefined)?.id
  }
}
