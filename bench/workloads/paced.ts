import { contestants } from '../harness/contestants'
import { ratios, show, showSpread, spread } from '../harness/statistics'
import { takeTurns } from '../harness/turns'
import type { Effort, Findings, Workload } from '../harness/workload'
import { openArenas, type Paced } from './arena'

const WHO = ['entitycast', 'plain-http', 'socket-write', 'c', 'better-sse', 'ws', 'socket.io', 'nest-sse', 'nchan']
const STREAMS = 1_000
const EVERY_MS = 50
/** At least so long, in seconds: 40 events, so that the slowest of a hundred deliveries are not those of one event alone. */
const LEAST_SECONDS = 2
/**
 * The generator looks at its sockets this often. One that looks at once is woken by nearly every write, and that costs the server, whoever it
 * is, up to as much kernel time again as the write itself: the latency would be that of the generator's waking.
 */
const NAP_MICROS = 200

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
        arena.load.nap(NAP_MICROS)
      },
      log,
    )
    try {
      const count = Math.round((Math.max(effort.seconds, LEAST_SECONDS) * 1_000) / EVERY_MS)
      const taken = await takeTurns(arenas, { ...effort, log }, async (arena) => {
        const paced = await arena.pace(EVERY_MS, count)
        log(`${arena.id} p50 ${show(paced.latencyMs)} ms, p99 ${show(paced.latestMs)} ms`)
        return paced
      })
      const of = (id: string, read: keyof Paced) => (taken.results.get(id) ?? []).map((one) => one[read])
      const middle = (id: string, read: keyof Paced) => show(spread(of(id, read)).median)
      const plain = of('plain-http', 'latestMs')
      const ratio = spread(ratios(of('entitycast', 'latestMs'), plain))
      return {
        title: '1,000 streams, 20 events a second',
        method:
          'From `publish` to the generator, one event every 50 ms. The generator looks every 0.2 ms: one that looks at once is woken by nearly every write, and is then what is measured, since the waking takes the server up to as much kernel time again as the write. The slowest deliveries are those of the last streams to be written to. The C program is what the kernel takes for 1,000 writes, whoever asks for them; `socket.write` is what is left of it in Node.',
        columns: [
          'server',
          'p50 ms',
          'p99 ms',
          'p99 × plain loop',
          'user µs a delivery',
          'kernel µs a delivery',
          'generator µs',
        ],
        rows: arenas.map(({ id, label }) => [
          label,
          showSpread(spread(of(id, 'latencyMs'))),
          showSpread(spread(of(id, 'latestMs'))),
          showSpread(spread(ratios(of(id, 'latestMs'), plain))),
          middle(id, 'userMicros'),
          middle(id, 'systemMicros'),
          middle(id, 'loadMicros'),
        ]),
        reached: { 'paced/plain-http': ratio },
        notes: [...notes, ...taken.notes],
      }
    } finally {
      for (const arena of arenas) await arena.close()
    }
  },
}
