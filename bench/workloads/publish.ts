import { execFile } from 'node:child_process'
import path from 'node:path'
import { promisify } from 'node:util'
import { BUILT } from '../harness/load'
import { show, showSpread, spread } from '../harness/statistics'
import { takeTurns } from '../harness/turns'
import type { Effort, Findings, Workload } from '../harness/workload'

const KINDS = [
  { id: 'checked', label: '`await hub.publish(…)`, the protocol’s checks' },
  { id: 'defined', label: 'the same, and a schema of `defineEvents`' },
]

/** What an event costs a process that nobody is connected to: checking, encoding, the log. */
export const publish: Workload = {
  id: 'publish',
  quick: true,
  aims: [
    {
      id: 'publish/defined',
      work: 'Publish with no listener',
      text: '≥ 300,000 a second, validation on',
      least: 300_000,
      unit: ' a second',
    },
  ],
  async run(effort: Effort): Promise<Findings> {
    const { results, notes } = await takeTurns(KINDS, effort, async ({ id }) => {
      const program = path.join(BUILT, 'publish-program.mjs')
      const { stdout } = await promisify(execFile)(process.execPath, [program, id, '600000'])
      const { perCpuSecond } = JSON.parse(stdout) as { perCpuSecond: number }
      effort.log(`publish: ${id} ${show(perCpuSecond)} a CPU second`)
      return perCpuSecond
    })
    const of = (id: string) => spread(results.get(id) ?? [])
    return {
      title: 'Publishing while nobody listens',
      method: 'Entity events with three fields of data, one awaited after the other, into the log in memory.',
      columns: ['', 'events a CPU second'],
      rows: KINDS.map(({ id, label }) => [label, showSpread(of(id))]),
      reached: { 'publish/defined': of('defined') },
      notes,
    }
  },
}
