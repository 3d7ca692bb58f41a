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
/** V8 copies a text of up to so many characters when it cuts it out, and compares copies without leaving compiled code. */
const COPIED_CHARS = 12
const DIGITS = /^\d+$/

/**
 * Text in, blocks out; however the text is cut, the blocks are the same. Why it is our own: docs/decisions/0004-own-parser.md.
 *
 * The byte order mark is the decoder's affair. No search goes beyond the line that it is for, and no line is searched twice, so that
 * the time grows with the length of the text only.
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
  let lastName = ''
  let frame = noFrame()
  let tooLarge = false

  function readLine(text: string, start: number, end: number): void {
    if (start === end) {
      const { id, data } = frame
      const whole = frame
      frame = noFrame()
      if (id !== undefined || data !== undefined) onFrame(whole)
      return
    }
    if (end - start > maxLine) tooLarge = true
    let colon = start
    while (colon < end && text[colon] !== ':') colon++
    // Behind the colon and one space; empty without a colon.
    const value = text.slice(text[colon + 1] === ' ' ? colon + 2 : colon + 1, end)
    // Nothing else is a field: a comment begins with a colon, and no other name is known.
    switch (text.slice(start, colon)) {
      case 'data':
        frame.data = frame.data === undefined ? value : `${frame.data}\n${value}`
        if (frame.data.length > maxChars) tooLarge = true
        break
      case 'event':
        frame.event = intern(value)
        break
      case 'id':
        if (!value.includes('\0')) frame.id = value
        break
      case 'retry':
        if (DIGITS.test(value)) onRetry(Number(value))
    }
  }

  /** One name follows itself most of the time. As the name of a property it is a text that engines compare without reading it. */
  function intern(name: string): string | undefined {
    if (
      name.slice(0, COPIED_CHARS) !== lastName.slice(0, COPIED_CHARS) ||
      name.slice(COPIED_CHARS) !== lastName.slice(COPIED_CHARS)
    )
      lastName = Object.keys({ [name]: true })[0] as string
    return lastName || undefined
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
    let start = 0
    for (;;) {
      const end = text.indexOf('\n', start)
      if (end === -1 || tooLarge) break
      if (rest === '') readLine(text, start, end)
      else {
        const line = rest + text.slice(start, end)
        rest = ''
        readLine(line, 0, line.length)
      }
      start = end + 1
    }
    rest += text.slice(start)
    if (rest.length > maxLine) tooLarge = true
    return !tooLarge
  }
}

/** All its fields from the beginning: engines then see one shape of object only. */
function noFrame(): { event: string | undefined; id: string | undefined; data: string | undefined } {
  return { event: undefined, id: undefined, data: undefined }
}
