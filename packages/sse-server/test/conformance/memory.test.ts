import { MemoryAdapter } from '@entitycast/sse-server'
import { type AdapterUnderTest, adapterChecks, describeAdapter } from '@entitycast/sse-server/conformance'
import { describe, expect, it } from 'vitest'
import { VirtualClock } from '../support/virtual-clock'
import { brokenAdapters } from './broken-adapters'

/** The memory log in virtual time, whole or behind something that breaks its word. */
function subject(Broken?: (typeof brokenAdapters)[string]): AdapterUnderTest {
  return {
    manifest: new MemoryAdapter().manifest,
    // It tells its records at once: what is not there is not late.
    patienceMs: 500,
    begin: () => {
      const clock = new VirtualClock()
      const memory = new MemoryAdapter({ clock })
      return {
        create: () => (Broken ? new Broken(memory) : memory),
        expire: (ageMs) => clock.advance(ageMs + 1),
        end: () => memory.close(),
      }
    },
  }
}

describeAdapter({ describe, it }, subject())

describe('an adapter that breaks its word is found', () => {
  for (const [name, Broken] of Object.entries(brokenAdapters)) {
    it(`[D4] ${name}`, async () => {
      const found: string[] = []
      for (const { name: check, run } of adapterChecks(subject(Broken))) await run().catch(() => found.push(check))
      expect(found).not.toEqual([])
    })
  }
})
