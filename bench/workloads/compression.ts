import { contestants } from '../harness/contestants'
import { ratios, show, showSpread, spread } from '../harness/statistics'
import { takeTurns } from '../harness/turns'
import type { Effort, Findings, Workload } from '../harness/workload'
import { Arena, type Measured, measureTogether } from './arena'

const STREAMS = 1_000
const EVENTS = [1, 8, 16] as const
/** One turn every so many milliseconds: as many writes with compression as without. */
const EVERY_MS = 25
const WARM_SECONDS = 1.5

type Read = (measured: Measured) => number

/** For each number of events a turn, what one of the two has used. */
interface Round {
  readonly plain: Measured[]
  readonly gzip: Measured[]
}

const micros: Read = ({ userMicros, systemMicros }) => userMicros + systemMicros

/** The same events as plain text and compressed once for all: bytes on the wire, and what they cost. */
export const compression: Workload = {
  id: 'compression',
  quick: true,
  aims: [
    {
      id: 'compression/bytes',
      work: 'Compression: 8 events a turn to 1,000',
      text: '≥ 5 × fewer bytes',
      least: 5,
      unit: ' ×',
    },
    {
      id: 'compression/time',
      work: 'Compression: 8 events a turn to 1,000',
      text: '≤ 1.1 × the processor time without it',
      most: 1.1,
      unit: ' ×',
    },
  ],
  async run(effort: Effort): Promise<Findings> {
    const [ours] = contestants(['entitycast'])
    if (!ours) throw new Error('this is about our own')
    const arenas: Arena[] = []
    try {
      for (const compress of [false, true]) {
        const headers: Record<string, string> = compress ? { 'accept-encoding': 'gzip' } : {}
        const contestant = {
          ...ours,
          id: compress ? 'gzip' : 'plain',
          label: compress ? 'compressed once' : 'plain text',
        }
        arenas.push(await Arena.open(contestant, STREAMS, { compress }, (load) => load.open(STREAMS, { headers })))
      }
      await measureTogether(arenas, 8, WARM_SECONDS, EVERY_MS)
      const pair = { id: 'pair', label: 'Both' }
      const rounds = effort.rounds * 3
      const { results, notes } = await takeTurns([pair], { rounds, log: effort.log }, async (): Promise<Round> => {
        const round: Round = { plain: [], gzip: [] }
        for (const events of EVENTS) {
          const [plain, gzip] = (await measureTogether(arenas, events, effort.seconds, EVERY_MS)) as [
            Measured,
            Measured,
          ]
          round.plain.push(plain)
          round.gzip.push(gzip)
          effort.log(
            `compression: ${events} a turn: ${show(plain.bytesPerDelivery)} and ${show(gzip.bytesPerDelivery)} bytes, ` +
              `${show(micros(plain))} and ${show(micros(gzip))} µs, generators ${show(plain.loadMicros)} and ${show(gzip.loadMicros)} µs`,
          )
        }
        return round
      })
      const of = (id: keyof Round, events: number, read: Read) =>
        (results.get(pair.id) ?? []).map((round) => read(round[id][EVENTS.indexOf(events as 1)] as Measured))
      const bytes: Read = ({ bytesPerDelivery }) => bytesPerDelivery
      const middle = (id: keyof Round, events: number, read: Read) => show(spread(of(id, events, read)).median)
      const fewer = (events: number) => spread(ratios(of('plain', events, bytes), of('gzip', events, bytes)))
      const time = (events: number) => spread(ratios(of('gzip', events, micros), of('plain', events, micros)))
      const both = (events: number, read: Read) => `${middle('plain', events, read)} → ${middle('gzip', events, read)}`
      return {
        title: `${STREAMS.toLocaleString('en-GB')} streams, compressed`,
        method:
          `A turn every ${EVERY_MS} ms, so that there are as many writes with compression as without. Once nobody accepts gzip, once everybody does, both in the same seconds and turn by turn. Each stream is inflated by ` +
          'itself at first; after that a chunk that another stream has just had, byte for byte, is not inflated once more: clients do that on machines of their own, and here ' +
          'a busy generator would cost one of the two its caches. The events hold a run of 68 equal letters, which flatters; a test asks for the same with events that have none.',
        columns: [
          'events a turn',
          'bytes a delivery',
          'fewer',
          'user µs a delivery',
          'kernel µs a delivery',
          '× CPU',
          'p50 ms',
          'p99 ms',
          'generator µs',
        ],
        rows: EVENTS.map((events) => [
          String(events),
          both(events, bytes),
          showSpread(fewer(events), ' ×'),
          both(events, ({ userMicros }) => userMicros),
          both(events, ({ systemMicros }) => systemMicros),
          showSpread(time(events), ' ×'),
          both(events, ({ latencyMs }) => latencyMs),
          both(events, ({ latestMs }) => latestMs),
          both(events, ({ loadMicros }) => loadMicros),
        ]),
        reached: { 'compression/bytes': fewer(8), 'compression/time': time(8) },
        notes,
      }
    } finally {
      for (const arena of arenas) await arena.close()
    }
  },
}
