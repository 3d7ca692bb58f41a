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
 * The byte order mark is the decoder's affair. No search goes beyond the line that it is for, and no line is searched more than twice,
 * so that the time grows with the length of the text only.
 *
 * @returns takes the next piece of text. False: a line or a block is too large, and nothing is read any more
 */
export function streamParser(
  maxChars: number,
  onFrame: (frame: StreamFrame) => unknown,
  onRetry: (delayMs: number) => unknown,
): (chunk: string) => boolean {
  const maxLine = maxChars + FIELD_CHARS
  /** Of a line that is not complete. */
  let rest = ''
  let endsInCR = false
  /** The last line that named an event, to its end, and the name: one follows itself most of the time. */
  let nameLine = '\r'
  let name: string | undefined
  let frame: { -readonly [Field in keyof StreamFrame]: StreamFrame[Field] } = { event: name, id: name, data: name }
  let tooLarge = false

  /** @returns what is behind the last whole line */
  function readLines(text: string, from: number): string {
    let start = from
    let block = frame
    while (!tooLarge) {
      if (text[start] === '\n') {
        const whole = block
        block = { event: undefined, id: undefined, data: undefined }
        if (whole.id !== undefined || whole.data !== undefined) onFrame(whole)
        const after = ++start + nameLine.length
        // Of the same length, so that it is looked for in one place: engines compare a slice more slowly.
        if (text.slice(start, after).includes(nameLine)) {
          block.event = name
          start = after
        }
        continue
      }
      const end = text.indexOf('\n', start)
      if (end === -1) break
      if (end - start > maxLine) tooLarge = true
      let colon = start
      while (colon < end && text[colon] !== ':') colon++
      // Behind the colon and one space; empty without a colon.
      const value = text.slice(text[colon + 1] === ' ' ? colon + 2 : colon + 1, end)
      // Nothing else is a field: a comment begins with a colon, and no other name is known.
      switch (text.slice(start, colon)) {
        case 'data':
          block.data = block.data === undefined ? value : `${block.data}\n${value}`
          if (block.data.length > maxChars) tooLarge = true
          break
        case 'event':
          nameLine = text.slice(start, end + 1)
          // As the name of a property it is a text that engines compare without reading it.
          name = block.event = Object.keys({ [value]: 1 })[0] || undefined
          break
        case 'id':
          if (!value.includes('\0')) block.id = value
          break
        case 'retry':
          if (DIGITS.test(value)) onRetry(+value)
      }
      start = end + 1
    }
    frame = block
    return text.slice(start)
  }

  return (chunk) => {
    let text = chunk
    // A CR ends its line at once, whatever follows; a LF right behind it, in this chunk or the next, belongs to it.
    if (endsInCR && text) {
      endsInCR = false
      if (text[0] === '\n') text = text.slice(1)
    }
    if (text.includes('\r')) {
      endsInCR = text.endsWith('\r')
      text = text.replace(/\r\n?/g, '\n')
    }
    const start = rest ? text.indexOf('\n') + 1 : 0
    if (start) rest = readLines(rest + text.slice(0, start), 0)
    rest += readLines(text, start)
    if (rest.length > maxLine) tooLarge = true
    return !tooLarge
  }
}
