import { EventSource, type EventSourceOptions } from '@entitycast/sse-client/event-source'
import { EventSource as NpmEventSource } from 'eventsource'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { settle, VirtualClock } from '../../src/bindings/testing-clock'
import type { StreamResponse } from '../../src/seams/ports'
import { cut, readerOf } from '../support/reader'
import { CASES, collect, type Dispatched, interpret, TYPES } from './event-source-cases'
import '../../../sse-protocol/test/property/replay'

/* See chunks.test.ts for how to run a property that failed once more. */
const { ENTITYCAST_SEED: seed, ENTITYCAST_PATH: path } = process.env
const config = {
  numRuns: 500,
  ...(seed !== undefined && { seed: Number(seed) }),
  ...(path !== undefined && { path }),
}
const encode = (text: string) => new TextEncoder().encode(text)

/** What our facade makes of a stream in these chunks, and the `Last-Event-ID` that its next request has. */
async function ours(chunks: readonly Uint8Array[]): Promise<{ events: Dispatched[]; header: string | undefined }> {
  const clock = new VirtualClock()
  const requests: (string | undefined)[] = []
  const fetch: EventSourceOptions['fetch'] = async (_url, { headers }): Promise<StreamResponse> => {
    requests.push(headers['last-event-id'])
    const body = { getReader: () => readerOf(requests.length === 1 ? chunks : []), cancel: async () => {} }
    return { status: 200, headers: { get: () => 'text/event-stream' }, body }
  }
  const source = new EventSource('http://stream.test/', { fetch }, { clock, random: () => 0 })
  const events: Dispatched[] = []
  for (const type of TYPES) {
    source.addEventListener(type, ({ type, data, lastEventId }) => {
      if (typeof data === 'string') events.push([type, data, lastEventId])
    })
  }
  try {
    while (source.readyState !== 0 || requests.length === 0 || clock.pending === 0) await settle()
    // The shortest delay; or where the stream has asked for more, as much as it can get.
    for (let waitedMs = 101; requests.length < 2 && waitedMs < 1_000_000; waitedMs *= 2) await clock.advance(waitedMs)
    return { events, header: requests[1] }
  } finally {
    source.close()
    expect(clock.pending).toBe(0)
  }
}

/** What the npm package makes of it. */
async function npms(chunks: readonly Uint8Array[]): Promise<Dispatched[]> {
  const fetch = async () => {
    const rest = [...chunks]
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        const next = rest.shift()
        if (next) controller.enqueue(next)
        else controller.close()
      },
    })
    return new Response(body, { headers: { 'content-type': 'text/event-stream' } })
  }
  return collect(new NpmEventSource('http://stream.test/', { fetch }))
}

/** The header that a last event ID becomes: UTF-8, one character a byte. */
function headerOf(lastEventId: string): string | undefined {
  return lastEventId === '' ? undefined : Buffer.from(lastEventId).toString('latin1')
}

describe.each(CASES)('[W1, K1] $name', ({ stream, expected, lastEventId = '' }) => {
  const bytes = encode(stream)

  test('the oracle agrees with the case', () => {
    expect(interpret(bytes)).toMatchObject({ events: expected, lastEventId })
  })

  test('our EventSource gives that, cut at each place, and resumes there', async () => {
    const wanted = { events: expected, header: headerOf(lastEventId) }
    expect(await ours([bytes])).toEqual(wanted)
    expect(await ours([...bytes].map((byte) => Uint8Array.of(byte)))).toEqual(wanted)
    for (let place = 1; place < bytes.length; place++) expect(await ours(cut(bytes, [place]))).toEqual(wanted)
  })
})

const piece = fc.oneof(
  fc.constantFrom('data', 'event', 'id', 'retry', 'dat', 'Data', ' data', 'x'),
  fc.constantFrom(':', ': ', ':  ', '::', ' '),
  fc.constantFrom('\n', '\r', '\r\n', '\n\n', '\r\r', '\r\n\r\n', '\n\r'),
  fc.constantFrom('data: x\n', 'id: 7\n', 'event: x\n', 'id: ü\r', 'data: 😀\r\n', 'event: y\n', 'retry: 20\n'),
  fc.constantFrom('k.1', '5', '0', '-1', 'x', 'ü', '😀', '\0', '\ufeff', '\u2028'),
)
const streams = fc
  .tuple(fc.array(piece, { maxLength: 30 }), fc.array(fc.nat(150), { maxLength: 20 }), fc.boolean())
  .map(([pieces, places, broken]) => {
    const bytes = encode(pieces.join(''))
    // A byte that belongs to no character, somewhere.
    if (broken && bytes.length > 0) bytes[(places[0] ?? 0) % bytes.length] = 0xff
    return { bytes, places }
  })

test('[W1, K1] any stream, cut anywhere, is to our EventSource what the standard says', async () => {
  const listened = new Set(TYPES)
  await fc.assert(
    fc.asyncProperty(streams, async ({ bytes, places }) => {
      const { events, lastEventId } = interpret(bytes)
      const expected = { events: events.filter(([type]) => listened.has(type)), header: headerOf(lastEventId) }
      expect(await ours([bytes])).toEqual(expected)
      expect(await ours(cut(bytes, places))).toEqual(expected)
    }),
    config,
  )
})

/** Where the npm package (eventsource 4.1.1, eventsource-parser 3) is not what the standard says, or not at each cut. */
const NPM_DIFFERS: Readonly<Record<string, string>> = {
  'lines that end in CR': 'a CR at the end of what has come is waited behind, and the last block is lost',
  'line ends of all kinds': 'so is this one',
  'no data, no event': 'the id of a block without data is dropped',
  'an id without data counts': 'so is this one',
  'an id stays': 'an event has the id of its own block only',
  'an id with NULL is ignored': 'the event behind it has none',
}

describe('[W1] the npm package eventsource beside it', () => {
  test.each(CASES)('$name', async ({ name, stream, expected }) => {
    const bytes = encode(stream)
    const got = [await npms([bytes]), await npms([...bytes].map((byte) => Uint8Array.of(byte)))]
    if (NPM_DIFFERS[name]) expect(got, NPM_DIFFERS[name]).not.toEqual([expected, expected])
    else expect(got).toEqual([expected, expected])
  })
})
