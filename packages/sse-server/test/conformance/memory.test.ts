import { MemoryAdapter } from '@entitycast/sse-server'
import { describe, expect, it } from 'vitest'
import { VirtualClock } from '../support/virtual-clock'
import { type AdapterUnderTest, adapterChecks } from './adapter-suite'
import { brokenAdapters } from './broken-adapters'

/** The memory log in virtual time, whole or behind something that breaks its word. */
function subject(wrap: (adapter: MemoryAdapter) => ReturnType<AdapterUnderTest['create']>): AdapterUnderTest {
  const clock = new VirtualClock()
  return {
    create: () => wrap(new MemoryAdapter({ clock })),
    expire: (ageMs) => clock.advance(ageMs + 1),
    // It tells its records at once: what is not there is not late.
    patienceMs: 500,
  }
}

describe('MemoryAdapter keeps the adapter contract', () => {
  for (const { name, run } of adapterChecks) it(name, () => run(subject((adapter) => adapter)))
})

describe('an adapter that breaks its word is found', () => {
  for (const [name, Broken] of Object.entries(brokenAdapters)) {
    it(`[D4] ${name}`, async () => {
      const found: string[] = []
      for (const check of adapterChecks) {
        await check.run(subject((adapter) => new Broken(adapter))).catch(() => found.push(check.name))
      }
      expect(found).not.toEqual([])
    })
  }
})
