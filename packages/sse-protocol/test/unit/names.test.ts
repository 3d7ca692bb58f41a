import { describe, expect, it } from 'vitest'
import {
  channelName,
  formatCursor,
  matchesPattern,
  matchesType,
  parseChannelList,
  parseChannelName,
  parseCursor,
  utf8Bytes,
} from '../../src/index'
import { utf8 } from '../parsers'
import { codeOf, vectors } from '../vectors'

/** A value as a test's title can show it. */
const show = (value: unknown): string => {
  const text = JSON.stringify(value)
  return text.length > 60 ? `${text.slice(0, 59)}…` : text
}

describe('[N4] channel names', () => {
  const { names, refuse, none } = vectors('channels')
  for (const { projectId, channel, name } of names) {
    it(`${show([projectId, channel])} is ${show(name)}, and back`, () => {
      expect(channelName(projectId, channel)).toBe(name)
      expect(parseChannelName(name)).toEqual(channel === undefined ? { projectId } : { projectId, channel })
    })
  }
  for (const { error, ...pair } of refuse) {
    it(`${show(pair)} has none`, () => {
      expect(codeOf(() => channelName(pair.projectId as string, pair.channel as string))).toBe(error)
    })
  }
  for (const name of none) it(`${show(name)} is nobody's`, () => expect(parseChannelName(name)).toBeNull())
  it('what is not text is nobody’s name', () => expect(parseChannelName(7 as never)).toBeNull())
})

describe('[N3] lists of channels', () => {
  const { lists, refuseLists } = vectors('channels')
  for (const { list, channels } of lists) it(show(list), () => expect(parseChannelList(list)).toEqual(channels))
  for (const list of refuseLists) {
    it(`${show(list)} is refused`, () => expect(codeOf(() => parseChannelList(list))).toBe('INVALID_CHANNEL'))
  }
})

describe('[N5] patterns', () => {
  const { patterns, refusePatterns } = vectors('patterns')
  for (const { pattern, event, matches } of patterns) {
    it(`${show(pattern)} ${matches ? 'names' : 'does not name'} ${show(event)}`, () => {
      expect(matchesPattern(pattern, event)).toBe(matches)
    })
  }
  for (const pattern of refusePatterns) {
    it(`${show(pattern)} is refused`, () =>
      expect(codeOf(() => matchesPattern(pattern, { entity: 'document', id: 'doc_1' }))).toBe('INVALID_PATTERN'))
  }
  it('an entity without its star is refused with the pattern that was meant', () => {
    expect(() => matchesPattern('document', {})).toThrow('did you mean "document:*"?')
  })
})

describe('[N6] type patterns', () => {
  const { types, refuseTypes } = vectors('patterns')
  for (const { pattern, type, matches } of types) {
    it(`${show(pattern)} ${matches ? 'names' : 'does not name'} ${show(type)}`, () => {
      expect(matchesType(pattern, type)).toBe(matches)
    })
  }
  for (const pattern of refuseTypes) {
    it(`${show(pattern)} is refused`, () =>
      expect(codeOf(() => matchesType(pattern, 'lock:acquired'))).toBe('INVALID_PATTERN'))
  }
})

describe('[N7 C3] cursors', () => {
  const { cursors, none, refuse } = vectors('cursors')
  for (const { epoch, offset, text } of cursors) {
    it(`${show([epoch, offset])} is ${show(text)}, and back`, () => {
      expect(formatCursor(epoch, offset)).toBe(text)
      expect(parseCursor(text)).toEqual({ epoch, offset })
      expect(text.length).toBeLessThanOrEqual(128)
    })
  }
  for (const text of none) it(`${show(text)} is none`, () => expect(parseCursor(text)).toBeNull())
  it('what is not text is none', () => expect(parseCursor(undefined as never)).toBeNull())
  for (const { epoch, offset } of refuse) {
    it(`${show([epoch, offset])} has no text`, () =>
      expect(codeOf(() => formatCursor(epoch as string, offset as number))).toBe('INVALID_CURSOR'))
  }
})

describe('[N2] bytes are those of UTF-8', () => {
  for (const text of ['', 'a', 'é', '中', '😀', '\u007f\u0080\u07ff\u0800\uffff', 'a😀é中'.repeat(50)]) {
    it(show(text), () => expect(utf8Bytes(text)).toBe(utf8(text).length))
  }
})
