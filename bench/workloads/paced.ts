import { contestants } from '../harness/contestants'
import { ratios, show, showSpread, spread } from '../harness/statistics'
import { type Effort, type Findings, goal, type Workload } from '../harness/workload'
import { Arena, interleave } from './arena'

const WHO = ['entitycast', 'plain-http', 'better-sse', 'ws', 'socket.io', 'fastify-sse', 'express', 'nest-sse', 'nchan']
const STREAMS = 1_000
const EVERY_MS = 50

/** A quiet server: 20 events a second to 1,000 streams, and how long each delivery takes. */
export const paced: Workload = {
  id: 'paced',
  quick: false,
  async run(effort: Effort): Promise<Findings> {
    const arenas: Arena[] = []
    try {
      for (const contestant of contestants(effort.only ?? WHO)) {
        const arena = await Arena.open(contestant, STREAMS)
        arenas.push(arena)
        await arena.warm(1, 1)
        arena.load.nap(0)
      }
      const count = Math.round((effort.seconds * 1_000) / EVERY_MS)
      const results = await interleave(arenas, effort.rounds, async (arena) => {
        const latency = await arena.pace(EVERY_MS, count)
        effort.log(
          `paced: ${arena.contestant.id} p50 ${show(latency.p50 / 1_000)} ms, p99 ${show(latency.p99 / 1_000)} ms`,
        )
        return latency
      })
      const of = (id: string, read: 'p50' | 'p99') => (results.get(id) ?? []).map((one) => one[read] / 1_000)
      const plain = of('plain-http', 'p99')
      const ratio = spread(ratios(of('entitycast', 'p99'), plain))
      return {
        title: '1,000 streams, 20 events a second',
        method: 'From `publish` to the generator, which looks at once here. One event every 50 ms.',
        columns: ['server', 'p50 ms', 'p99 ms', 'p99 × plain loop'],
        rows: arenas.map(({ contestant: { id, label } }) => [
          label,
          showSpread(spread(of(id, 'p50'))),
          showSpread(spread(of(id, 'p99'))),
          plain.length > 0 ? showSpread(spread(ratios(of(id, 'p99'), plain))) : '–',
        ]),
        goals: [
          goal(
            '20 events a second to 1,000: p99 ≤ 0.75 × the plain loop',
            ratio.median,
            ratio.median <= 0.75,
            `${showSpread(ratio)} ×`,
          ),
        ],
      }
    } finally {
      for (const arena of arenas) await arena.close()
    }
  },
}
