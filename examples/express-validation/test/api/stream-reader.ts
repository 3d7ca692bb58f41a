import { vi } from 'vitest'
import type { Visitor } from './running-app'

export interface SeenFrame {
  event: string
  // biome-ignore lint/suspicious/noExplicitAny: frames of every type, looked at by the tests
  data: any
}

/** Reads the stream as text, so that it is the wire which is tested. */
export class StreamReader {
  readonly frames: SeenFrame[] = []
  readonly #stop = new AbortController()

  static async open(visitor: Visitor, query = ''): Promise<StreamReader> {
    const reader = new StreamReader()
    const response = await fetch(`${visitor.url}/api/sse${query}`, {
      headers: { accept: 'text/event-stream', cookie: visitor.cookie },
      signal: reader.#stop.signal,
    })
    if (response.status !== 200) throw new Error(`status ${response.status}: ${await response.text()}`)
    void reader.#read(response).catch(() => {})
    await reader.next('connected')
    return reader
  }

  /** The first frame of this type that fits, as soon as it is there. */
  async next(event: string, fits: (data: SeenFrame['data']) => boolean = () => true): Promise<SeenFrame> {
    return vi.waitFor(
      () => {
        const frame = this.frames.find((one) => one.event === event && fits(one.data))
        if (!frame) throw new Error(`no ${event} in ${this.frames.map((one) => one.event).join(', ')}`)
        return frame
      },
      { timeout: 15_000, interval: 10 },
    )
  }

  types(): string[] {
    return this.frames.map(({ event }) => event).filter((event) => event !== 'heartbeat')
  }

  close(): void {
    this.#stop.abort()
  }

  async #read(response: Response): Promise<void> {
    let text = ''
    for await (const part of response.body!.pipeThrough(new TextDecoderStream())) {
      text += part
      const blocks = text.split('\n\n')
      text = blocks.pop()!
      for (const block of blocks) {
        const field = (name: string) => new RegExp(`^${name}: ?(.*)$`, 'm').exec(block)?.[1]
        const event = field('event')
        if (event) this.frames.push({ event, data: JSON.parse(field('data') ?? 'null') })
      }
    }
  }
}
