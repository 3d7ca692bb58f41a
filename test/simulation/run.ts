import { type Figures, Violation, World } from './world'

/** What a run of many seeds came to. */
export interface Summary {
  seeds: number
  failures: { seed: number; message: string }[]
  figures: Figures
  cpuSeconds: number
}

/** Runs the worlds of `count` seeds from `first`; stops after `maxFailures`. */
export async function runSeeds(first: number, count: number, maxFailures = 10): Promise<Summary> {
  const started = process.cpuUsage()
  const total: Figures = { steps: 0, virtualMs: 0, published: 0, delivered: 0, resyncs: {}, connects: 0, faults: {} }
  const failures: Summary['failures'] = []
  let seeds = 0
  for (let seed = first; seed < first + count && failures.length < maxFailures; seed++) {
    seeds++
    // What was rejected and caught by nobody is told once in a turn of the event loop.
    await new Promise((resolve) => setImmediate(resolve))
    try {
      add(total, await new World(seed).run())
    } catch (error) {
      failures.push({
        seed,
        message: error instanceof Violation ? error.message : `seed ${seed}\n  ${(error as Error)?.stack ?? error}`,
      })
    }
  }
  const { user, system } = process.cpuUsage(started)
  return { seeds, failures, figures: total, cpuSeconds: (user + system) / 1_000_000 }
}

function add(total: Figures, figures: Figures): void {
  total.steps += figures.steps
  total.virtualMs += figures.virtualMs
  total.published += figures.published
  total.delivered += figures.delivered
  total.connects += figures.connects
  for (const [name, count] of Object.entries(figures.resyncs)) total.resyncs[name] = (total.resyncs[name] ?? 0) + count
  for (const [name, count] of Object.entries(figures.faults)) total.faults[name] = (total.faults[name] ?? 0) + count
}
