import { contestants } from '../harness/contestants'
import { ratios, show, showSpread, spread } from '../harness/statistics'
import { takeTurns } from '../harness/turns'
import type { Effort, Findings, Workload } from '../harness/workload'
import { openArenas } from './arena'

const WHO = ['entitycast', 'plain-http', 'better-sse', 'ws', 'socket.io', 'nest-sse', 'nchan']
const STREAMS = 1_000
const EVERY_MS = 50

/** A quiet server: 20 events a second to 1,000 streams, and how long each delivery takes. */
export const paced: Workload = {
  id: 'paced',
  quick: false,
  aims: [
    {
      id: 'paced/plain-http',
      work: 'Paced: 20 events a second to 1,000',
      text: 'p99 ≤ 0.75 × the plain loop',
      most: 0.75,
      unit: ' ×',
    },
  ],
  async run(effort: Effort): Promise<Findings> {
    const log = (line: string) => effort.log(`paced: ${line}`)
    const { arenas, notes } = await openArenas(
      contestants(effort.only ?? WHO),
      STREAMS,
      async (arena) => {
        await arena.warm(1, 1)
        arena.load.nap(0)
      },
      log,
    )
    try {
      const count = Math.round((Math.max(effort.seconds, 1.2) * 1_000) / EVERY_MS)
      const taken = await takeTurns(arenas, { ...effort, log }, async (arena) => {
        const latency = await arena.pace(EVERY_MS, count)
        log(`${arena.id} p50 ${show(latency.p50 / 1_000)} ms, p99 ${show(latency.p99 / 1_000)} ms`)
        return latency
      })
      const of = (id: string, read: 'p50' | 'p99') => (taken.results.get(id) ?? []).map((one) => one[read] / 1_000)
      const plain = of('plain-http', 'p99')
      const ratio = spread(ratios(of('entitycast', 'p99'), plain))
      return {
        title: '1,000 streams, 20 events a second',
        method: 'From `publish` to the generator, which looks at once here. One event every 50 ms.',
        columns: ['server', 'p50 ms', 'p99 ms', 'p99 × plain loop'],
        rows: arenas.map(({ id, label }) => [
          label,
          showSpread(spread(of(id, 'p50'))),
          showSpread(spread(of(id, 'p99'))),
          showSpread(spread(ratios(of(id, 'p99'), plain))),
        ]),
        reached: { 'paced/plain-http': ratio },
        notes: [...notes, ...taken.notes],
      }
    } finally {
      for (const arena of arenas) await arena.close()
    }
  },
}
