/**
 * `npm run simulate -- <first> <count>`: runs these seeds, and says what failed. One that failed is seen again by `npm run simulate -- <seed> 1`.
 * Without a first seed it is one that nobody has tried; without a count there are 1,000.
 */
import { buildInTemp, describe, freshSeed, replay, runSimulation } from './harness.mjs'

const first = Number(process.argv[2] ?? freshSeed())
const count = Number(process.argv[3] ?? 1_000)
if (!Number.isSafeInteger(first) || !Number.isSafeInteger(count) || count < 1) {
  console.error('usage: npm run simulate -- <first seed> <count>')
  process.exit(2)
}
const { file, remove } = await buildInTemp()
try {
  const summary = await runSimulation(file, { first, count })
  for (const failure of summary.failures) console.log(replay(failure))
  console.log(describe(first, summary))
  console.log('resyncs:', summary.figures.resyncs)
  console.log('faults:', summary.figures.faults)
  process.exitCode = summary.failures.length > 0 || summary.unhandled > 0 ? 1 : 0
} finally {
  remove()
}
