import { type AdapterUnderTest, adapterChecks, describeAdapter } from '@entitycast/sse-server/conformance'
import { describe, expect, it } from 'vitest'
import { brokenPockets, oneEpochForEver } from './broken-pockets'
import { POCKET, PocketBroker } from './pocket'

const HARMS = ['stop', 'kill', 'restart', 'wipe'] as const

function subject(patienceMs: number, begin: () => PocketBroker): AdapterUnderTest {
  return { manifest: POCKET, harms: HARMS, intercepts: true, patienceMs, begin }
}

// A sound adapter over a broker: what is found below is found because of one line.
describeAdapter(
  { describe, it },
  subject(10_000, () => new PocketBroker()),
)

/** The names of the checks that fail, with two instances; the first one found is enough. */
async function found(begin: () => PocketBroker, patienceMs = 400): Promise<string | undefined> {
  for (const { name, run } of adapterChecks(subject(patienceMs, begin))) {
    if (!name.endsWith('2 instances')) continue
    const failure = await run().then(
      () => undefined,
      () => name,
    )
    if (failure) return failure
  }
  return undefined
}

describe('an adapter over a broker that breaks its word is found', () => {
  for (const [name, Broken] of Object.entries(brokenPockets)) {
    it(`[D4] ${name}`, async () => {
      expect(await found(() => new PocketBroker(Broken))).toBeDefined()
    }, 60_000)
  }

  it('[B4] a broker that gives a lost log the name it had', async () => {
    expect(await found(() => new PocketBroker(undefined, oneEpochForEver()), 5_000)).toMatch(/^\[B/)
  }, 60_000)
})
