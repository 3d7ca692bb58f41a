import { afterAll, beforeAll, expect, describe as group, it } from 'vitest'
import { buildInTemp, describe, replay, runSimulation, total } from './harness.mjs'

/** The same seeds in every run, so that it fails for what has changed and for nothing else. `npm run soak` tries others. */
const FIXED = { first: 1, count: 5_000 }
const PROCESSES = 2
const LIMIT_MS = 300_000

let built: Awaited<ReturnType<typeof buildInTemp>>

beforeAll(async () => {
  built = await buildInTemp()
})

afterAll(() => built?.remove())

async function expectNoFailure({ first, count }: { first: number; count: number }): Promise<void> {
  const share = Math.ceil(count / PROCESSES)
  const signal = AbortSignal.timeout(LIMIT_MS)
  const runs = Array.from({ length: PROCESSES }, (_, i) =>
    runSimulation(built.file, { first: first + i * share, count: Math.min(share, count - i * share), signal }),
  )
  const summary = total(await Promise.all(runs))
  console.log(describe(first, summary))
  expect(summary.failures.map(replay).join('\n')).toBe('')
  expect(summary.unhandled, 'rejections that nobody handled').toBe(0)
  expect(summary.seeds).toBe(count)
}

group('the real hub and the real subscriber in virtual time, with everything that can go wrong going wrong', () => {
  it(
    '[D1 D2 D3 D4 D5 D6 D7 D8] hold in 5,000 fixed worlds',
    { timeout: LIMIT_MS },
    async () => await expectNoFailure(FIXED),
  )

  it('is the same in each run of a seed', { timeout: LIMIT_MS }, async () => {
    const runs = [1, 2].map(() => runSimulation(built.file, { first: 77, count: 40 }))
    const [one, other] = (await Promise.all(runs)).map(({ figures }) => figures)
    expect(one).toEqual(other)
  })
})
