import { type Figures, noFigures, Violation, World } from './world'

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
  // Connections fail all the time here, and a tenth of the time would go into where.
  Error.stackTraceLimit = 0
  const total = noFigures()
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
        message: error instanceof Violation ? error.message : `seed ${seed}\n  ${await stackOf(seed)}`,
      })
    }
  }
  const { user, system } = process.cpuUsage(started)
  return { seeds, failures, figures: total, cpuSeconds: (user + system) / 1_000_000 }
}

/** Where a world of this seed breaks down: it does so each time. */
async function stackOf(seed: number): Promise<string> {
  Error.stackTraceLimit = 20
  try {
    await new World(seed).run()
    return 'broke down, and did not the second time'
  } catch (error) {
    return String((error as Error)?.stack ?? error)
  } finally {
    Error.stackTraceLimit = 0
  }
}

function add(total: Figures, figures: Figures): void {
  total.steps += figures.steps
  total.virtualMs += figures.virtualMs
  total.published += figures.published
  total.delivered += figures.delivered
  total.renewals += figures.renewals
  total.connects += figures.connects
  for (const [name, count] of Object.entries(figures.resyncs)) total.resyncs[name] = (total.resyncs[name] ?? 0) + count
  for (const [name, count] of Object.entries(figures.faults)) total.faults[name] = (total.faults[name] ?? 0) + count
}
