import { runSeeds } from './run'

/*
 * `node simulation.mjs <first> <count> [maxFailures]`: runs these seeds, prints each failure, and one line of JSON at the end.
 * A failure is replayed by its seed: `node simulation.mjs <seed> 1`.
 */
const [first = '1', count = '1', maxFailures = '10'] = process.argv.slice(2)
let unhandled = 0
process.on('unhandledRejection', (error) => {
  unhandled++
  if (unhandled <= 3) console.error('unhandled rejection', error)
})
const summary = await runSeeds(Number(first), Number(count), Number(maxFailures))
for (const { message } of summary.failures) console.error(message)
console.log(JSON.stringify({ ...summary, unhandled }))
process.exitCode = summary.failures.length > 0 || unhandled > 0 ? 1 : 0
