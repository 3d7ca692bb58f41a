import { contestants } from '../harness/contestants'
import { ratios, show, showSpread, spread } from '../harness/statistics'
import { type Taken, takeTurns } from '../harness/turns'
import type { Aim, Effort, Findings, Workload } from '../harness/workload'
import { type Arena, type Measured, openArenas } from './arena'

interface FanoutPlan {
  id: string
  title: string
  connections: number
  events: number
  who: readonly string[] | 'all'
  quickly?: readonly string[]
  /** At least so many times the figure of another server. */
  goals: readonly { peer: string; name: string; least: number }[]
}

/** The same events to many streams, as fast as the server can, a fixed number of events a turn of its event loop. */
function fanout(plan: FanoutPlan): Workload {
  const { id, title, connections, events, who, quickly } = plan
  return {
    id,
    quick: quickly !== undefined,
    aims: plan.goals.map(({ peer, name, least }) => aimOf(plan, peer, name, least)),
    async run(effort: Effort): Promise<Findings> {
      const log = (line: string) => effort.log(`${id}: ${line}`)
      const chosen = contestants(effort.only ?? (effort.quick && quickly ? quickly : who))
      const warm = (arena: Arena) => arena.warm(events, effort.quick ? 0.7 : 1)
      const { arenas, notes } = await openArenas(chosen, connections, warm, log)
      try {
        const taken = await takeTurns(arenas, { ...effort, log }, async (arena, round) => {
          const measured = await arena.measure(events, effort.seconds)
          log(
            `round ${round + 1} ${arena.id} ${show(measured.perCpuSecond)} a CPU second, ` +
              `${show(measured.userMicros)} + ${show(measured.systemMicros)} µs, generator ${show(measured.loadMicros)} µs`,
          )
          return measured
        })
        return { ...findings(plan, arenas, taken), notes: [...notes, ...taken.notes], title }
      } finally {
        for (const arena of arenas) await arena.close()
      }
    },
  }
}

function aimOf({ id, title }: FanoutPlan, peer: string, name: string, least: number): Aim {
  return { id: `${id}/${peer}`, work: title, text: `≥ ${least} × ${name}`, least, unit: ' ×' }
}

function findings(
  { title, connections, events, goals, id }: FanoutPlan,
  arenas: readonly Arena[],
  { results }: Taken<Measured>,
): Omit<Findings, 'title' | 'notes'> {
  const rates = (who: string) => (results.get(who) ?? []).map(({ perCpuSecond }) => perCpuSecond)
  const ours = rates('entitycast')
  const plain = rates('plain-http')
  return {
    method:
      `${connections.toLocaleString('en-GB')} streams, ${events === 1 ? 'one event' : `${events} events`} a turn of the event loop, closed loop with two turns on their way. ` +
      'A server may write two turns that are on their way together; ours does while it is busy. ' +
      '“p50 ms” is from `publish` until the generator has it, and the generator looks every millisecond. ' +
      '“generator” is the load generator’s own processor time for each delivery, and how much of a core it was busy.',
    columns: [
      'server',
      'deliveries a CPU second',
      '× plain loop',
      'user µs a delivery',
      'kernel µs a delivery',
      'p50 ms',
      'generator µs',
      'generator busy',
    ],
    rows: arenas.map((arena) => {
      const measured = results.get(arena.id) ?? []
      const pick = (read: (one: Measured) => number) => spread(measured.map(read)).median
      return [
        arena.label,
        showSpread(spread(rates(arena.id))),
        showSpread(spread(ratios(rates(arena.id), plain))),
        show(pick(({ userMicros }) => userMicros)),
        show(pick(({ systemMicros }) => systemMicros)),
        show(pick(({ latencyMs }) => latencyMs)),
        show(pick(({ loadMicros }) => loadMicros)),
        show(
          pick(({ loadBusy }) => loadBusy * 100),
          ' %',
        ),
      ]
    }),
    reached: Object.fromEntries(goals.map(({ peer }) => [`${id}/${peer}`, spread(ratios(ours, rates(peer)))])),
    bars: {
      title: `${title}: deliveries for each second of the server’s CPU`,
      bars: arenas.map((arena) => ({
        label: arena.label,
        value: spread(rates(arena.id)),
        ours: arena.id === 'entitycast',
      })),
    },
  }
}

const QUICK = ['entitycast', 'plain-http', 'c', 'better-sse']
const PLAIN = { peer: 'plain-http', name: 'plain `res.write` loop' }
const C = { peer: 'c', name: 'the C program' }

export const fanouts: readonly Workload[] = [
  fanout({
    id: 'fanout-1000',
    title: '1,000 streams, one event a turn',
    connections: 1_000,
    events: 1,
    who: 'all',
    quickly: QUICK,
    goals: [
      { ...PLAIN, least: 1.5 },
      { ...C, least: 0.75 },
    ],
  }),
  fanout({
    id: 'fanout-5000',
    title: '5,000 streams, one event a turn',
    connections: 5_000,
    events: 1,
    who: ['entitycast', 'plain-http', 'c', 'better-sse', 'ws', 'nchan'],
    goals: [
      { ...PLAIN, least: 1.5 },
      { ...C, least: 0.75 },
    ],
  }),
  fanout({
    id: 'burst-1000',
    title: '1,000 streams, 16 events a turn',
    connections: 1_000,
    events: 16,
    who: 'all',
    quickly: QUICK,
    goals: [
      { ...PLAIN, least: 4 },
      { peer: 'better-sse', name: 'better-sse', least: 13 },
      { peer: 'nchan', name: 'nchan', least: 16 },
    ],
  }),
]
