import { contestants } from '../harness/contestants'
import { ratios, show, showSpread, spread } from '../harness/statistics'
import { type Effort, type Findings, type Goal, goal, type Workload } from '../harness/workload'
import { Arena, interleave, type Measured } from './arena'

interface FanoutPlan {
  id: string
  title: string
  connections: number
  events: number
  who: readonly string[] | 'all'
  quickly?: readonly string[]
  /** At least so many times the figure of another server. */
  goals: Readonly<Record<string, number>>
}

/** The same events to many streams, as fast as the server can, a fixed number of events a turn of its event loop. */
function fanout({ id, title, connections, events, who, quickly, goals }: FanoutPlan): Workload {
  return {
    id,
    quick: quickly !== undefined,
    async run(effort: Effort): Promise<Findings> {
      const chosen = contestants(effort.only ?? (effort.quick && quickly ? quickly : who))
      const arenas: Arena[] = []
      try {
        for (const contestant of chosen) {
          effort.log(`${id}: ${contestant.id} opens ${connections} streams`)
          const arena = await Arena.open(contestant, connections)
          arenas.push(arena)
          await arena.warm(events, effort.quick ? 0.7 : 1.5)
        }
        const results = await interleave(arenas, effort.rounds, async (arena, round) => {
          const measured = await arena.measure(events, effort.seconds)
          effort.log(
            `${id}: round ${round + 1} ${arena.contestant.id} ${show(measured.perCpuSecond)} a CPU second, ` +
              `${show(measured.userMicros)} + ${show(measured.systemMicros)} µs, generator ${show(measured.loadShare * 100)} %`,
          )
          return measured
        })
        return findings(title, connections, events, arenas, results, goals)
      } finally {
        for (const arena of arenas) await arena.close()
      }
    },
  }
}

function findings(
  title: string,
  connections: number,
  events: number,
  arenas: readonly Arena[],
  results: ReadonlyMap<string, readonly Measured[]>,
  goals: Readonly<Record<string, number>>,
): Findings {
  const rates = (id: string) => (results.get(id) ?? []).map(({ perCpuSecond }) => perCpuSecond)
  const ours = rates('entitycast')
  const reached: Goal[] = []
  for (const [peer, least] of Object.entries(goals)) {
    const base = rates(peer)
    if (base.length === 0 || ours.length === 0) continue
    const ratio = spread(ratios(ours, base))
    const label = arenas.find(({ contestant }) => contestant.id === peer)?.contestant.label ?? peer
    reached.push(goal(`${title}: ≥ ${least} × ${label}`, ratio.median, ratio.median >= least, `${showSpread(ratio)} ×`))
  }
  const plain = rates('plain-http')
  const rows = arenas.map(({ contestant: { id, label } }) => {
    const measured = results.get(id) ?? []
    const pick = (read: (one: Measured) => number) => spread(measured.map(read))
    return [
      label,
      showSpread(pick(({ perCpuSecond }) => perCpuSecond)),
      plain.length > 0 ? showSpread(spread(ratios(rates(id), plain))) : '–',
      show(pick(({ userMicros }) => userMicros).median),
      show(pick(({ systemMicros }) => systemMicros).median),
      show(pick(({ latencyMs }) => latencyMs).median),
      show(pick(({ loadShare }) => loadShare * 100).median, ' %'),
    ]
  })
  return {
    title,
    method:
      `${connections.toLocaleString('en-GB')} streams, ${events === 1 ? 'one event' : `${events} events`} a turn of the event loop, closed loop with two turns on their way. ` +
      '“p50 ms” is from `publish` until the generator has it; the generator looks every millisecond. ' +
      '“generator” is the processor time of the load generator as a share of the server’s.',
    columns: [
      'server',
      'deliveries a CPU second',
      '× plain loop',
      'user µs a delivery',
      'kernel µs a delivery',
      'p50 ms',
      'generator',
    ],
    rows,
    goals: reached,
    bars: {
      title: `${title}, deliveries a CPU second`,
      bars: arenas.map(({ contestant: { id, label } }) => ({
        label,
        value: spread(rates(id)).median,
        ours: id === 'entitycast',
      })),
    },
  }
}

const QUICK = ['entitycast', 'plain-http', 'c', 'better-sse']

export const fanouts: readonly Workload[] = [
  fanout({
    id: 'fanout-1000',
    title: '1,000 streams, one event a turn',
    connections: 1_000,
    events: 1,
    who: 'all',
    quickly: QUICK,
    goals: { 'plain-http': 1.5, c: 0.75 },
  }),
  fanout({
    id: 'fanout-5000',
    title: '5,000 streams, one event a turn',
    connections: 5_000,
    events: 1,
    who: ['entitycast', 'plain-http', 'c', 'better-sse', 'ws', 'nchan'],
    goals: { 'plain-http': 1.5, c: 0.75 },
  }),
  fanout({
    id: 'burst-1000',
    title: '1,000 streams, 16 events a turn',
    connections: 1_000,
    events: 16,
    who: 'all',
    quickly: QUICK,
    goals: { 'plain-http': 4, 'better-sse': 13, nchan: 16 },
  }),
]
