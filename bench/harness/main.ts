import { parseArgs } from 'node:util'
import { workloads } from '../workloads/all'
import { compareWith } from './contestants'
import { writeResults } from './results'
import type { Findings } from './workload'

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
  console.log(`npm run bench [-- options]        everything; writes bench/RESULTS.md and bench/results.svg
npm run bench:quick [-- options]  under two minutes, for a change to a hot path; prints, writes nothing

  --workloads a,b   only these, and print instead of writing: ${workloads.map(({ id }) => id).join(', ')}
  --servers a,b     only these servers, in the rows that compare servers
  --against folder  our own package in another checkout takes part too: what a change has gained
  --rounds n        times that each server is measured (5; quick 3)
  --seconds n       length of one measurement (3; quick 1.5)`)
  process.exit(0)
}

if (values.against) compareWith(values.against)
const { quick } = values
const named = values.workloads?.split(',')
const effort = {
  quick,
  rounds: Number(values.rounds ?? (quick ? 3 : 5)),
  seconds: Number(values.seconds ?? (quick ? 1.5 : 3)),
  only: values.servers?.split(','),
  log: (line: string) => console.error(line),
}

const began = performance.now()
const found: Findings[] = []
for (const workload of workloads) {
  if (named ? !named.includes(workload.id) : quick && !workload.quick) continue
  found.push(await workload.run(effort))
}
const minutes = (performance.now() - began) / 60_000
const whole = !quick && !named && !effort.only && !values.against
await writeResults(found, { minutes, effort, write: whole })
process.exit(0)
