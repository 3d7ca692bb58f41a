import { expect, it } from 'vitest'
import { ReviewLocks } from '../../server/locks'

it('[lock] that is not renewed in time ends by itself, and one that is renewed does not', () => {
  let now = 0
  const locks = new ReviewLocks(1_000, () => now)
  locks.acquire('harbor-bank', 's1', 'dana', 'a')
  locks.acquire('harbor-bank', 's2', 'kim', 'b')
  now = 900
  expect(locks.sweep()).toEqual([])
  expect(locks.acquire('harbor-bank', 's1', 'dana', 'a')).toEqual({ mine: true, fresh: false })
  now = 1_000
  expect(locks.sweep()).toEqual([{ tenantId: 'harbor-bank', lock: { submissionId: 's2', userId: 'kim' } }])
  expect(locks.list('harbor-bank')).toEqual([{ submissionId: 's1', userId: 'dana' }])
  now = 1_900
  expect(locks.sweep()).toHaveLength(1)
  expect(locks.list('harbor-bank')).toEqual([])
})

it('[lock] of one tenant is not another’s', () => {
  const locks = new ReviewLocks(1_000, () => 0)
  locks.acquire('harbor-bank', 's1', 'dana', 'a')
  expect(locks.acquire('meadow-clinics', 's1', 'noor', 'b')).toEqual({ mine: true, fresh: true })
  expect(locks.list('meadow-clinics')).toEqual([{ submissionId: 's1', userId: 'noor' }])
})
