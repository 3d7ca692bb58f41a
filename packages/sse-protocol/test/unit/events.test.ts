import { describe, expect, it } from 'vitest'
import { decodeEvent, type EventInput, encodeEvent, encodeFrame } from '../../src/index'
import { readByEventsourceParser, utf8 } from '../parsers'
import { codeOf, vectors } from '../vectors'

const { now, publish, refuse, receive, reject } = vectors('events')
const encode = (input: unknown) => encodeEvent(input as EventInput, () => now)

describe('[W12 W13 W14] what a publisher gives is written as the wire carries it', () => {
  for (const { name, input, type, data } of publish) {
    it(name, () => expect(encode(input)).toEqual({ type, data }))
  }
})

describe('[W12 N2] and comes out of a frame and a parser as it went in', () => {
  for (const { name, input, type, data } of publish) {
    it(name, () => {
      const frame = encodeFrame({ event: type, id: 'k3J9xQ.1', data })
      const { events } = readByEventsourceParser([utf8(frame)])
      expect(events).toHaveLength(1)
      const { extra: _, ...given } = input as Record<string, unknown>
      const expected: Record<string, unknown> = { timestamp: now, ...given }
      if (type === 'entity.batch') expected.id = null
      if (!type.startsWith('entity.')) expected.data ??= null
      expect(decodeEvent(events[0]!.event, events[0]!.data, expected.projectId as string)).toEqual(expected)
    })
  }
})

describe('[P1 P2 P3 N1 N2 N3 N8] what is not allowed is refused with its code', () => {
  for (const { name, input, error } of refuse) {
    it(name, () => expect(codeOf(() => encode(input))).toBe(error))
  }
})

describe('[W12 W13 W14 K3] a frame is read to the whole event', () => {
  for (const { name, type, data, projectId, event } of receive) {
    it(name, () => {
      const decoded = decodeEvent(type, data, projectId)
      expect(decoded).toEqual(event)
      expect(Object.keys(decoded).sort()).toEqual(Object.keys(event).sort())
    })
  }
})

describe('[K3] a frame of another shape is refused with its code, so that the stream can go on', () => {
  for (const { name, type, data, projectId, error } of reject) {
    it(name, () => expect(codeOf(() => decodeEvent(type, data, projectId))).toBe(error))
  }
})
