import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { cut, readChunks } from '../support/reader'

const encode = (text: string) => new TextEncoder().encode(text)

interface Vector {
  name: string
  text: string
  events: { event: string; data: string; lastEventId: string }[]
  retry?: number
}

const vectors = JSON.parse(
  readFileSync(new URL('../../../sse-protocol/vectors/frames.json', import.meta.url), 'utf8'),
) as { decode: Vector[] }

describe('the vectors', () => {
  test.each(vectors.decode)(
    '[W1] $name: the same events whole, in single bytes, and cut once at each byte',
    async ({ text, events, retry }) => {
      const bytes = encode(text)
      const single = Array.from({ length: bytes.length }, (_, i) => i)
      for (const places of [[], single, ...single.map((place) => [place])]) {
        const { frames, retries, end } = await readChunks(cut(bytes, places))
        let lastEventId = ''
        const found = frames.map(({ event = 'message', id, data }) => {
          lastEventId = id ?? lastEventId
          return { event, data, lastEventId }
        })
        expect(found).toEqual(events)
        expect([end, retries.at(-1)]).toEqual(['STREAM_ENDED', retry])
      }
    },
  )
})

test('[K1] a frame that ends with CR is there at once, not when the next character comes', async () => {
  for (const text of ['data: a\r\r', 'data: a\r\n\r', 'data: a\n\r']) {
    expect((await readChunks([encode(text)])).frames).toMatchObject([{ data: 'a' }])
  }
})

test('[K1] a CRLF that is cut, with a piece of a character in between, is one line end', async () => {
  const { frames } = await readChunks([
    encode('data: a\r'),
    encode('\n'),
    encode('\n'),
    encode('data: ü\r\n').slice(0, 7),
    encode('data: ü\r\n\r\n').slice(7),
  ])
  expect(frames.map(({ data }) => data)).toEqual(['a', 'ü'])
})

test('[K1] only the first byte order mark is dropped', async () => {
  const { frames } = await readChunks([encode('\ufeffdata: a\ufeffb\n\n'), encode('\ufeffdata: not a field\n\n')])
  expect(frames).toMatchObject([{ data: 'a\ufeffb' }])
})

test('[K1] text that looks like an undecoded byte order mark is text, wherever it is cut', async () => {
  const bytes = encode('\u00ef\u00bb\u00bfdata: a\n\ndata: b\n\n')
  for (const places of [[], [2], [4], [6]]) {
    expect((await readChunks(cut(bytes, places))).frames.map(({ data }) => data)).toEqual(['b'])
  }
})

test('[W9] a block that is not complete at the end of the stream is dropped', async () => {
  expect((await readChunks([encode('id: 1\ndata: a\n\nid: 2\ndata: b\n')])).frames).toMatchObject([
    { id: '1', data: 'a' },
  ])
})

test('[K1] chunks without bytes change nothing', async () => {
  const { frames, chunks } = await readChunks([new Uint8Array(), encode('data: a'), new Uint8Array(), encode('\n\n')])
  expect([frames.length, chunks]).toEqual([1, 2])
})

const MAX = 4096

test.each<[string, string]>([
  ['a line', `data: ${'x'.repeat(MAX * 4)}`],
  ['a comment', `:${'x'.repeat(MAX * 4)}`],
  ['a name', 'x'.repeat(MAX * 4)],
  ['data of many lines', 'data: x\n'.repeat(MAX)],
  ['data of many empty lines', 'data\n'.repeat(MAX * 2)],
])('[W8] %s without end is given up at the limit', async (_, text) => {
  const { frames, end, chunks } = await readChunks(
    cut(
      encode(text),
      Array.from({ length: 1000 }, (_, i) => i * 100),
    ),
    MAX,
  )
  expect([frames, end]).toEqual([[], 'TOO_LARGE'])
  // A line counts without its field name, and an empty one as its line end.
  expect(chunks * 100).toBeLessThan(MAX * 8)
})

test('[W8] the limit cuts the same events in one chunk and in single bytes', async () => {
  for (const length of [MAX, MAX + 1]) {
    const bytes = encode(`event: entity.updated\nid: k.1\ndata: ${'x'.repeat(length)}\n\ndata: next\n\n`)
    const whole = await readChunks([bytes], MAX)
    const single = await readChunks(
      cut(
        bytes,
        Array.from({ length: bytes.length }, (_, i) => i),
      ),
      MAX,
    )
    expect(whole.frames).toEqual(single.frames)
    expect([whole.end, single.end]).toEqual(
      length > MAX ? ['TOO_LARGE', 'TOO_LARGE'] : ['STREAM_ENDED', 'STREAM_ENDED'],
    )
    expect(whole.frames).toHaveLength(length > MAX ? 0 : 2)
  }
})

test('[W8] what came before the event that is too large is delivered', async () => {
  const { frames, end } = await readChunks([encode(`data: a\n\ndata: ${'x'.repeat(MAX + 1)}\n\ndata: b\n\n`)], MAX)
  expect([frames.map(({ data }) => data), end]).toEqual([['a'], 'TOO_LARGE'])
})

test('[K2] a line of 1 MiB in single bytes takes time that grows with its length, not with its square', async () => {
  const time = async (length: number) => {
    const byte = encode('x')
    function* drip() {
      yield encode('data: ')
      for (let i = 0; i < length; i++) yield byte
      yield encode('\n\n')
    }
    const start = process.cpuUsage()
    const { frames } = await readChunks(drip())
    expect(frames[0]?.data).toHaveLength(length)
    // Of this process alone, whoever else is at work.
    return process.cpuUsage(start).user / 1_000
  }
  await time(20_000)
  const [short, long] = [await time(50_000), await time(1_000_000)]
  // 20 times the bytes; with a square it were 400 times the time.
  expect(long).toBeLessThan(Math.max(short, 1) * 150)
})
