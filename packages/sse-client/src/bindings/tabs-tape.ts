import { parseCursor } from '@entitycast/sse-protocol'

/** One block of an event stream: its text with the empty line at its end, and the cursor that it moves to. */
interface Entry {
  readonly text: string
  readonly id: string | undefined
}

const MAX_ENTRIES = 1_000
const MAX_CHARS = 1_048_576

/**
 * The newest blocks of a stream, from one cursor on and without a hole: a tab that comes late, or comes back, is given what lies after its
 * own cursor, or nothing at all.
 */
export class Tape {
  #entries: Entry[] = []
  #chars = 0
  /** The cursor right before the first entry. Without one nothing can be proven. */
  #start: string | undefined
  /** The cursor after which nothing is complete. Nobody else writes it. */
  head: string | undefined

  /** Forgets everything: the stream goes on at this cursor. */
  begin(cursor: string | undefined): void {
    this.#entries = []
    this.#chars = 0
    this.#start = this.head = cursor
  }

  /** The stream goes on right after the head: what had come of a page that is not complete comes again. */
  resume(): void {
    for (const { text } of this.#entries.splice(this.#pageEnd)) this.#chars -= text.length
  }

  /** Takes in the next block of the stream. */
  record(text: string): void {
    const { event, id, isEmpty } = readBlock(text)
    if (event === 'resync') this.begin(id)
    // A stream's end is no part of the log, nor are a comment and a heartbeat that says no cursor.
    else if (!isEmpty && event !== 'closing' && (event !== 'heartbeat' || id !== undefined)) this.#add({ text, id })
  }

  #add(entry: Entry): void {
    // An id that comes again says nothing new: a heartbeat's.
    if (entry.id !== undefined && entry.id === this.head && this.tail().length === 0) return
    if (this.#start === undefined && entry.id !== undefined) {
      this.begin(entry.id)
      return
    }
    this.#entries.push(entry)
    this.#chars += entry.text.length
    this.head = entry.id ?? this.head
    while (this.#entries.length > MAX_ENTRIES || this.#chars > MAX_CHARS) this.#dropPage()
  }

  has(cursor: string): boolean {
    return this.after(cursor) !== undefined
  }

  /** Everything after this cursor; `undefined` where that cannot be proven to be everything. */
  after(cursor: string): string[] | undefined {
    if (this.#start === undefined) return undefined
    const at = this.#entries.findLastIndex(({ id }) => id === cursor)
    if (at >= 0) return textOf(this.#entries.slice(at + 1))
    if (cursor === this.#start) return textOf(this.#entries)
    // A cursor of events that this stream does not carry lies between two others.
    if (!isBefore(this.#start, cursor)) return undefined
    const next = this.#entries.findIndex(({ id }) => id !== undefined && isBefore(cursor, id))
    // Of a page of several blocks it cannot be said which of them lie before it.
    if (next < 0 || (next > 0 && this.#entries[next - 1]?.id === undefined)) return undefined
    return textOf(this.#entries.slice(next))
  }

  /** Whether it is a cursor of the same log that the stream has not come to yet. */
  isBehind(cursor: string): boolean {
    return this.head !== undefined && isBefore(this.head, cursor)
  }

  /** What has come after the head: blocks of a page whose last one, which has the cursor, is still to come. */
  tail(): string[] {
    return textOf(this.#entries.slice(this.#pageEnd))
  }

  get #pageEnd(): number {
    return this.#entries.findLastIndex(({ id }) => id !== undefined) + 1
  }

  /** Pages are whole: one goes with all of its blocks. */
  #dropPage(): void {
    const end = this.#entries.findIndex(({ id }) => id !== undefined)
    if (end < 0) {
      this.begin(undefined)
      return
    }
    this.#start = this.#entries[end]?.id
    for (const { text } of this.#entries.splice(0, end + 1)) this.#chars -= text.length
  }
}

/** Whether both are of one log, and in this order. */
export function isBefore(one: string, other: string): boolean {
  const [a, b] = [parseCursor(one), parseCursor(other)]
  return a !== null && b !== null && a.epoch === b.epoch && a.offset < b.offset
}

function textOf(entries: readonly Entry[]): string[] {
  return entries.map(({ text }) => text)
}

/** Cuts the text of a stream into its blocks, however it arrives; line ends become LF. */
export class BlockSplitter {
  #parts: string[] = []
  #chars = 0
  #endsInLf = false
  #endsInCr = false

  /** How much of a block that is not complete is kept. */
  get pendingChars(): number {
    return this.#chars
  }

  /** The blocks that this text completes. */
  feed(chunk: string): string[] {
    let text = chunk
    if (this.#endsInCr && text !== '') {
      this.#endsInCr = false
      if (text[0] === '\n') text = text.slice(1)
    }
    if (text.includes('\r')) {
      this.#endsInCr = text.endsWith('\r')
      text = text.replace(/\r\n?/g, '\n')
    }
    const blocks: string[] = []
    let start = 0
    // No text is searched twice, however small the pieces are.
    if (this.#endsInLf && text[0] === '\n') {
      blocks.push(`${this.take()}\n`)
      start = 1
    }
    for (;;) {
      const end = text.indexOf('\n\n', start)
      if (end < 0) break
      blocks.push(this.take() + text.slice(start, end + 2))
      start = end + 2
    }
    if (start < text.length) {
      const rest = text.slice(start)
      this.#parts.push(rest)
      this.#chars += rest.length
      this.#endsInLf = rest.endsWith('\n')
    }
    return blocks
  }

  /** What there is of a block that is not complete; nothing of it is kept. */
  take(): string {
    const text = this.#parts.join('')
    this.#parts = []
    this.#chars = 0
    this.#endsInLf = false
    return text
  }
}

/** What a cursor is; with any other id nothing can be resumed. */
const CURSOR = /^[\w.-]{1,128}$/

/** The fields of a block, as far as they matter here. */
export function readBlock(text: string): { event?: string; id?: string; data?: string; isEmpty: boolean } {
  const fields: { event?: string; id?: string; data?: string } = {}
  for (const line of text.split('\n')) {
    const [, name, value = ''] = /^(event|id|data)(?:: ?(.*))?$/s.exec(line) ?? []
    if (name === 'data') fields.data = fields.data === undefined ? value : `${fields.data}\n${value}`
    else if (name === 'event') fields.event = value
    else if (name === 'id' && CURSOR.test(value)) fields.id = value
  }
  return { ...fields, isEmpty: fields.id === undefined && fields.data === undefined }
}
