import { createParser } from 'eventsource-parser'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type StreamFrame, streamParser } from '../../src/subscriber/parser'
import '../../../sse-protocol/test/property/replay'

const config = { numRuns: 2_000 }

interface Read {
  frames: StreamFrame[]
  retries: number[]
}

function read(chunks: readonly string[], maxChars = 1_000_000): Read {
  const found: Read = { frames: [], retries: [] }
  const feed = streamParser(
    maxChars,
    (frame) => found.frames.push(frame),
    (delayMs) => found.retries.push(delayMs),
  )
  for (const chunk of chunks) feed(chunk)
  return found
}

/** The standard's text, word for word, as slowly as it likes. */
function oracle(text: string): Read {
  const found: Read = { frames: [], retries: [] }
  const lines = text.split(/\r\n|\r|\n/)
  // What follows the last line end is a line that is not complete.
  lines.pop()
  let event = ''
  let id: string | undefined
  let data: string | undefined
  for (const line of lines) {
    if (line === '') {
      if (data !== undefined || id !== undefined) {
        found.frames.push({ event: event || undefined, id, data: data?.slice(0, -1) })
      }
      event = ''
      id = data = undefined
      continue
    }
    const colon = line.indexOf(':')
    const name = colon === -1 ? line : line.slice(0, colon)
    const value = colon === -1 ? '' : line.slice(colon + 1).replace(/^ /, '')
    if (name === 'event') event = value
    else if (name === 'data') data = `${data ?? ''}${value}\n`
    else if (name === 'id' && !value.includes('\0')) id = value
    else if (name === 'retry' && /^[0-9]+$/.test(value)) found.retries.push(Number(value))
  }
  return found
}

const piece = fc.oneof(
  fc.constantFrom('data', 'event', 'id', 'retry', 'dat', 'datas', 'Data', ' data', 'id ', 'unknown'),
  fc.constantFrom(':', ': ', ':  ', '::', ' '),
  fc.constantFrom('\n', '\r', '\r\n', '\n\n', '\r\r', '\r\n\r\n', '\n\r'),
  fc.constantFrom('k.1', '5', '0', '-1', '1e3', '٣', 'x', 'ü', '😀', '\0', '\ufeff', '\u2028', '{"a":1}'),
)
const text = fc.array(piece, { maxLength: 30 }).map((pieces) => pieces.join(''))

function cutAt(text: string, places: readonly number[]): string[] {
  const edges = [...new Set([0, ...places.filter((place) => place < text.length), text.length])].sort((a, b) => a - b)
  return edges.slice(1).map((edge, i) => text.slice(edges[i], edge))
}

test('[W1, K1] any text, cut anywhere, is read as the standard says', () => {
  fc.assert(
    fc.property(text, fc.array(fc.nat(120), { maxLength: 20 }), (text, places) => {
      const expected = oracle(text)
      expect(read([text])).toEqual(expected)
      expect(read(cutAt(text, places))).toEqual(expected)
      expect(read(text.split(''))).toEqual(expected)
    }),
    config,
  )
})

test('[W1, K1] and as eventsource-parser reads it, but for blocks that have only an id', () => {
  fc.assert(
    fc.property(text, (text) => {
      // It takes what looks like a byte order mark off, waits behind a CR, and does not check each digit: not what is compared here.
      fc.pre(!text.startsWith('\ufeff') && !text.endsWith('\r'))
      const frames: StreamFrame[] = []
      const parser = createParser({
        onEvent: ({ event, id, data }) => frames.push({ event: event || undefined, id, data }),
      })
      parser.feed('')
      parser.feed(text.replace(/\r\n?/g, '\n'))
      expect(read([text]).frames.filter(({ data }) => data !== undefined)).toEqual(frames)
    }),
    config,
  )
})

test('[K1] each short text of line ends, cut in each way', () => {
  const ends = ['\n', '\r', '\r\n']
  for (const a of ends) {
    for (const b of ends) {
      for (const c of ends) {
        const text = `id: 1${a}data: x${b}${c}data: y${c}${a}`
        const expected = oracle(text)
        for (let mask = 0; mask < 2 ** 8; mask++) {
          const places = Array.from({ length: text.length }, (_, i) => i).filter((i) => mask & (1 << (i % 8)))
          expect(read(cutAt(text, places))).toEqual(expected)
        }
      }
    }
  }
})

test('[K2] lines without a colon cost no more than others', () => {
  // Were each line searched for a colon to the end of the text, this would take minutes.
  const { frames } = read([`${'dat\n'.repeat(500_000)}data: a\n\n`])
  expect(frames).toMatchObject([{ data: 'a' }])
})

test('[W1] each block has its own name, however much it is like the one before', () => {
  const names = [
    'lock:acquired',
    'lock:acquires',
    'lock:acquired',
    '',
    'lock:acquired:twice:over',
    'lock:acquired:twice:oven',
  ]
  const stream = [...names, 'a', '__proto__', '1', 'lock:acquirex']
    .map((name) => `event: ${name}\ndata: x\n\n`)
    .join('')
  expect(read([stream])).toEqual(oracle(stream))
})
