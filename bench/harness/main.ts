import { parseArgs } from 'node:util'
import { workloads } from '../workloads/all'
import { endAll, within } from './children'
import { absent, compareWith } from './contestants'
import { type Outcome, print, write } from './results'
import type { Workload } from './workload'

/** No workload may take longer, in milliseconds: what hangs is given up, and the others follow. */
const LIMIT_MS = 240_000

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    workloads: { type: 'string' },
    servers: { type: 'string' },
    rounds: { type: 'string' },
    seconds: { type: 'string' },
    against: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})

if (values.help) {
  console.log(`npm run bench [-- options]        everything, about twelve minutes; writes bench/RESULTS.md and bench/results.svg
npm run bench:quick [-- options]  under two minutes, for a change to a hot path; prints, writes nothing

  --workloads a,b   only these, and print instead of writing: ${workloads.map(({ id }) => id).join(', ')}
  --servers a,b     only these servers, in the rows that compare servers
  --against folder  our own package in another checkout takes part too: what a change has gained
  --rounds n        times that each server is measured (5; quick 3); where there are slices, for rounds × seconds in all
  --seconds n       length of one measurement (0.7; quick 0.6)`)
  process.exit(0)
}

if (values.against) compareWith(values.against)
const { quick } = values
const named = values.workloads?.split(',')
const effort = {
  quick,
  rounds: Number(values.rounds ?? (quick ? 3 : 5)),
  seconds: Number(values.seconds ?? (quick ? 0.6 : 0.7)),
  only: values.servers?.split(','),
  log: (line: string) => console.error(line),
}
const whole = !quick && !named && !effort.only && !values.against

for (const name of absent()) console.error(`not installed, so not in the tables: ${name}`)
const began = performance.now()
const outcomes: Outcome[] = []
for (const workload of workloads) {
  if (named ? !named.includes(workload.id) : quick && !workload.quick) continue
  outcomes.push(await outcomeOf(workload))
  endAll()
  if (whole) write(outcomes, effort, (performance.now() - began) / 60_000)
}
print(outcomes)
process.exit(0)

async function outcomeOf(workload: Workload): Promise<Outcome> {
  try {
    return { workload, findings: await within(LIMIT_MS, workload.id, workload.run(effort)) }
  } catch (error) {
    const failure = (error as Error).message
    console.error(`${workload.id} has failed: ${failure}`)
    return { workload, failure }
  }
}
