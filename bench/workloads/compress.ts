import { contestants } from '../harness/contestants'
import { ratios, show, showSpread, spread } from '../harness/statistics'
import { takeTurns } from '../harness/turns'
import type { Effort, Findings, Workload } from '../harness/workload'
import { Arena } from './arena'

const STREAMS = 1_000
const EVENTS = 16

/** Bytes on the wire: each chunk compressed once for everyone, beside the same server without. */
export const compress: Workload = {
  id: 'compress',
  quick: false,
  aims: [
    {
      id: 'compress/bytes',
      work: 'Compressed: 16 events a turn to 1,000',
      text: '≥ 5 × fewer bytes',
      least: 5,
      unit: ' ×',
    },
    {
      id: 'compress/cpu',
      work: 'Compressed: 16 events a turn to 1,000',
      text: '≤ 1.1 × the processor time of the uncompressed hub',
      most: 1.1,
      unit: ' ×',
    },
  ],
  async run(effort: Effort): Promise<Findings> {
    const [ours] = contestants(['entitycast'])
    if (!ours) throw new Error('this is about our own')
    const plain = await Arena.open({ ...ours, id: 'plain', label: 'as text' }, STREAMS)
    const arenas = [plain]
    try {
      const asking = { headers: { 'accept-encoding': 'gzip' } }
      const gzip = await Arena.open(
        { ...ours, id: 'gzip', label: "`compression: 'gzip'`" },
        STREAMS,
        { compress: true },
        (load) => load.open(STREAMS, asking),
      )
      arenas.push(gzip)
      for (const arena of arenas) await arena.warm(EVENTS, 1)
      const { results, notes } = await takeTurns(arenas, effort, async (arena) => {
        const measured = await arena.measure(EVENTS, effort.seconds)
        effort.log(
          `compress: ${arena.id} ${show(measured.perCpuSecond)} a CPU second, ${show(measured.bytesPerDelivery)} bytes`,
        )
        return measured
      })
      const bytes = (id: string) => (results.get(id) ?? []).map(({ bytesPerDelivery }) => bytesPerDelivery)
      const micros = (id: string) => (results.get(id) ?? []).map(({ perCpuSecond }) => 1_000_000 / perCpuSecond)
      const cpu = spread(ratios(micros('gzip'), micros('plain')))
      const fewer = spread(ratios(bytes('plain'), bytes('gzip')))
      return {
        title: 'Compressed once for everyone',
        method: `${STREAMS.toLocaleString('en-GB')} streams, ${EVENTS} events a turn, closed loop. The generator inflates every stream and checks every event.`,
        columns: ['', 'bytes a delivery', '× fewer', 'CPU µs a delivery', '× as text'],
        rows: [
          ['as text', showSpread(spread(bytes('plain'))), '1', showSpread(spread(micros('plain'))), '1'],
          [
            "`compression: 'gzip'`",
            showSpread(spread(bytes('gzip'))),
            showSpread(fewer),
            showSpread(spread(micros('gzip'))),
            showSpread(cpu),
          ],
        ],
        reached: { 'compress/bytes': fewer, 'compress/cpu': cpu },
        notes,
      }
    } finally {
      for (const arena of arenas) await arena.close()
    }
  },
}
