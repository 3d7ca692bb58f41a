import { createParser, type EventSourceMessage } from 'eventsource-parser'
import type { StreamReader } from '../seams/ports'

/** What a block may hold beside its data: names, the cursor. With it the limit cuts the same events in one chunk and in many. */
const FIELD_CHARS = 512

/** What is told while a stream is read. */
export interface StreamListener {
  /** Bytes have arrived, whatever they say. */
  bytes(): unknown
  /** A block with data, as the standard parses it. */
  frame(frame: EventSourceMessage): unknown
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
  let tooLarge = false
  let endsInCR = false
  const parser = createParser({
    maxBufferSize: maxEventBytes + FIELD_CHARS,
    onEvent(frame) {
      // The parser's limit is for what it holds back: a block that came in one chunk has passed it by.
      tooLarge ||= frame.data.length > maxEventBytes
      if (!tooLarge) listener.frame(frame)
    },
    onRetry: (delayMs) => listener.retry(delayMs),
    onError: ({ type }) => {
      tooLarge ||= type === 'max-buffer-size-exceeded'
    },
  })
  // The parser takes the first three characters of its first chunk for undecoded bytes of a mark; the decoder has dealt with that.
  parser.feed('')
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return 'ended'
    if (!value?.length) continue
    listener.bytes()
    let text = decoder.decode(value, { stream: true })
    // The parser waits for what follows a CR; the standard does not. So it is only ever given LF.
    if (endsInCR && text.startsWith('\n')) {
      text = text.slice(1)
      endsInCR = false
    }
    if (text) endsInCR = text.endsWith('\r')
    if (text.includes('\r')) text = text.replace(/\r\n?/g, '\n')
    parser.feed(text)
    if (tooLarge) return 'too-large'
  }
}
