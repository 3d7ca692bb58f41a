/**
 * `npm run planted-bugs`: runs 1,000 seeds with each planted bug, and writes the table in `docs/simulation.md`.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { BUGS } from './bugs.mjs'
import { hunt, inParallel } from './harness.mjs'

const SEEDS = 1_000
const PAGE = fileURLToPath(new URL('../../docs/simulation.md', import.meta.url))
const BEGIN = '<!-- planted bugs: npm run planted-bugs -->'
const END = '<!-- end of planted bugs -->'

/** @type {string[]} */
const failed = []
const rows = await inParallel(BUGS, Math.max(1, Math.floor(availableParallelism() / 2)), async (bug) => {
  const { failures } = await hunt(bug, { first: 1, count: SEEDS, maxFailures: SEEDS }).catch((error) => {
    failed.push(`${bug.name}: ${error}`)
    return { failures: [] }
  })
  console.log(`${String(failures.length).padStart(5)} of ${SEEDS}  ${bug.name}`)
  return { name: bug.name, found: failures.length, violation: inWords(failures[0]?.message ?? '') }
})
if (failed.length > 0) throw new Error(failed.join('\n'))
rows.sort((a, b) => a.found - b.found || a.name.localeCompare(b.name))
const table = [
  `| planted | found by, of ${SEEDS.toLocaleString('en')} seeds | the first thing that was not true |`,
  '| --- | ---: | --- |',
  ...rows.map(({ name, found, violation }) => `| ${name} | ${found} | ${violation} |`),
]
const text = readFileSync(PAGE, 'utf8')
const from = text.indexOf(BEGIN)
const to = text.indexOf(END)
if (from < 0 || to < from) throw new Error(`docs/simulation.md has no ${BEGIN} … ${END}`)
writeFileSync(PAGE, `${text.slice(0, from)}${BEGIN}\n${table.join('\n')}\n${text.slice(to)}`)
process.exitCode = rows.every(({ found }) => found > 0) ? 0 : 1

/**
 * The first violation without the seed and the moment, fit for a table.
 *
 * @param {string} message
 */
function inWords(message) {
  const line = message.split('\n')[1] ?? ''
  const words = line.replace(/^\s*\d+ ms: /, '').slice(0, 140)
  return words ? `\`${words.replaceAll('`', "'").replaceAll('|', '¦').trim()}\`` : ''
}
