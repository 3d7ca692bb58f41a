import { execFile } from 'node:child_process'
import path from 'node:path'
import { promisify } from 'node:util'
import { BUILT } from '../harness/load'
import { show, showSpread, spread } from '../harness/statistics'
import { takeTurns } from '../harness/turns'
import type { Effort, Findings, Workload } from '../harness/workload'

const CLIENTS = [
  { id: 'entitycast', label: '**entitycast**: `EventSubscriber`', megabytes: 400 },
  { id: 'eventsource-map', label: 'eventsource 4, `JSON.parse`, one `Map`', megabytes: 200 },
  { id: 'eventsource', label: 'eventsource 4, `JSON.parse`, 1,000 handlers asked', megabytes: 5 },
]

/** The page's side: how many megabytes of events a second a client reads and gives to its handlers. */
export const client: Workload = {
  id: 'client',
  quick: false,
  aims: [
    {
      id: 'client/parse',
      work: 'Client: parse and dispatch 200-byte events, 1,000 subscriptions on distinct patterns',
      text: '≥ 250 MB/s',
      least: 250,
      unit: ' MB/s',
    },
  ],
  async run(effort: Effort): Promise<Findings> {
    const { results, notes } = await takeTurns(
      CLIENTS,
      { ...effort, rounds: Math.min(effort.rounds, 3) },
      async ({ id, megabytes }) => {
        const program = path.join(BUILT, 'client-program.mjs')
        const { stdout } = await promisify(execFile)(process.execPath, [program, id, String(megabytes)])
        const { megabytesPerCpuSecond } = JSON.parse(stdout) as { megabytesPerCpuSecond: number }
        effort.log(`client: ${id} ${show(megabytesPerCpuSecond)} MB a CPU second`)
        return megabytesPerCpuSecond
      },
    )
    const of = (id: string) => spread(results.get(id) ?? [])
    const ours = of('entitycast')
    return {
      title: 'The client: events of 200 bytes to 1,000 subscriptions',
      method:
        'Bytes from memory, 64 KiB a read; decoded, parsed, checked, and given to the handler among 1,000 distinct patterns; every event counted.',
      columns: ['client', 'MB a CPU second'],
      rows: CLIENTS.map(({ id, label }) => [label, showSpread(of(id))]),
      reached: { 'client/parse': ours },
      notes,
    }
  },
}
