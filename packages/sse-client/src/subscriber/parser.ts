/** A block that ended with an empty line, as the WHATWG standard reads it. */
export interface StreamFrame {
  /** The block's `event:`; not there where it is empty, which means `message`. */
  readonly event?: string | undefined
  /** The block's own `id:`; not there where it has none. */
  readonly id?: string | undefined
  /** The block's `data:` lines; not there where it has none. Then it has an id: the standard dispatches no event, and moves the cursor. */
  readonly data?: string | undefined
}

/** What a block may hold beside its data, in one line: a name, the cursor, a comment. */
const FIELD_CHARS = 512
const DIGITS = /^\d+$/

/**
 * Text in, blocks out; however the text is cut, the blocks are the same. Why it is our own: docs/decisions/0004-own-parser.md.
 *
 * The byte order mark is the decoder's affair. No search goes beyond the line that it is for, and no line is searched twice, so that
 * the time grows with the length of the text only.
 */
export class StreamParser {
  readonly #maxChars: number
  readonly #onFrame: (frame: StreamFrame) => unknown
  readonly #onRetry: (delayMs: number) => unknown
  /** Of a line that is not complete. */
  #rest = ''
  #endsInCR = false
  #event: string | undefined
  #name = ''
  #id: string | undefined
  #data: string | undefined
  #tooLarge = false

  constructor(maxChars: number, onFrame: (frame: StreamFrame) => unknown, onRetry: (delayMs: number) => unknown) {
    this.#maxChars = maxChars
    this.#onFrame = onFrame
    this.#onRetry = onRetry
  }

  /** False: a line or a block is too large, and nothing is read any more. */
  feed(chunk: string): boolean {
    let text = chunk
    // A CR ends its line at once, whatever follows; a LF right behind it, in this chunk or the next, belongs to it.
    if (this.#endsInCR && text !== '') {
      this.#endsInCR = false
      if (text[0] === '\n') text = text.slice(1)
    }
    if (text.includes('\r')) {
      this.#endsInCR = text.endsWith('\r')
      text = text.replace(/\r\n?/g, '\n')
    }
    let start = 0
    for (;;) {
      const end = text.indexOf('\n', start)
      if (end === -1 || this.#tooLarge) break
      if (this.#rest === '') this.#line(text, start, end)
      else {
        const line = this.#rest + text.slice(start, end)
        this.#rest = ''
        this.#line(line, 0, line.length)
      }
      start = end + 1
    }
    this.#rest += start === 0 ? text : text.slice(start)
    if (this.#rest.length > this.#maxChars + FIELD_CHARS) this.#tooLarge = true
    return !this.#tooLarge
  }

  #line(text: string, start: number, end: number): void {
    if (start === end) {
      this.#dispatch()
      return
    }
    if (end - start > this.#maxChars + FIELD_CHARS) this.#tooLarge = true
    // Nothing else is a field: a comment begins with a colon, and no other name is known.
    let value = field(text, start, end, 'data')
    if (value !== undefined) {
      this.#data = this.#data === undefined ? value : `${this.#data}\n${value}`
      if (this.#data.length > this.#maxChars) this.#tooLarge = true
    } else if ((value = field(text, start, end, 'event')) !== undefined) this.#event = value && this.#intern(value)
    else if ((value = field(text, start, end, 'id')) !== undefined) {
      if (!value.includes('\0')) this.#id = value
    } else {
      value = field(text, start, end, 'retry')
      if (value !== undefined && DIGITS.test(value)) this.#onRetry(Number(value))
    }
  }

  /** One name follows itself most of the time. As the name of a property it is a text that engines compare without reading it. */
  #intern(name: string): string {
    if (name !== this.#name) this.#name = Object.keys({ [name]: true })[0] as string
    return this.#name
  }

  #dispatch(): void {
    const frame = { event: this.#event || undefined, id: this.#id, data: this.#data }
    this.#event = this.#id = this.#data = undefined
    if (frame.id !== undefined || frame.data !== undefined) this.#onFrame(frame)
  }
}

/** The line's value where it has this name: behind the colon and one space, and empty without a colon. */
function field(text: string, start: number, end: number, name: string): string | undefined {
  if (!text.startsWith(name, start)) return undefined
  let at = start + name.length
  if (at === end) return ''
  if (text[at++] !== ':') return undefined
  return text.slice(text[at] === ' ' ? at + 1 : at, end)
}
