import { describe, expect, it } from 'vitest'
import { BUGS } from './bugs.mjs'
import { hunt, inParallel } from './harness.mjs'

/** The rarest of them shows in one seed of several hundred. */
const MOST_SEEDS = 5_000
const AT_ONCE = 2
const LIMIT_MS = 240_000

describe('the simulation finds what others have got wrong', () => {
  type Outcome = () => Awaited<ReturnType<typeof hunt>>
  const finished = new Map<string, (outcome: Outcome) => void>()
  const outcomes = new Map(
    BUGS.map(({ name }) => [name, new Promise<Outcome>((resolve) => finished.set(name, resolve))]),
  )
  let started = false
  // All are hunted from the first test on, a few at a time; each test waits for its own.
  const outcomeOf = async (name: string) => {
    if (!started) {
      started = true
      void inParallel(BUGS, AT_ONCE, async (bug) => {
        const outcome: Outcome = await hunt(bug, { first: 1, count: MOST_SEEDS, maxFailures: 1 }).then(
          (summary) => () => summary,
          (error) => () => {
            throw error
          },
        )
        finished.get(bug.name)?.(outcome)
      })
    }
    const outcome = (await outcomes.get(name)) as Outcome
    return outcome()
  }

  it('has a name of its own for each bug', () => {
    expect(outcomes.size).toBe(BUGS.length)
    expect(BUGS.length).toBeGreaterThanOrEqual(15)
  })

  for (const { name } of BUGS) {
    it(`[sim] ${name} is found`, { timeout: LIMIT_MS }, async () => {
      const { failures, seeds } = await outcomeOf(name)
      expect(failures.length, `not found in ${seeds} seeds`).toBe(1)
      // Code that has changed around a bug would make it a mere mistake.
      expect(failures[0]?.message).not.toMatch(/ReferenceError|SyntaxError|is not a function/)
    })
  }
})
