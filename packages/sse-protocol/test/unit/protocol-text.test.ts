import { readFileSync } from 'node:fs'
import { parse } from 'valibot'
import { describe, expect, it } from 'vitest'
import {
  CLOSING_REASONS,
  CONTROL_TYPES,
  ControlEventSchemas,
  decodeEvent,
  ENTITY_TYPES,
  type EventInput,
  encodeEvent,
  encodeFrame,
  type Frame,
  isControlType,
  parseCursor,
  RESYNC_REASONS,
} from '../../src/index'
import { readByEventsourceParser, readByTheStandard, utf8 } from '../parsers'

const text = readFileSync(new URL('../../PROTOCOL.md', import.meta.url), 'utf8')
const streams = [...text.matchAll(/^```sse\n([\s\S]*?)^```$/gm)].map(([, body = '']) => body)

/** A block's lines as the frame that they are. */
function frameOf(block: string): Frame {
  const frame: Frame = {}
  for (const line of block.split('\n')) {
    const colon = line.indexOf(':')
    const field = line.slice(0, colon)
    if (field === '') frame.comment = line.slice(1)
    else if (field === 'retry') frame.retry = Number(line.slice(colon + 2))
    else if (field === 'event' || field === 'id' || field === 'data') frame[field] = line.slice(colon + 2)
  }
  return frame
}

const framesOf = (stream: string) => stream.split('\n\n').filter(Boolean).map(frameOf)

describe('PROTOCOL.md', () => {
  it('shows streams', () => expect(streams.length).toBeGreaterThan(15))

  for (const [i, stream] of streams.entries()) {
    const frames = framesOf(stream)
    const name = `stream ${i + 1} (${frames.map(({ event, comment }) => event ?? `:${comment}`).join(', ')})`

    it(`[W2 W3] ${name} is to the byte what encodeFrame writes, and parsers read it`, () => {
      expect(frames.map(encodeFrame).join('')).toBe(stream)
      const parsed = readByTheStandard(utf8(stream))
      expect(parsed.events).toHaveLength(frames.filter(({ data }) => data !== undefined).length)
      expect(readByEventsourceParser([utf8(stream)])).toEqual(parsed)
    })

    it(`[W12 W14] ${name} holds what schemas and codec accept`, () => {
      for (const { event, id, data } of frames) {
        if (id !== undefined) {
          expect(parseCursor(id)).not.toBeNull()
          expect([event, data]).not.toContain(undefined)
        }
        if (event === undefined || data === undefined) continue
        if (isControlType(event)) {
          expect(JSON.stringify(parse(ControlEventSchemas[event], JSON.parse(data)))).toBe(data)
        } else {
          const decoded = decodeEvent(event, data, 'proj_123')
          expect(encodeEvent(decoded as EventInput, () => '')).toEqual({ type: event, data })
        }
      }
    })

    it(`${name} keeps the rules of a stream`, () => {
      const offsets = new Map<string, number>()
      for (const [at, { event, id, data = '{}' }] of frames.entries()) {
        const cursor = id === undefined ? null : parseCursor(id)
        if (cursor) {
          expect(cursor.offset).toBeGreaterThanOrEqual(offsets.get(cursor.epoch) ?? 0)
          offsets.set(cursor.epoch, cursor.offset)
        }
        if (event === 'connected') {
          expect(at).toBe(0)
          expect(id === undefined).toBe(JSON.parse(data).resume === 'resync')
          if (id === undefined) expect(frames[1]?.event).toBe('resync')
        }
        if (event === 'closing') expect([at, id]).toEqual([frames.length - 1, undefined])
      }
    })
  }

  it('has a heading for each frame, with its direction and what breaking it does', () => {
    const sections = text.slice(text.indexOf('## 7. The frames'), text.indexOf('## 8. Pages')).split(/^### /m).slice(1)
    const headings = sections.map((section) => section.slice(0, section.indexOf('\n')))
    for (const type of [...CONTROL_TYPES, ...ENTITY_TYPES]) {
      expect(
        headings.some((heading) => heading.includes(`\`${type}\``)),
        type,
      ).toBe(true)
    }
    expect(headings).toContain('Named events')
    expect(headings).toContain('Comments')
    for (const section of sections) {
      expect(section).toMatch(/^Direction: /m)
      expect(section).toMatch(/^Breaking it: /m)
      expect(section).toContain('```sse\n')
    }
  })

  it('names each reason, each error code, and nothing else', () => {
    const reasons = (heading: string) => {
      const section = text.slice(text.indexOf(`### \`${heading}\``)).split(/^###? /m)[1] ?? ''
      return [...section.matchAll(/^\| `([a-z-]+)` \|/gm)].map(([, name]) => name).filter((name) => name !== 'reason')
    }
    expect(reasons('resync').sort()).toEqual([...RESYNC_REASONS].sort())
    expect(reasons('closing').sort()).toEqual([...CLOSING_REASONS].sort())
    const source = readFileSync(new URL('../../src/error.ts', import.meta.url), 'utf8')
    const codes = [...source.matchAll(/^ {2}\| '([A-Z_]+)'/gm)].map(([, code]) => code)
    const listed = text.slice(text.indexOf('The codes: '), text.indexOf('## 4.')).match(/[A-Z_]{6,}/g) ?? []
    expect([...listed].sort()).toEqual(codes.sort())
  })
})
