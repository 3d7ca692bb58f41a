import type { StreamReader } from '../seams/ports'
import { type StreamFrame, StreamParser } from './parser'

/** What is told while a stream is read. */
export interface StreamListener {
  /** Bytes have arrived, whatever they say. */
  bytes(): unknown
  /** A block with data or an id, as the standard parses it. */
  frame(frame: StreamFrame): unknown
  /** A `retry:` line, in milliseconds. */
  retry(delayMs: number): void
}

/**
 * Reads one response to its end. However the bytes are cut, the frames are the same. A block that is not complete at the end is dropped.
 * Handlers are never waited for.
 *
 * @returns how it ended; `too-large`: a line or a block over `maxEventBytes`, the rest is not read
 */
export async function readStream(
  reader: StreamReader,
  maxEventBytes: number,
  listener: StreamListener,
): Promise<'ended' | 'too-large'> {
  // One decoder for the whole stream: characters are put together across chunks, and only a leading byte order mark is dropped.
  const decoder = new TextDecoder()
  const parser = new StreamParser(maxEventBytes, listener.frame, listener.retry)
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return 'ended'
    if (!value?.length) continue
    listener.bytes()
    if (!parser.feed(decoder.decode(value, { stream: true }))) return 'too-large'
  }
}
