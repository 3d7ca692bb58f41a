import { describe, expect, it } from 'vitest'
import { encodeFrame } from '../../src/index'
import { cut, readByEventsourceParser, readByTheStandard, utf8 } from '../parsers'
import { codeOf, vectors } from '../vectors'

const { encode, decode } = vectors('frames')

describe('[W2 W3] a frame is written exactly', () => {
  for (const vector of encode) {
    it(vector.name, () => {
      if ('error' in vector) expect(codeOf(() => encodeFrame(vector.frame))).toBe(vector.error)
      else expect(encodeFrame(vector.frame)).toBe(vector.text)
    })
  }
})

describe('[W2] what was written is read back as one event, whatever is inside', () => {
  for (const vector of encode) {
    if ('error' in vector || vector.frame.data === undefined) continue
    const { event = 'message', id = '', data } = vector.frame
    it(vector.name, () => {
      const expected = [{ event, data: data?.replace(/\r\n?/g, '\n'), lastEventId: id }]
      expect(readByTheStandard(utf8(vector.text)).events).toEqual(expected)
      expect(readByEventsourceParser([utf8(vector.text)]).events).toEqual(expected)
    })
  }
})

describe('[W1 K1] a stream is read to the same events, wherever it is cut', () => {
  for (const vector of decode) {
    const { name, text, lf, events, lastEventId, retry } = vector
    const expected = { events, lastEventId, retry }
    it(name, () => {
      expect(readByTheStandard(utf8(text))).toEqual(expected)
      const bytes = utf8(lf ? text : `${text}:\n`)
      expect(readByEventsourceParser([bytes])).toEqual(expected)
      const everywhere = Array.from(bytes, (_, i) => i)
      expect(readByEventsourceParser(cut(bytes, everywhere))).toEqual(expected)
      for (const place of everywhere) {
        expect(readByEventsourceParser(cut(bytes, [place])), `cut before byte ${place}`).toEqual(expected)
      }
    })
  }
})

it('a block of only an id is lost on a common parser: this is why a cursor never travels alone (W4)', () => {
  const text = encodeFrame({ id: 'e.1' }) + encodeFrame({ data: 'x' })
  expect(readByTheStandard(utf8(text)).lastEventId).toBe('e.1')
  expect(readByEventsourceParser([utf8(text)]).lastEventId).toBe('')
})
