import { contestants } from '../harness/contestants'
import { takeSlices } from '../harness/slices'
import { show, showSpread, spread } from '../harness/statistics'
import type { Effort, Findings, Workload } from '../harness/workload'
import { type Arena, openArenas, type Paced } from './arena'

const WHO = ['entitycast', 'plain-http', 'socket-write', 'c', 'better-sse', 'ws', 'socket.io', 'nest-sse', 'nchan']
const STREAMS = 1_000
const EVERY_MS = 50
/** Events of a slice. Before them comes one that does not count: what others did meanwhile has taken the caches. */
const EVENTS = 10
/** For each server, in lengths of a measurement times rounds. */
const LENGTHS = 3
/** By whom it is judged, and what stands beside it: oftener than the others. */
const OFTEN = ['entitycast', 'earlier', 'plain-http', 'socket-write', 'c']
/**
 * The generator looks at its sockets this often. One that looks at once is woken by nearly every write, and that costs the server, whoever it
 * is, up to as much kernel time again as the write itself: the latency would be that of the generator's waking.
 */
const NAP_MICROS = 200

/** What is around the events of a slice, in milliseconds. */
const AROUND_MS = 20

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
      const seconds = effort.rounds * effort.seconds * LENGTHS * arenas.length
      const sliceMs = (EVENTS + 1) * EVERY_MS + AROUND_MS
      const seldom = ({ id }: Arena) => !OFTEN.includes(id)
      const slices = await takeSlices(arenas, { seconds, sliceMs, seldom, log }, async (arena) => {
        await arena.pace(EVERY_MS, 1)
        return arena.pace(EVERY_MS, EVENTS)
      })
      const of = (id: string, name: keyof Paced) => slices.of(id, (paced) => paced[name])
      const middle = (id: string, name: keyof Paced) => show(spread(of(id, name)).median)
      const against = (id: string) => spread(slices.ratios(id, 'plain-http', ({ latestMs }) => latestMs))
      for (const { id } of arenas)
        log(`${id}: p99 ${showSpread(spread(of(id, 'latestMs')))} ms in ${of(id, 'latestMs').length} slices`)
      return {
        title: '1,000 streams, 20 events a second',
        method:
          'From `publish` to the generator, one event every 50 ms, in slices of 10 events. p99 is that of a slice, the slowest hundred of its 10,000 deliveries: mostly those of its slowest event. The generator looks every 0.2 ms: one that looks at once is woken by nearly every write, and is then what is measured, since the waking takes the server up to as much kernel time again as the write. The slowest deliveries are those of the last streams to be written to. The C program is what the kernel takes for 1,000 writes, whoever asks for them; `socket.write` is what is left of it in Node.',
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
          showSpread(against(id)),
          middle(id, 'userMicros'),
          middle(id, 'systemMicros'),
          middle(id, 'loadMicros'),
        ]),
        reached: { 'paced/plain-http': against('entitycast') },
        notes: [...notes, ...slices.notes],
      }
    } finally {
      for (const arena of arenas) await arena.close()
    }
  },
}
