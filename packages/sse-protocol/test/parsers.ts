import { getLines, getMessages } from '@microsoft/fetch-event-source/lib/cjs/parse.js'
import { createParser } from 'eventsource-parser'

/** What a parser made of a stream. */
export interface Parsed {
  events: { event: string; data: string; lastEventId: string }[]
  lastEventId: string
  retry: number | undefined
}

/**
 * The algorithm of https://html.spec.whatwg.org/multipage/server-sent-events.html (sections "parsing" and "interpreting an event stream"),
 * written down step by step and over the whole text: slow, and plainly what the standard says.
 */
export function readByTheStandard(bytes: Uint8Array): Parsed {
  const text = new TextDecoder('utf-8').decode(bytes)
  const events: Parsed['events'] = []
  let retry: number | undefined
  let data = ''
  let type = ''
  let idBuffer = ''
  let lastEventId = ''
  const lines = text.split(/\r\n|\r|\n/)
  // What comes after the last line end is a line without end: the block that it would belong to is never dispatched.
  lines.pop()
  for (const line of lines) {
    if (line === '') {
      lastEventId = idBuffer
      if (data !== '') events.push({ event: type || 'message', data: data.slice(0, -1), lastEventId })
      data = ''
      type = ''
      continue
    }
    const colon = line.indexOf(':')
    if (colon === 0) continue
    const field = colon === -1 ? line : line.slice(0, colon)
    const value = colon === -1 ? '' : line.slice(colon + 1).replace(/^ /, '')
    if (field === 'event') type = value
    else if (field === 'data') data += `${value}\n`
    else if (field === 'id' && !value.includes('\0')) idBuffer = value
    else if (field === 'retry' && /^[0-9]+$/.test(value)) retry = Number(value)
  }
  return { events, lastEventId, retry }
}

/** npm `eventsource-parser`, which `eventsource` and `eventsource-client` use, fed as a network feeds it. */
export function readByEventsourceParser(chunks: Uint8Array[]): Parsed {
  const parsed: Parsed = { events: [], lastEventId: '', retry: undefined }
  const decoder = new TextDecoder()
  const parser = createParser({
    onEvent: ({ event = 'message', data, id }) => {
      if (id !== undefined) parsed.lastEventId = id
      parsed.events.push({ event, data, lastEventId: parsed.lastEventId })
    },
    onRetry: (retry) => {
      parsed.retry = retry
    },
  })
  for (const chunk of chunks) parser.feed(decoder.decode(chunk, { stream: true }))
  return parsed
}

/** The parser of npm `@microsoft/fetch-event-source`, which shares no code with the other. It reports blocks without data too. */
export function readByFetchEventSource(chunks: Uint8Array[]): Parsed {
  const parsed: Parsed = { events: [], lastEventId: '', retry: undefined }
  const onLine = getMessages(
    (id) => {
      parsed.lastEventId = id
    },
    (retry) => {
      parsed.retry = retry
    },
    ({ event, data }) => {
      if (data !== '') parsed.events.push({ event: event || 'message', data, lastEventId: parsed.lastEventId })
    },
  )
  const onChunk = getLines(onLine)
  for (const chunk of chunks) if (chunk.length > 0) onChunk(chunk)
  return parsed
}

/** A text as UTF-8. */
export function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

/** Bytes, cut before each of these places. */
export function cut(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const edges = [0, ...[...places].sort((a, b) => a - b), bytes.length]
  return edges.slice(1).map((end, i) => bytes.subarray(edges[i], end))
}
