import type { StreamRequestInit, StreamResponse } from '@entitycast/sse-client'

type Read = { done: boolean; value?: Uint8Array }

const encoder = new TextEncoder()

/** One answer to a subscriber, and the stream in it. */
export class FakeStream implements StreamResponse {
  /** What it may carry; all where there is no list. */
  channels: readonly string[] | undefined
  /** Called at its end, whoever ends it. */
  whenOver: () => void = () => {}
  readonly #fields: ReadonlyMap<string, string>
  #waiting: Read[] = []
  #failure: { error: unknown } | undefined
  #reader: { resolve(read: Read): void; reject(error: unknown): void } | undefined
  #silent = false
  #over = false

  constructor(
    readonly status: number,
    fields: Readonly<Record<string, string>>,
    { signal }: StreamRequestInit,
  ) {
    this.#fields = new Map(Object.entries(fields))
    if (signal.aborted) this.#leave()
    else signal.addEventListener('abort', () => this.#leave(), { once: true })
  }

  readonly headers = { get: (name: string) => this.#fields.get(name.toLowerCase()) ?? null }
  readonly body = {
    getReader: () => ({ read: () => this.#read(), cancel: async () => this.#leave() }),
    cancel: async () => this.#leave(),
  }

  /** Whether the subscriber still holds it, and it has not ended. */
  get open(): boolean {
    return !this.#over
  }

  send(text: string): void {
    if (!this.#silent) this.#give({ done: false, value: encoder.encode(text) })
  }

  end(): void {
    this.#give({ done: true })
    this.#finish()
  }

  /** The network breaks it. */
  cut(): void {
    this.#finish()
    this.#failure = { error: new TypeError('network error') }
    this.#reader?.reject(this.#failure.error)
    this.#reader = undefined
  }

  /** From now on not a byte arrives, and the subscriber is not told. */
  silence(): void {
    this.#silent = true
  }

  #read(): Promise<Read> {
    const next = this.#waiting.shift()
    if (next) return Promise.resolve(next)
    if (this.#failure) return Promise.reject(this.#failure.error)
    return new Promise((resolve, reject) => {
      this.#reader = { resolve, reject }
    })
  }

  #give(read: Read): void {
    if (this.#over) return
    if (this.#reader) {
      this.#reader.resolve(read)
      this.#reader = undefined
    } else this.#waiting.push(read)
  }

  #finish(): void {
    this.#over = true
    this.whenOver()
  }

  #leave(): void {
    this.#give({ done: true })
    this.#finish()
    this.#waiting = []
  }
}
