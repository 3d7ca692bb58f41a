import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { type Database, openDatabase } from '../../server/database'
import { ReviewLocks } from '../../server/locks'
import { seed } from '../../server/seed'

async function database(): Promise<Database> {
  const folder = await mkdtemp(join(tmpdir(), 'locks-'))
  const db = await openDatabase(folder)
  onTestFinished(async () => {
    db.close()
    await rm(folder, { recursive: true })
  })
  await seed(db)
  return db
}

it('[lock] that is not renewed in time ends by itself, and one that is renewed does not', async () => {
  let now = 0
  const locks = new ReviewLocks(await database(), 1_000, () => now)
  await locks.acquire('harbor-bank', 's1', 'dana', 'a')
  await locks.acquire('harbor-bank', 's2', 'kim', 'b')
  now = 900
  expect(await locks.sweep()).toEqual([])
  expect(await locks.acquire('harbor-bank', 's1', 'dana', 'a')).toEqual({ mine: true, fresh: false })
  now = 1_000
  expect(await locks.sweep()).toEqual([{ tenantId: 'harbor-bank', lock: { submissionId: 's2', userId: 'kim' } }])
  expect(await locks.list('harbor-bank')).toEqual([{ submissionId: 's1', userId: 'dana' }])
  now = 1_900
  expect(await locks.sweep()).toHaveLength(1)
  expect(await locks.list('harbor-bank')).toEqual([])
})

it('[lock] of one tenant is not another’s', async () => {
  const locks = new ReviewLocks(await database(), 1_000, () => 0)
  await locks.acquire('harbor-bank', 's1', 'dana', 'a')
  expect(await locks.acquire('meadow-clinics', 's1', 'noor', 'b')).toEqual({ mine: true, fresh: true })
  expect(await locks.list('meadow-clinics')).toEqual([{ submissionId: 's1', userId: 'noor' }])
})

it('[lock] is held by each drawer of its one user, and swept once, whichever instance sweeps', async () => {
  let now = 0
  const db = await database()
  const [here, there] = [new ReviewLocks(db, 1_000, () => now), new ReviewLocks(db, 1_000, () => now)]
  expect(await here.acquire('harbor-bank', 's1', 'dana', 'a')).toEqual({ mine: true, fresh: true })
  expect(await there.acquire('harbor-bank', 's1', 'dana', 'b')).toEqual({ mine: true, fresh: false })
  expect(await there.acquire('harbor-bank', 's1', 'kim', 'c')).toEqual({ mine: false, heldBy: 'dana' })
  expect(await here.release('harbor-bank', 's1', 'dana', 'a')).toBe(false)
  now = 1_000
  const swept = await Promise.all([here.sweep(), there.sweep()])
  expect(swept.flat()).toEqual([{ tenantId: 'harbor-bank', lock: { submissionId: 's1', userId: 'dana' } }])
})
