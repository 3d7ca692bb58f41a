import fc from 'fast-check'
import { describe, it } from 'vitest'
import { decodeEvent, encodeEvent, encodeFrame, type Frame } from '../../src/index'
import { cut, type Parsed, readByEventsourceParser, readByFetchEventSource, readByTheStandard, utf8 } from '../parsers'
import { anyEvent } from './arbitraries'
import './replay'

const places = fc.array(fc.nat(2_000), { maxLength: 20 })
const within = (bytes: Uint8Array, at: number[]) =>
  cut(
    bytes,
    at.map((place) => Math.min(place, bytes.length)),
  )

const text = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({
    unit: fc.constantFrom('\r', '\n', '\0', ':', ' ', 'data: ', 'event: x', 'id: 1', '\u2028', '\u0085', '\ufeff', 'a'),
  }),
)
const oneLine = text.map((value) => value.replace(/[\r\n\0]/g, ''))

const frame: fc.Arbitrary<Frame> = fc.record(
  { event: oneLine, id: oneLine, retry: fc.nat(), data: text, comment: text },
  { requiredKeys: [] },
)

/** What the standard says that a reader gets of these frames, worked out without text. */
function expected(frames: Frame[]): Parsed {
  let lastEventId = ''
  let retry: number | undefined
  const events: Parsed['events'] = []
  for (const { event, id, data, retry: wait } of frames) {
    lastEventId = id ?? lastEventId
    retry = wait ?? retry
    if (data !== undefined) events.push({ event: event || 'message', data: data.replace(/\r\n?/g, '\n'), lastEventId })
  }
  return { events, lastEventId, retry }
}

describe('encodeFrame', () => {
  it('[W2] whatever is inside a frame, a reader by the standard gets that frame and no other', () => {
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 5 }), (frames) => {
        same(readByTheStandard(utf8(frames.map(encodeFrame).join(''))), expected(frames))
      }),
    )
  })

  it('[W1 W2 K1] eventsource-parser gets the same, wherever the bytes are cut', () => {
    // It reports no block without data, so a cursor alone is lost on it: frames as W4 has them.
    const kept = frame.filter(({ id, data }) => id === undefined || data !== undefined)
    fc.assert(
      fc.property(fc.array(kept, { maxLength: 5 }), places, (frames, at) => {
        const bytes = utf8(frames.map(encodeFrame).join(''))
        same(readByEventsourceParser(within(bytes, at)), expected(frames))
      }),
    )
  })

  it('[W1 W3] frames of events are read alike by three parsers that share no code', () => {
    fc.assert(
      fc.property(fc.array(anyEvent, { minLength: 1, maxLength: 4 }), places, (events, at) => {
        const frames = events.map((event, i): Frame => {
          const { type, data } = encodeEvent(event, () => '')
          return { event: type, id: `e.${i + 1}`, data }
        })
        const bytes = utf8(`:keepalive\n\n${frames.map(encodeFrame).join('')}`)
        const chunks = within(bytes, at)
        same(readByTheStandard(bytes), expected(frames))
        same(readByEventsourceParser(chunks), expected(frames))
        same(readByFetchEventSource(chunks), expected(frames))
      }),
    )
  })
})

describe('encodeEvent and decodeEvent', () => {
  it('[W12 W13 W14] an event comes out as it went in', () => {
    fc.assert(
      fc.property(anyEvent, (event) => {
        const { type, data } = encodeEvent(event, () => {
          throw new Error('the timestamp was given')
        })
        const decoded = decodeEvent(type, data, event.projectId)
        same(sorted(decoded), sorted(event))
      }),
    )
  })

  it('[W2] the data line is one line', () => {
    fc.assert(fc.property(anyEvent, (event) => !/[\r\n]/.test(encodeEvent(event, () => '').data)))
  })

  it('[K3] whatever a server sends, an event comes out or an error with a code', () => {
    const type = fc.oneof(fc.constantFrom('entity.updated', 'entity.batch', 'a:b'), fc.string())
    const garbage = fc.oneof(
      fc.string(),
      fc.json(),
      fc.object().map((value) => JSON.stringify(value)),
    )
    fc.assert(
      fc.property(type, garbage, (name, data) => {
        try {
          decodeEvent(name, data, 'p1')
        } catch (error) {
          return typeof (error as { code?: unknown }).code === 'string'
        }
        return true
      }),
    )
  })
})

/** Text tells `__proto__` as a key from a prototype, and absent from undefined. */
function same(actual: unknown, wanted: unknown): void {
  const [a, b] = [JSON.stringify(actual), JSON.stringify(wanted)]
  if (a !== b) throw new Error(`got ${a}\nnot ${b}`)
}

function sorted(event: object): [string, unknown][] {
  return Object.entries(event).sort(([a], [b]) => (a < b ? -1 : 1))
}
