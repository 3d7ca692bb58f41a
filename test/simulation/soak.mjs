/** `npm run soak`: runs seeds that nobody has tried until it is stopped by Ctrl+C, or until one fails. */
import { buildInTemp, describe, freshSeed, replay, runSimulation, total } from './harness.mjs'

const SEEDS_A_STEP = 1_000

const { file, remove } = await buildInTemp()
const stop = new AbortController()
process.on('SIGINT', () => stop.abort())
process.on('SIGTERM', () => stop.abort())

const first = freshSeed()
/** @type {import('./harness.mjs').Summary[]} */
const done = []
try {
  for (let seed = first; !stop.signal.aborted; seed += SEEDS_A_STEP) {
    const summary = await runSimulation(file, { first: seed, count: SEEDS_A_STEP, maxFailures: 1, signal: stop.signal })
    done.push(summary)
    console.log(describe(seed, summary))
    for (const failure of summary.failures) console.log(replay(failure))
    if (summary.failures.length > 0 || summary.unhandled > 0) {
      process.exitCode = 1
      break
    }
  }
} catch (error) {
  // Stopped in the middle of a step: what was done until then counts.
  if (!stop.signal.aborted) throw error
} finally {
  remove()
}
console.log(
  done.length > 0 ? `in all: ${describe(first, total(done))}` : 'stopped before the first 1,000 seeds were done',
)
