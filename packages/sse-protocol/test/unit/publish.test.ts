import { describe, expect, it } from 'vitest'
import {
  decodeEvent,
  type EventInput,
  encodeEvent,
  MAX_BATCH_IDS,
  MAX_DATA_DEPTH,
  ProtocolError,
} from '../../src/index'
import { codeOf } from '../vectors'

const now = () => '2026-01-31T09:30:00.000Z'
const update = { type: 'entity.updated', entity: 'document', id: 'doc_1', projectId: 'p1' } as const
const encode = (input: object) => encodeEvent({ ...update, ...input } as EventInput, now)

const named = { type: 'a:b', entity: undefined, id: undefined }

/** `[[…]]`, so many levels deep. */
function nested(levels: number): unknown {
  let value: unknown = 1
  for (let i = 0; i < levels; i++) value = [value]
  return value
}

describe('[N9 P4] data that is not JSON is refused', () => {
  const cyclic: { self?: unknown } = {}
  cyclic.self = cyclic
  const throwing = {
    toJSON() {
      throw new Error('no')
    },
  }
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  const cases: [string, unknown][] = [
    ['a BigInt', 1n],
    ['a BigInt inside', { deep: [{ value: 1n }] }],
    ['a cycle', cyclic],
    ['a throwing toJSON', throwing],
    ['a throwing getter', Object.defineProperty({}, 'x', { enumerable: true, get: throwing.toJSON })],
    ['a revoked proxy', proxy],
    ['a function', () => {}],
    ['a symbol', Symbol('x')],
    [`${MAX_DATA_DEPTH + 1} levels`, nested(MAX_DATA_DEPTH + 1)],
    ['10,000 levels', nested(10_000)],
    ['1,000,000 levels', nested(1_000_000)],
  ]
  for (const [name, data] of cases) {
    it(`${name}, in an entity event and in a named event`, () => {
      expect(codeOf(() => encode({ data }))).toBe('INVALID_DATA')
      expect(codeOf(() => encodeEvent({ type: 'a:b', projectId: 'p1', data }, now))).toBe('INVALID_DATA')
    })
  }

  it(`${MAX_DATA_DEPTH} levels are allowed, in each kind of event, and brackets in text are no levels`, () => {
    const data = nested(MAX_DATA_DEPTH)
    for (const input of [{}, { type: 'entity.batch', id: null, ids: ['a'] }, named]) {
      expect(codeOf(() => encode({ data, ...input }))).toBeUndefined()
    }
    expect(codeOf(() => encode({ data: '[{"\\"'.repeat(2_000) }))).toBeUndefined()
    expect(codeOf(() => encode({ data: { ['[{"'.repeat(999)]: nested(MAX_DATA_DEPTH - 1) } }))).toBeUndefined()
  })

  it('the error that JSON.stringify threw is the cause', () => {
    try {
      encode({ data: throwing })
      expect.unreachable()
    } catch (error) {
      expect((error as Error).cause).toMatchObject({ message: 'no' })
    }
  })
})

describe('[N8] a batch', () => {
  const batch = (count: number) =>
    encode({ type: 'entity.batch', id: null, ids: Array.from({ length: count }, (_, i) => `c${i}`) })

  it(`names at most ${MAX_BATCH_IDS} ids`, () => {
    expect(codeOf(() => batch(MAX_BATCH_IDS))).toBeUndefined()
    expect(codeOf(() => batch(MAX_BATCH_IDS + 1))).toBe('INVALID_EVENT')
  })

  it('with a hole in its ids is refused', () => {
    // biome-ignore lint/suspicious/noSparseArray: the hole is what is tested
    expect(codeOf(() => encode({ type: 'entity.batch', id: null, ids: ['a', , 'b'] }))).toBe('INVALID_ENTITY_ID')
  })
})

describe('[P3 N2] a project id is never coerced', () => {
  for (const [name, projectId] of [
    ['an object with toString', { toString: () => 'p1' }],
    ['a String object', new String('p1')],
    ['a symbol', Symbol('p1')],
    ['a BigInt', 1n],
    ['a function', () => 'p1'],
    ['NaN', Number.NaN],
  ] as const) {
    it(name, () => expect(codeOf(() => encode({ projectId }))).toBe('INVALID_PROJECT_ID'))
  }
})

describe('[P5] what was encoded is text', () => {
  it('so that a change of the object afterwards changes nothing', () => {
    const data = { n: 1 }
    const ids = ['a']
    const { data: text } = encode({ type: 'entity.batch', id: null, ids, data })
    data.n = 2
    ids.push('b')
    expect(decodeEvent('entity.batch', text, 'p1')).toMatchObject({ ids: ['a'], data: { n: 1 } })
  })
})

describe('[K3] JSON that aims at prototypes', () => {
  it('changes none', () => {
    const evil = '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}'
    const event = decodeEvent('a:b', `{"data":${evil},"timestamp":"${now()}","__proto__":{"polluted":1}}`, 'p1')
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined()
    expect((event as { polluted?: unknown }).polluted).toBeUndefined()
    expect(Object.getPrototypeOf(event)).toBe(Object.prototype)
    expect(Object.getPrototypeOf(event.data)).toBe(Object.prototype)
    expect(Object.hasOwn(event.data as object, '__proto__')).toBe(true)
  })
})

describe('[N11] a refusal', () => {
  const refused = (input: object): ProtocolError => {
    try {
      encode(input)
    } catch (error) {
      return error as ProtocolError
    }
    return expect.unreachable()
  }

  it('has a code, quotes the value on one line, and names the fix', () => {
    const error = refused({ type: 'lock:acquired\r\nid: 1' })
    expect(error).toMatchObject({ name: 'ProtocolError', code: 'INVALID_TYPE' })
    expect(error).toBeInstanceOf(ProtocolError)
    expect(error.message).toContain('"lock:acquired\\r\\nid: 1"')
    expect(error.message).toContain('<subject>:<verb>')
    expect(refused({ id: 7 }).message).toContain('String(id)')
  })

  it('cuts the value at 100 characters', () => {
    const { message } = refused({ entity: 'x'.repeat(1_000_000) })
    expect(message).toContain(`"${'x'.repeat(98)}…`)
    expect(message).not.toContain('x'.repeat(99))
  })

  it('quotes whatever it is given, and never calls into it', () => {
    const hostile = {
      toString() {
        throw new Error('called')
      },
      toJSON() {
        throw new Error('called')
      },
    }
    const several = () => {
      // A function of several lines.
    }
    const { proxy, revoke } = Proxy.revocable([], {})
    revoke()
    for (const value of [hostile, proxy, Symbol('a\nb'), several, 1n, -0, Object.create(null), new Date(Number.NaN)]) {
      const error = refused({ userId: value })
      expect(error).toMatchObject({ code: 'INVALID_USER_ID' })
      expect(error.message).not.toMatch(/[\r\n]/)
    }
  })
})
