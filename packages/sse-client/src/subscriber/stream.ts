import type { StreamReader } from '../seams/ports'
import { type StreamFrame, streamParser } from './parser'

/** What is told while a stream is read. */
export interface StreamListener {
  /** Bytes have arrived, whatever they say. They are read when the result, where there is one, settles. */
  bytes(): Promise<unknown> | undefined
  /** A block with data or an id, as the standard parses it. */
  frame(frame: StreamFrame): unknown
  /** A `retry:` line, in milliseconds. */
  retry(delayMs: number): unknown
}

/**
 * Reads one response to its end. However the bytes are cut, the frames are the same. A block that is not complete at the end is dropped.
 * Handlers are never waited for.
 *
 * @returns how it ended; `TOO_LARGE`: a line or a block over `maxEventBytes`, the rest is not read
 */
export async function readStream(
  reader: StreamReader,
  maxEventBytes: number,
  listener: StreamListener,
): Promise<'STREAM_ENDED' | 'TOO_LARGE'> {
  const decode = textDecoder()
  const parse = streamParser(maxEventBytes, listener.frame, listener.retry)
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return 'STREAM_ENDED'
    if (!value?.length) continue
    const hold = listener.bytes()
    if (hold) await hold
    if (!parse(decode(value))) return 'TOO_LARGE'
  }
}

/**
 * The text of bytes that come in pieces, none of them empty: characters are put together across pieces, and only a leading byte order mark
 * is dropped. A piece that ends in ASCII leaves nothing open, and engines have their fast path for what is whole: in Node, text that was
 * decoded as a stream takes twice the memory and a fifth longer to parse.
 */
export function textDecoder(): (piece: Uint8Array) => string {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  let mark = '\uFEFF'
  return (piece) => {
    const text = decoder.decode(piece, { stream: (piece.at(-1) as number) > 0x7f })
    const start = text[0] === mark ? 1 : 0
    if (text) mark = ''
    return text.slice(start)
  }
}
