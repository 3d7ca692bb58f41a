import type { Fetch, StreamReader, StreamRequestInit, StreamResponse } from '@entitycast/sse-client'
import { encodeFrame } from '@entitycast/sse-protocol'
import { Pipe, type Refusal, refusalOf } from './tabs-pipe'
import { BlockSplitter, readBlock, type Tape } from './tabs-tape'

/** What a leader tells the other tabs. `term` names one stream; `seq` counts what was told of it. */
export type Told =
  /** There is a stream: come, and bring your cursors. */
  | { readonly type: 'open'; readonly term: string }
  | ({ readonly type: 'answer'; readonly request: string; readonly term: string; readonly seq: number } & Greeting)
  | { readonly type: 'refused'; readonly requests: readonly string[]; readonly refusal: Refusal }
  | { readonly type: 'blocks'; readonly term: string; readonly seq: number; readonly entries: readonly string[] }
  /** The stream is over. `cut`: the tab has let go of it, and the server has nothing to do with that. */
  | { readonly type: 'end'; readonly term: string; readonly cut: boolean }

/** How a stream begins for one tab: `entries` lie right after the cursor `at`. */
export interface Greeting {
  readonly hello: string
  readonly at: string | undefined
  readonly entries: readonly string[]
  /** The stream has not come to this cursor yet: what comes up to it is not for this tab. */
  readonly isAhead?: boolean
}

interface Stream {
  readonly pipe: Pipe
  readonly aborter: AbortController
  /** The cursor of this tab's subscriber, and the one that went to the server. */
  readonly cursor: string | undefined
  readonly from: string | undefined
  /** The next stream has its answer, or will not get one. */
  readonly answered: () => void
  hello?: Record<string, unknown>
  term: string
  seq: number
  bytesAt: number
  /** What is read of it waits for this: its next stream goes on where it stands. */
  hold?: Promise<void>
}

/** As the subscriber's own watchdog counts. */
const HEARTBEATS = 3
const MIN_SILENCE_MS = 1_000

/**
 * The tab that holds the connection. Its own subscriber asks, retries and gives up as it does alone; what it is answered, the
 * other tabs are answered too.
 */
export class Leader {
  readonly #tape: Tape
  readonly #post: (message: Told) => void
  readonly #maxBlockChars: number
  readonly #now: () => number
  /** Whoever waits for an answer, and the cursor that it has. */
  readonly #asks = new Map<string, string | undefined>()
  #refusal: Refusal | undefined
  #stream: Stream | undefined
  /** Requests and streams that are not over. */
  readonly #open = new Set<AbortController>()

  constructor(tape: Tape, post: (message: Told) => void, maxBlockChars: number, now: () => number) {
    this.#tape = tape
    this.#post = post
    this.#maxBlockChars = maxBlockChars
    this.#now = now
  }

  /** Nothing is asked of the server, and others wait for it. */
  get isIdle(): boolean {
    return this.#open.size === 0
  }

  /**
   * Its stream is dead, and this tab's own subscriber has not noticed: a frozen tab hears other tabs, but neither its timers nor the network.
   */
  get isDeaf(): boolean {
    const { hello, bytesAt } = this.#stream ?? {}
    const heartbeatMs = Number(hello?.heartbeatMs)
    return (
      bytesAt !== undefined &&
      heartbeatMs > 0 &&
      this.#now() - bytesAt >= Math.max(HEARTBEATS * heartbeatMs, MIN_SILENCE_MS)
    )
  }

  /** Another tab's request. It is answered at once where the answer is known, and otherwise when it is. */
  ask(request: string, cursor: string | undefined): void {
    if (this.#stream) this.#answer(this.#stream, request, cursor)
    else if (this.#refusal) this.#post({ type: 'refused', requests: [request], refusal: this.#refusal })
    else this.#asks.set(request, cursor)
  }

  /** A request of this tab's own subscriber, which goes to the server, from the newest cursor that any tab is known to have. */
  async lead(url: string, init: StreamRequestInit, fetch: Fetch): Promise<StreamResponse> {
    const { 'last-event-id': cursor, ...headers } = init.headers
    const from = cursor !== undefined && this.#tape.has(cursor) ? this.#tape.head : cursor
    if (from !== undefined) headers['last-event-id'] = from
    const aborter = new AbortController()
    let answered = () => {}
    const abort = () => {
      aborter.abort()
      // Whatever becomes of the request.
      answered()
    }
    init.signal.addEventListener('abort', abort)
    if (init.signal.aborted) abort()
    this.#open.add(aborter)
    this.#refusal = undefined
    if (this.#stream) {
      this.#stream.hold = new Promise((resolve) => {
        answered = resolve
      })
    }
    const over = () => {
      answered()
      init.signal.removeEventListener('abort', abort)
      this.#open.delete(aborter)
    }
    let response: StreamResponse
    try {
      response = await fetch(url, { ...init, headers, signal: aborter.signal })
    } catch (error) {
      over()
      if (!aborter.signal.aborted) this.#refuse({ status: 0 })
      throw error
    }
    const reader = isStream(response) ? response.body?.getReader() : undefined
    if (!reader) {
      over()
      if (!aborter.signal.aborted) this.#refuse(refusalOf(response))
      return response
    }
    const pipe = new Pipe(() => {
      aborter.abort()
      reader.cancel().catch(() => {})
    })
    const stream: Stream = {
      pipe,
      aborter,
      answered,
      term: Math.random().toString(36).slice(2),
      cursor,
      from,
      seq: 0,
      bytesAt: this.#now(),
    }
    void this.#read(reader, stream).finally(over)
    return pipe.response
  }

  /** This tab leads no more. Its own subscriber comes back as one of the others. */
  close(): void {
    const stream = this.#stream
    for (const aborter of this.#open) aborter.abort()
    if (stream) this.#over(stream)
    stream?.pipe.rotate()
  }

  /** Never rejects. */
  async #read(reader: StreamReader, stream: Stream): Promise<void> {
    const { pipe } = stream
    const decoder = new TextDecoder()
    const splitter = new BlockSplitter()
    try {
      for (;;) {
        const { done, value } = await reader.read()
        if (done || stream.aborter.signal.aborted) break
        stream.bytesAt = this.#now()
        await stream.hold
        // Another stream goes on where this one stood, and brings the same.
        if (stream.hold && this.#stream !== stream) return
        const blocks = splitter.feed(decoder.decode(value, { stream: true }))
        this.#blocks(stream, blocks)
        // Bytes are a sign of life, also those of a block that is long on its way.
        if (blocks.length === 0) pipe.write(':\n\n')
        // The subscriber's own limit is lower: it finds the same.
        if (splitter.pendingChars > this.#maxBlockChars) pipe.write(splitter.take())
      }
      pipe.end()
    } catch (error) {
      pipe.fail(error)
    }
    this.#over(stream)
  }

  #over(stream: Stream): void {
    if (this.#stream !== stream) return
    this.#stream = undefined
    this.#post({ type: 'end', term: stream.term, cut: stream.aborter.signal.aborted })
  }

  #blocks(stream: Stream, blocks: readonly string[]): void {
    const entries: string[] = []
    for (const text of blocks) {
      const { event, id, data } = readBlock(text)
      if (!stream.hello) {
        this.#greeted(stream, text, event === 'connected' ? { id, data } : undefined)
        continue
      }
      stream.pipe.write(text)
      if (this.#stream === stream) {
        this.#tape.record(text)
        entries.push(text)
      } else if (event === 'resync') {
        this.#tape.record(text)
        this.#ready(stream)
      }
    }
    if (entries.length > 0 && this.#stream === stream) {
      this.#post({ type: 'blocks', term: stream.term, seq: ++stream.seq, entries })
    }
  }

  /** The first block of a stream. Where it is no `connected`, this tab's subscriber knows what to do. */
  #greeted(
    stream: Stream,
    text: string,
    connected: { id?: string | undefined; data?: string | undefined } | undefined,
  ): void {
    const { pipe, cursor, from } = stream
    stream.hello = parse(connected?.data)
    const { resume } = stream.hello
    const before = this.#stream
    if (!connected || resume === 'resync') {
      // Where the stream goes on is in the frame that follows.
      pipe.write(text)
      return
    }
    // A server that goes on "live" elsewhere has not looked at the cursor.
    const isProven = from !== undefined && (resume === 'replayed' || connected.id === from)
    let isSame = false
    if (!isProven) this.#tape.begin(connected.id)
    else if (this.#tape.head === from) {
      // Renewed at the end of a page: for the other tabs it is the same stream.
      isSame = before !== undefined && this.#tape.tail().length === 0
      this.#tape.resume()
    } else this.#tape.begin(from)
    if (before && isSame) {
      stream.term = before.term
      stream.seq = before.seq
      this.#stream = stream
    } else this.#ready(stream)
    stream.answered()
    if (!isProven || cursor === from) pipe.write(text)
    else {
      const { hello, entries } = this.#greeting(stream, cursor)
      pipe.write(hello + entries.join(''))
    }
  }

  /** From here on other tabs can be given the stream. */
  #ready(stream: Stream): void {
    this.#stream = stream
    this.#post({ type: 'open', term: stream.term })
    const asks = [...this.#asks]
    this.#asks.clear()
    for (const [request, cursor] of asks) this.#answer(stream, request, cursor)
  }

  #refuse(refusal: Refusal): void {
    this.#refusal = refusal
    const requests = [...this.#asks.keys()]
    this.#asks.clear()
    if (requests.length > 0) this.#post({ type: 'refused', requests, refusal })
  }

  #answer(stream: Stream, request: string, cursor: string | undefined): void {
    // When the grant ends is this tab's business: it renews for all.
    const { expiresInMs: _, ...hello } = stream.hello ?? {}
    const greeting = this.#greeting({ hello }, cursor)
    this.#post({ type: 'answer', request, term: stream.term, seq: stream.seq, ...greeting })
  }

  /** What the server would say to a request with this cursor, as far as the tape knows. */
  #greeting(stream: Pick<Stream, 'hello'>, cursor: string | undefined): Greeting {
    const { head } = this.#tape
    const entries = this.#tape.tail()
    if (cursor === undefined) return { hello: connectedFrame(stream, 'live', head), at: head, entries }
    const missed = this.#tape.after(cursor)
    const isAhead = !missed && this.#tape.isBehind(cursor)
    if (missed || isAhead) {
      return { hello: connectedFrame(stream, 'replayed', cursor), at: cursor, entries: missed ?? entries, isAhead }
    }
    const resync = encodeFrame({ event: 'resync', ...(head && { id: head }), data: '{"reason":"expired"}' })
    return { hello: connectedFrame(stream, 'resync', undefined) + resync, at: head, entries }
  }
}

function connectedFrame({ hello }: Pick<Stream, 'hello'>, resume: string, id: string | undefined): string {
  return encodeFrame({
    event: 'connected',
    ...(id !== undefined && { id }),
    data: JSON.stringify({ ...hello, resume }),
  })
}

function parse(data = ''): Record<string, unknown> {
  try {
    return Object(JSON.parse(data))
  } catch {
    return {}
  }
}

function isStream({ status, type, redirected, headers }: StreamResponse): boolean {
  if (status !== 200 || redirected || type === 'opaqueredirect') return false
  return /^\s*text\/event-stream\s*(?:;|$)/i.test(headers.get('content-type') ?? '')
}
