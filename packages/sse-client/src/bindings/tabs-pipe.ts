import type { StreamResponse } from '@entitycast/sse-client'

interface Read {
  done: boolean
  value?: Uint8Array
}

/** A response that is written in this tab: what the subscriber reads as if a server had sent it. */
export class Pipe {
  readonly response: StreamResponse
  readonly #encoder = new TextEncoder()
  readonly #waiting: Read[] = []
  #failure: { error: unknown } | undefined
  #reader: { resolve(read: Read): void; reject(error: unknown): void } | undefined

  /** @param onCancel the subscriber reads no more */
  constructor(onCancel: () => void) {
    const cancel = async () => {
      this.end()
      onCancel()
    }
    this.response = answerOf(
      { status: 200, contentType: 'text/event-stream' },
      { getReader: () => this.#open(cancel), cancel },
    )
  }

  write(text: string): void {
    this.#give({ done: false, value: this.#encoder.encode(text) })
  }

  end(): void {
    this.#give({ done: true })
  }

  fail(error: unknown): void {
    this.#failure = { error }
    this.#reader?.reject(error)
    this.#reader = undefined
  }

  /** Ends so that the subscriber comes back soon, with its cursor, and nobody is told of an error. */
  rotate(): void {
    this.write('event: closing\ndata: {"reason":"rotated"}\n\n')
    this.end()
  }

  #open(cancel: () => Promise<void>) {
    const read = (): Promise<Read> => {
      const next = this.#waiting.shift()
      if (next) return Promise.resolve(next)
      if (this.#failure) return Promise.reject(this.#failure.error)
      return new Promise((resolve, reject) => {
        this.#reader = { resolve, reject }
      })
    }
    return { read, cancel }
  }

  #give(read: Read): void {
    if (this.#reader) {
      this.#reader.resolve(read)
      this.#reader = undefined
    } else this.#waiting.push(read)
  }
}

/** What a tab tells the others of an answer that is no stream. Neither status nor type: there was no answer at all. */
export interface Refusal {
  readonly status: number
  readonly type?: string | undefined
  readonly redirected?: boolean | undefined
  readonly retryAfter?: string | undefined
  readonly contentType?: string | undefined
}

export function refusalOf({ status, type, redirected, headers }: StreamResponse): Refusal {
  return {
    status,
    type,
    redirected,
    retryAfter: headers.get('retry-after') ?? undefined,
    contentType: headers.get('content-type') ?? undefined,
  }
}

/** @throws TypeError as `fetch` does where there was no answer */
export function answerOf(refusal: Refusal, body: StreamResponse['body'] = null): StreamResponse {
  const { status, type, redirected = false, retryAfter, contentType } = refusal
  // Of a redirect a page sees no status either, and what kind of an answer it is.
  if (!status && !type) throw new TypeError('the tab that holds the connection could not reach the server')
  const headers = new Map([
    ['retry-after', retryAfter],
    ['content-type', contentType],
  ])
  return { status, type, redirected, headers: { get: (name) => headers.get(name.toLowerCase()) ?? null }, body }
}
