import type { EntityEvent } from '@entitycast/sse-protocol'
import { expect, test } from 'vitest'
import { createVersions } from '../../src/subscriber/versions'

const base = { entity: 'document', projectId: 'p', timestamp: '2026-01-01T00:00:00.000Z' }

function single(id: string, version?: number, type: 'created' | 'updated' | 'deleted' = 'updated'): EntityEvent {
  return { ...base, type: `entity.${type}`, id, ...(version !== undefined && { version }) }
}

test('[D5] an event whose version is not newer is dropped', () => {
  const newer = createVersions()
  const given = [1, 3, 2, 3, 4].filter((version) => newer(single('a', version)))
  expect(given).toEqual([1, 3, 4])
})

test('[D5] entities do not share versions, whatever their ids', () => {
  const newer = createVersions()
  expect(newer(single('__proto__', 5))).toBeDefined()
  expect(newer(single('b:5', 5))).toBeDefined()
  expect(newer({ ...single('5', 1), entity: 'document.b' })).toBeDefined()
  expect(newer(single('__proto__', 5))).toBeUndefined()
})

test('[D5] events without a version are always given, and change nothing', () => {
  const newer = createVersions()
  expect(newer(single('a', 5))).toBeDefined()
  expect(newer(single('a'))).toBeDefined()
  expect(newer(single('a', 5))).toBeUndefined()
})

test('[D5] a late update does not bring back what was deleted; a newer creation does', () => {
  const newer = createVersions()
  expect(newer(single('a', 5, 'deleted'))).toBeDefined()
  expect(newer(single('a', 4))).toBeUndefined()
  expect(newer(single('a', 6, 'created'))).toBeDefined()
})

test('[D5] after a deletion without a version the entity may begin at 1 again', () => {
  const newer = createVersions()
  expect(newer(single('a', 5))).toBeDefined()
  expect(newer(single('a', undefined, 'deleted'))).toBeDefined()
  expect(newer(single('a', 1, 'created'))).toBeDefined()
})

test('[D5] of a batch only the newer entities are left', () => {
  const newer = createVersions()
  const batch = (ids: string[], numbers: number[]): EntityEvent => ({
    ...base,
    type: 'entity.batch',
    id: null,
    ids,
    versions: numbers,
  })
  expect(newer(single('b', 7))).toBeDefined()
  expect(newer(batch(['a', 'b', 'c'], [1, 7, 1]))).toMatchObject({ ids: ['a', 'c'], versions: [1, 1] })
  expect(newer(batch(['a', 'b'], [1, 2]))).toBeUndefined()
  const fresh = batch(['a', 'b'], [2, 8])
  expect(newer(fresh)).toBe(fresh)
})

test('[D6] the memory is bounded: what has not changed for longest is forgotten', () => {
  const newer = createVersions(2)
  for (const [id, version] of [
    ['a', 1],
    ['b', 1],
    ['a', 2],
    ['c', 1],
  ] as const)
    newer(single(id, version))
  expect(newer(single('a', 1))).toBeUndefined()
  expect(newer(single('c', 1))).toBeUndefined()
  expect(newer(single('b', 1))).toBeDefined()
})
