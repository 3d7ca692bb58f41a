import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  channelName,
  formatCursor,
  HandlerIndex,
  matchesPattern,
  matchesType,
  type PatternTarget,
  type ProjectEvent,
  parseChannelList,
  parseChannelName,
  parseCursor,
  utf8Bytes,
} from '../../src/index'
import { utf8 } from '../parsers'
import { anyEvent, channel, id, namedType, pattern, typePattern } from './arbitraries'
import './replay'

/** A pattern, read by its words: slow, and plainly what the protocol says. */
function namesEvent(pattern: string, { entity, id, ids = [] }: PatternTarget): boolean {
  if (entity === undefined) return false
  if (pattern === '*') return true
  const [first, ...rest] = pattern.split(':')
  const wanted = rest.join(':')
  return first === entity && (wanted === '*' || (typeof id === 'string' ? [id] : ids).includes(wanted))
}

function namesType(pattern: string, type: string): boolean {
  return pattern.endsWith('*') ? type.startsWith(pattern.slice(0, -1)) : type === pattern
}

const pair = fc.record({ projectId: id, channel: fc.option(channel, { nil: undefined }) })

describe('[N4] channel names', () => {
  it('read back as their pair', () => {
    fc.assert(
      fc.property(pair, ({ projectId, channel }) => {
        const name = channelName(projectId, channel)
        expect(name).toMatch(/^events(\.[A-Za-z0-9_%-]+){1,2}$/)
        expect(parseChannelName(name)).toEqual(channel === undefined ? { projectId } : { projectId, channel })
      }),
    )
  })

  it('are different for different pairs', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(pair, {
          minLength: 2,
          maxLength: 50,
          selector: ({ projectId, channel }) => JSON.stringify([projectId, channel]),
        }),
        (pairs) => {
          const names = pairs.map(({ projectId, channel }) => channelName(projectId, channel))
          expect(new Set(names).size).toBe(pairs.length)
        },
      ),
    )
  })

  it('any text is either exactly the name of a pair, or nobody’s', () => {
    const nearly = fc
      .string({ unit: fc.constantFrom('events', '.', '%', '2', 'E', 'e', 'a', 'é') })
      .map((text) => `events${text}`)
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), nearly), (text) => {
        const found = parseChannelName(text)
        return found === null || channelName(found.projectId, found.channel) === text
      }),
    )
  })
})

it('[N3] a list of channels asks for each of them, once', () => {
  fc.assert(
    fc.property(fc.array(channel, { minLength: 1, maxLength: 300 }), (channels) => {
      const wanted = [...new Set(channels)]
      fc.pre(wanted.length <= 100)
      expect(parseChannelList(channels.join(','))).toEqual(wanted)
    }),
  )
})

it('[N5] matchesPattern says what the words of the protocol say', () => {
  fc.assert(fc.property(pattern, anyEvent, (one, event) => matchesPattern(one, event) === namesEvent(one, event)))
})

it('[N6] matchesType says what the words of the protocol say', () => {
  fc.assert(
    fc.property(
      typePattern,
      fc.oneof(namedType, fc.constantFrom('entity.updated', 'entity.batch', 'a:b', 'a.b:c')),
      (one, type) => {
        return matchesType(one, type) === namesType(one, type)
      },
    ),
  )
})

describe('[N7] cursors', () => {
  const epoch = fc.string({ unit: fc.constantFrom(...'abcXYZ019_-'), minLength: 1, maxLength: 100 })

  it('read back as they were', () => {
    fc.assert(
      fc.property(epoch, fc.nat(Number.MAX_SAFE_INTEGER), (name, offset) => {
        const text = formatCursor(name, offset)
        expect(text).toMatch(/^[A-Za-z0-9._-]{1,128}$/)
        expect(parseCursor(text)).toEqual({ epoch: name, offset })
      }),
    )
  })

  it('any text is either exactly a cursor, or none', () => {
    const nearly = fc.string({
      unit: fc.constantFrom('a', '.', '0', '1', '9', '-', '_', 'e', ' ', '\n', '9007199254740991'),
    })
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), nearly), (text) => {
        const cursor = parseCursor(text)
        return cursor === null || formatCursor(cursor.epoch, cursor.offset) === text
      }),
    )
  })
})

it('[N2] utf8Bytes counts as an encoder does', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => utf8Bytes(text) === utf8(text).length))
})

it('[N5 N6] HandlerIndex calls whom a scan of all handlers would call, each once', () => {
  const registration = fc.record({ by: fc.constantFrom('pattern', 'type'), text: fc.nat(), takenOut: fc.boolean() })
  fc.assert(
    fc.property(
      fc.array(registration, { maxLength: 30 }),
      fc.array(pattern, { minLength: 1 }),
      fc.array(typePattern, { minLength: 1 }),
      fc.array(anyEvent, { minLength: 1, maxLength: 5 }),
      (registrations, patterns, typePatterns, events) => {
        const index = new HandlerIndex()
        const called: number[] = []
        const all = registrations.map(({ by, text, takenOut }, i) => {
          const handler = () => called.push(i)
          const wanted =
            by === 'pattern' ? patterns[text % patterns.length]! : typePatterns[text % typePatterns.length]!
          const off = by === 'pattern' ? index.addPattern(wanted, handler) : index.addType(wanted, handler)
          return { by, wanted, takenOut, off }
        })
        for (const { takenOut, off } of all) if (takenOut) off()
        for (const event of events as ProjectEvent[]) {
          called.length = 0
          index.dispatch(event, (error) => {
            throw error
          })
          const scan = all.flatMap(({ by, wanted, takenOut }, i) => {
            const matches = by === 'pattern' ? namesEvent(wanted, event) : namesType(wanted, event.type)
            return matches && !takenOut ? [i] : []
          })
          expect([...called].sort((a, b) => a - b)).toEqual(scan)
        }
        expect(index.size).toBe(all.filter(({ takenOut }) => !takenOut).length)
      },
    ),
  )
})
