import { contestants } from '../harness/contestants'
import { type Slices, takeSlices } from '../harness/slices'
import { show, showSpread, spread } from '../harness/statistics'
import type { Aim, Effort, Findings, Workload } from '../harness/workload'
import { type Arena, type Measured, openArenas } from './arena'

/** What is around a slice: asking who used how much, until every stream has everything, in milliseconds. */
const AROUND_MS = 20
/** Turns at the beginning of a slice that do not count, as a part of its length. */
const COLD = 0.25

interface FanoutPlan {
  id: string
  title: string
  connections: number
  events: number
  /** Length of a slice, in seconds: some turns of whoever it is judged by, and long enough for processor time. */
  slice: number
  /** So many times as long as others. */
  times?: number
  who: readonly string[] | 'all'
  quickly?: readonly string[]
  /** At least so many times the figure of another server. */
  goals: readonly { peer: string; name: string; least: number }[]
}

/** The same events to many streams, as fast as the server can, a fixed number of events a turn of its event loop. */
function fanout(plan: FanoutPlan): Workload {
  const { id, title, connections, events, slice, who, quickly } = plan
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
        const judged = ['entitycast', 'earlier', 'plain-http', ...plan.goals.map(({ peer }) => peer)]
        const seconds = effort.rounds * effort.seconds * arenas.length * (plan.times ?? 1)
        const seldom = (arena: Arena) => !judged.includes(arena.id)
        const slices = await takeSlices(
          arenas,
          { seconds, sliceMs: slice * (1 + COLD) * 1_000 + AROUND_MS, seldom, log },
          (arena) => arena.slice(events, slice * COLD, slice),
        )
        for (const { id: who } of arenas) log(said(slices, who))
        return { ...findings(plan, arenas, slices), notes: [...notes, ...slices.notes], title }
      } finally {
        for (const arena of arenas) await arena.close()
      }
    },
  }
}

function aimOf({ id, title }: FanoutPlan, peer: string, name: string, least: number): Aim {
  return { id: `${id}/${peer}`, work: title, text: `≥ ${least} × ${name}`, least, unit: ' ×' }
}

const rate = ({ perCpuSecond }: Measured) => perCpuSecond

function said(slices: Slices<Measured>, who: string): string {
  const rates = slices.of(who, rate)
  const reads = slices.of(who, ({ readsPerDelivery }) => readsPerDelivery)
  return `${who}: ${rates.length} slices, ${showSpread(spread(rates))} a CPU second, ${showSpread(spread(reads))} reads a delivery`
}

function findings(
  { title, connections, events, slice, goals, id }: FanoutPlan,
  arenas: readonly Arena[],
  slices: Slices<Measured>,
): Omit<Findings, 'title' | 'notes'> {
  const rates = (who: string) => spread(slices.of(who, rate))
  const against = (who: string, base: string) => spread(slices.ratios(who, base, rate))
  return {
    method:
      `${connections.toLocaleString('en-GB')} streams, ${events === 1 ? 'one event' : `${events} events`} a turn of the event loop, closed loop with two turns on their way, in slices of ${slice * 1_000} ms. ` +
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
      const pick = (read: (one: Measured) => number) => spread(slices.of(arena.id, read)).median
      return [
        arena.label,
        showSpread(rates(arena.id)),
        showSpread(against(arena.id, 'plain-http')),
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
    reached: Object.fromEntries(goals.map(({ peer }) => [`${id}/${peer}`, against('entitycast', peer)])),
    bars: {
      title: `${title}: deliveries for each second of the server’s CPU`,
      bars: arenas.map((arena) => ({
        label: arena.label,
        value: rates(arena.id),
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
    slice: 0.1,
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
    slice: 0.25,
    times: 2,
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
    slice: 0.1,
    who: 'all',
    quickly: QUICK,
    goals: [
      { ...PLAIN, least: 4 },
      { peer: 'better-sse', name: 'better-sse', least: 13 },
      { peer: 'nchan', name: 'nchan', least: 16 },
    ],
  }),
]
