import type { EntityEvent } from '@entitycast/sse-protocol'
import { expect, test } from 'vitest'
import { applyEntityEvent } from '../../src/index'

interface Row {
  id: string
  name?: string
  chunks?: number
  version?: number
}

const base = { entity: 'document', projectId: 'p', timestamp: '2026-01-01T00:00:00.000Z' }
const rows: Row[] = Object.freeze([
  Object.freeze({ id: 'a', name: 'A', chunks: 1 }),
  Object.freeze({ id: 'b', name: 'B', chunks: 2 }),
]) as unknown as Row[]

function single(type: 'created' | 'updated' | 'deleted', id: string, data?: unknown, version?: number): EntityEvent {
  return {
    ...base,
    type: `entity.${type}`,
    id,
    ...(data !== undefined && { data }),
    ...(version !== undefined && { version }),
  }
}

function batch(ids: string[], data?: unknown, versions?: number[]): EntityEvent {
  return {
    ...base,
    type: 'entity.batch',
    id: null,
    ids,
    ...(data !== undefined && { data }),
    ...(versions && { versions }),
  }
}

test('created appends a row with its id', () => {
  expect(applyEntityEvent(rows, single('created', 'c', { name: 'C' }))).toEqual([...rows, { id: 'c', name: 'C' }])
})

test('created replaces the row with its id, in its place', () => {
  expect(applyEntityEvent(rows, single('created', 'a', { name: 'new' }))).toEqual([{ id: 'a', name: 'new' }, rows[1]])
})

test('where several rows have the id all of them are meant: created leaves them alike, updated leaves what else they hold', () => {
  const grouped = [
    { id: 'a', name: 'A', chunks: 1 },
    { id: 'b', name: 'B' },
    { id: 'a', name: 'A', chunks: 2 },
  ]
  const names = (next: Row[]) => next.map(({ id, name, chunks }) => `${id} ${name} ${chunks}`)
  const created = applyEntityEvent<Row>(grouped, single('created', 'a', { name: 'new' }))
  expect(names(created)).toEqual(['a new undefined', 'b B undefined', 'a new undefined'])
  const updated = applyEntityEvent<Row>(grouped, single('updated', 'a', { name: 'new' }))
  expect(names(updated)).toEqual(['a new 1', 'b B undefined', 'a new 2'])
  expect(applyEntityEvent<Row>(grouped, single('deleted', 'a'))).toEqual([{ id: 'b', name: 'B' }])
})

test('updated merges into the row that is there, and leaves the others as they are', () => {
  const next = applyEntityEvent(rows, single('updated', 'b', { chunks: 5 }))
  expect(next).toEqual([rows[0], { id: 'b', name: 'B', chunks: 5 }])
  expect(next[0]).toBe(rows[0])
})

test('deleted takes the row out, also without data', () => {
  expect(applyEntityEvent(rows, single('deleted', 'a'))).toEqual([rows[1]])
})

test('a batch merges into each row that it names', () => {
  expect(applyEntityEvent(rows, batch(['b', 'a', 'x'], { chunks: 9 })).map(({ chunks }) => chunks)).toEqual([9, 9])
})

test.each<[string, EntityEvent]>([
  ['an update of a row that is not there', single('updated', 'x', { chunks: 1 })],
  ['a deletion of a row that is not there', single('deleted', 'x')],
  ['a batch of rows that are not there', batch(['x', 'y'], { chunks: 1 })],
  ['an update that says what is shown', single('updated', 'a', { name: 'A', chunks: 1 })],
  ['an update without data', single('updated', 'a')],
  ['a creation without data', single('created', 'c')],
  ['a batch without data', batch(['a'])],
  ['data that is no object', single('updated', 'a', 'text')],
  ['data that is null', single('updated', 'a', null)],
  ['data that is an array', single('updated', 'a', [1, 2])],
])('%s gives the very same array', (_, event) => {
  expect(applyEntityEvent(rows, event)).toBe(rows)
})

test('an event of another entity changes nothing where the entity is named', () => {
  const event = { ...single('deleted', 'a'), entity: 'chunk' }
  expect(applyEntityEvent(rows, event, { entity: 'document' })).toBe(rows)
  expect(applyEntityEvent(rows, event)).toHaveLength(1)
})

test('a row keeps its id, whatever the data says', () => {
  expect(applyEntityEvent(rows, single('updated', 'a', { id: 'z', chunks: 3 }))[0]).toEqual({
    id: 'a',
    name: 'A',
    chunks: 3,
  })
  expect(applyEntityEvent(rows, single('created', 'c', { id: 'z' }))[2]).toEqual({ id: 'c' })
})

test('the id may be in another field, and may be a number', () => {
  const numbered = [{ key: 7, chunks: 1 }]
  expect(applyEntityEvent(numbered, single('updated', '7', { chunks: 2 }), { key: 'key' })).toEqual([
    { key: 7, chunks: 2 },
  ])
  expect(applyEntityEvent(numbered, single('created', '8', { key: 8, chunks: 0 }), { key: 'key' })[1]).toEqual({
    key: 8,
    chunks: 0,
  })
  expect(applyEntityEvent(numbered, single('deleted', '7'), { key: 'key' })).toEqual([])
})

test('[D5] a row never goes back behind its version', () => {
  const loaded: Row[] = [{ id: 'a', chunks: 5, version: 5 }]
  for (const type of ['created', 'updated', 'deleted'] as const) {
    expect(applyEntityEvent(loaded, single(type, 'a', { chunks: 4 }, 5))).toBe(loaded)
  }
  expect(applyEntityEvent(loaded, batch(['a'], { chunks: 4 }, [4]))).toBe(loaded)
  expect(applyEntityEvent(loaded, single('updated', 'a', { chunks: 6 }, 6))).toEqual([
    { id: 'a', chunks: 6, version: 6 },
  ])
  expect(applyEntityEvent(loaded, batch(['a'], { chunks: 7 }, [7]))).toEqual([{ id: 'a', chunks: 7, version: 7 }])
  expect(applyEntityEvent(loaded, single('deleted', 'a', undefined, 6))).toEqual([])
})

test('[K3] __proto__ in data changes no prototype, and does not stay in the row', () => {
  const data: unknown = JSON.parse('{"__proto__":{"polluted":true},"name":"N"}')
  for (const event of [single('updated', 'a', data), single('created', 'c', data), batch(['a'], data)]) {
    for (const row of applyEntityEvent(rows, event)) {
      expect(Object.getPrototypeOf(row)).toBe(Object.prototype)
      expect(Object.hasOwn(row, '__proto__')).toBe(false)
      expect((Object.assign({}, row) as { polluted?: boolean }).polluted).toBeUndefined()
    }
  }
  expect(({} as { polluted?: boolean }).polluted).toBeUndefined()
})

test('the id __proto__ is an id like any other', () => {
  const next = applyEntityEvent(rows, single('created', '__proto__', { name: 'P' }))
  expect(applyEntityEvent(next, single('updated', '__proto__', { chunks: 1 }))[2]).toEqual({
    id: '__proto__',
    name: 'P',
    chunks: 1,
  })
})
