import { encodeFrame } from '@entitycast/sse-protocol'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { at, connected, heartbeat, named, resync, updated } from '../support/frames'
import { openPage } from '../support/page'
import { cut, readChunks } from '../support/reader'
import '../../../sse-protocol/test/property/replay'

const config = { numRuns: 200 }

/** Whatever is awkward at the edge of a chunk. */
const piece = fc.constantFrom(
  'data: a',
  'data:',
  'data',
  'event: entity.updated',
  'id: k.1',
  'id',
  'retry: 5',
  'retry: x',
  ':comment',
  ': ',
  'unknown: 1',
  '\n',
  '\r',
  '\r\n',
  '\n\n',
  '\r\r',
  '\r\n\r\n',
  '\ufeff',
  '\u00ef\u00bb\u00bf',
  'ü',
  '€',
  '😀',
  '\u2028',
  '\0',
  ' ',
  ':',
)
const text = fc.array(piece, { maxLength: 40 }).map((pieces) => pieces.join(''))
const places = fc.array(fc.nat(400), { maxLength: 60 })

test('[W1] any text, cut at any bytes, gives the same frames', async () => {
  await fc.assert(
    fc.asyncProperty(text, places, async (text, places) => {
      const bytes = new TextEncoder().encode(text)
      const whole = await readChunks([bytes])
      const parts = await readChunks(cut(bytes, places))
      expect([parts.frames, parts.retries, parts.end]).toEqual([whole.frames, whole.retries, whole.end])
    }),
    config,
  )
})

/** One thing that a server may send, with the offset after it. */
const step = fc.oneof(
  fc.constant((offset: number) => updated(`doc_${offset % 3}`, at(offset), { version: offset })),
  fc.constant((offset: number) => updated(`doc_${offset % 3}`)),
  fc.constant((offset: number) => named('lock:acquired', { text: `ü😀${offset}` }, at(offset))),
  fc.constant((offset: number) => heartbeat(at(offset))),
  fc.constant(() => heartbeat()),
  fc.constant((offset: number) => resync('overflow', at(offset))),
  fc.constant(() => encodeFrame({ comment: 'keepalive' })),
  fc.constant(() => 'event: unknown\ndata: {}\n\n'),
)

test('[W1, D2] any stream, cut at any bytes, tells a page the same story', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 20 }),
      fc.array(fc.nat(3000), { maxLength: 40 }),
      async (steps, places) => {
        const stream = connected({ id: at(0) }) + steps.map((step, i) => step(i + 1)).join('')
        const bytes = new TextEncoder().encode(stream)
        const stories = []
        for (const chunks of [[bytes], cut(bytes, places)]) {
          const page = openPage()
          const exchange = await page.open()
          for (const chunk of chunks) {
            exchange.sendBytes(chunk)
            await page.settle()
          }
          stories.push({ story: page.story, events: page.events, cursor: page.subscriber.cursor })
          page.subscriber.close()
        }
        expect(stories[1]).toEqual(stories[0])
      },
    ),
    { ...config, numRuns: 100 },
  )
})

test('[D3, W9] any stream that is cut at any byte and resumed gives each event effectively once, in order', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.boolean(), { minLength: 1, maxLength: 20 }),
      fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 5 }),
      async (withId, cuts) => {
        // The log: an event an offset. A page is a run of frames without an id, up to the next with one; the last always has one.
        const log = withId.map((has, i) => ({
          id: `doc_${i + 1}`,
          cursor: has || i === withId.length - 1 ? at(i + 1) : undefined,
        }))
        const after = (offset: number) =>
          log
            .slice(offset)
            .map(({ id, cursor }) => updated(id, cursor))
            .join('')
        const page = openPage()
        let exchange = await page.open()
        for (const share of [...cuts, undefined]) {
          const sent = exchange.header('last-event-id')
          const offset = sent === undefined ? 0 : Number(sent.split('.')[1])
          const body = connected({ id: at(offset), resume: sent === undefined ? 'live' : 'replayed' }) + after(offset)
          const bytes = new TextEncoder().encode(body)
          exchange.stream().sendBytes(share === undefined ? bytes : bytes.slice(0, Math.floor(share * bytes.length)))
          await page.settle()
          if (share === undefined) break
          exchange.end()
          exchange = await page.next()
        }
        expect(page.ids).toEqual(log.map(({ id }) => id))
        expect(page.resyncs).toEqual([])
        page.subscriber.close()
      },
    ),
    config,
  )
})
