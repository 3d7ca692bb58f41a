import { execFile } from 'node:child_process'
import path from 'node:path'
import { promisify } from 'node:util'
import { BUILT } from '../harness/load'
import { show, showSpread, spread } from '../harness/statistics'
import { type Effort, type Findings, goal, type Workload } from '../harness/workload'

const KINDS = [
  { id: 'checked', label: '`await hub.publish(…)`, the protocol’s checks' },
  { id: 'defined', label: 'the same, and a schema of `defineEvents`' },
]

/** What an event costs a process that nobody is connected to: checking, encoding, the log. */
export const publish: Workload = {
  id: 'publish',
  quick: false,
  async run(effort: Effort): Promise<Findings> {
    const found = new Map<string, number[]>(KINDS.map(({ id }) => [id, []]))
    for (let round = 0; round < effort.rounds; round++) {
      for (const { id } of KINDS) {
        const program = path.join(BUILT, 'publish-program.mjs')
        const { stdout } = await promisify(execFile)(process.execPath, [program, id, '600000'])
        const { perCpuSecond } = JSON.parse(stdout) as { perCpuSecond: number }
        effort.log(`publish: ${id} ${show(perCpuSecond)} a CPU second`)
        found.get(id)?.push(perCpuSecond)
      }
    }
    const of = (id: string) => spread(found.get(id) ?? [])
    return {
      title: 'Publishing while nobody listens',
      method: 'Entity events with three fields of data, one awaited after the other, into the log in memory.',
      columns: ['', 'events a CPU second'],
      rows: KINDS.map(({ id, label }) => [label, showSpread(of(id))]),
      goals: [
        goal(
          'Publishing with no listener: ≥ 300,000 a second, validation on',
          of('defined').median,
          of('defined').median >= 300_000,
          `${showSpread(of('defined'))} a second`,
        ),
      ],
    }
  },
}
