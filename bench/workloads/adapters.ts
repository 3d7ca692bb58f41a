import { type BrokerKind, nats, postgres, redis } from '../harness/brokers'
import { within } from '../harness/children'
import type { Load, LoadStats } from '../harness/load'
import { show, showSpread, spread } from '../harness/statistics'
import { failure, takeTurns } from '../harness/turns'
import type { Effort, Findings, Workload } from '../harness/workload'
import { monotonicMicros } from './adapters-clock'
import { Site, type SiteKind, socketIoAsking } from './adapters-site'

const STREAMS = 1_000
const EVERY_MS = 25
const PACED_MS = 1_500
const APPEND_MS = 500
const IN_FLIGHT = 64
const MISSED = 1_000
const ROUNDS = 3
const OPEN_MS = 30_000

/** The projects: one with all the streams, one with a stream at each instance, one that everyone was away from. */
const MANY = 'many'
const FEW = 'few'
const AWAY = 'away'

const KINDS: readonly SiteKind[] = [
  { id: 'memory', label: '**memory**, one process', instances: 1, hasLog: true },
  { id: 'cluster', label: '**cluster**, two workers', hasLog: true },
  { id: 'redis', label: '**redis**', broker: redis, hasLog: true },
  { id: 'postgres', label: '**postgres**', broker: postgres, hasLog: true },
  { id: 'nats', label: '**nats**', broker: nats, hasLog: true },
  { id: 'plain-redis', label: 'Redis `SUBSCRIBE` and a `res.write` loop', broker: redis, hasLog: false },
  {
    id: 'socket.io-redis',
    label: 'socket.io, redis-adapter',
    broker: redis,
    hasLog: false,
    asking: socketIoAsking(),
  },
  {
    id: 'socket.io-streams',
    label: 'socket.io, redis-streams-adapter',
    broker: redis,
    hasLog: false,
    asking: socketIoAsking(),
  },
]

interface Latency {
  readonly p50: number
  readonly p99: number
}

interface Round {
  /** In milliseconds, by instance: the first one publishes. */
  readonly latency: readonly Latency[]
  readonly perSecond: number
  /** Processor time of an append, in microseconds. */
  readonly instanceMicros: number
  readonly brokerMicros: number
  /** Until all have what they missed. */
  readonly seconds: number
}

/** The same application on each adapter, in two processes; beside it what else people put between theirs. */
export const adapters: Workload = {
  id: 'adapters',
  quick: false,
  aims: [],
  async run(effort: Effort): Promise<Findings> {
    const log = (line: string) => effort.log(`adapters: ${line}`)
    const tables: Table[] = []
    const notes: string[] = []
    try {
      for (const kind of KINDS) {
        const { label, broker } = kind
        if (broker?.missing) {
          notes.push(`${label} was left out: ${broker.missing}`)
          log(notes.at(-1) as string)
          continue
        }
        try {
          tables.push(await within(OPEN_MS, 'opening', Table.open(kind)))
        } catch (error) {
          notes.push(failure(kind, error))
          log(notes.at(-1) as string)
        }
      }
      const rounds = Math.min(effort.rounds, ROUNDS)
      const { results, notes: failed } = await takeTurns(tables, { rounds, log }, async (table) => {
        const round = await table.measure()
        log(`${table.id} ${said(round)}`)
        return round
      })
      const brokers = [...new Set(KINDS.flatMap(({ broker }) => (broker && !broker.missing ? [broker] : [])))]
      return {
        title: 'Two processes: each adapter, and what is beside it',
        method: methodOf(brokers, rounds),
        columns: [
          '',
          'publisher p50 ms',
          'publisher p99 ms',
          'other p50 ms',
          'other p99 ms',
          'appends a second',
          'instances µs an append',
          'broker µs an append',
          `${MISSED.toLocaleString('en-GB')} missed events caught up after s`,
        ],
        rows: tables.map((table) => {
          const of = (read: (round: Round) => number | undefined) =>
            showSpread(spread((results.get(table.id) ?? []).map((round) => read(round) ?? Number.NaN)))
          return [
            table.label,
            of(({ latency }) => latency[0]?.p50),
            of(({ latency }) => latency[0]?.p99),
            of(({ latency }) => latency[1]?.p50),
            of(({ latency }) => latency[1]?.p99),
            of(({ perSecond }) => perSecond),
            of(({ instanceMicros }) => instanceMicros),
            of(({ brokerMicros }) => brokerMicros),
            of(({ seconds }) => seconds),
          ]
        }),
        reached: {},
        notes: [...notes, ...failed],
      }
    } finally {
      await Promise.all(tables.map((table) => table.close()))
    }
  },
}

function methodOf(brokers: readonly BrokerKind[], rounds: number): string {
  const each = STREAMS / 2
  return (
    `Two processes with ${each} streams each, one event every ${EVERY_MS} ms from one of them, from \`publish\` to the generator: at the streams of the process that publishes, ` +
    `and at those of the other one. Appends: ${IN_FLIGHT} in flight from one process, each until the broker has taken it, to a project with one stream at each process, for ${APPEND_MS / 1_000} s; the clock stops when both streams ` +
    `have the last. Processor time: of the two processes together, and of the broker (of the primary, where that has the log). Catching up: ${STREAMS.toLocaleString('en-GB')} streams come back in the same moment, ` +
    `half of them at each process, with the cursor of ${MISSED.toLocaleString('en-GB')} events ago. ${rounds} rounds in turns; each event must be everywhere once, in order. ` +
    `${brokers.map(({ label, settings }) => `${label}: ${settings}`).join('. ')}. Without a log there is nothing to catch up from.`
  )
}

function said({ latency, perSecond, instanceMicros, brokerMicros, seconds }: Round): string {
  const delays = latency.map(({ p50, p99 }) => `p50 ${show(p50)} ms p99 ${show(p99)} ms`).join(', ')
  const costs = `${show(instanceMicros)} + ${show(brokerMicros)} µs`
  return `${delays}, ${show(perSecond)} appends a second (${costs}), caught up after ${show(seconds)} s`
}

/** One row, running. */
class Table {
  #away = ''

  private constructor(
    readonly site: Site,
    readonly many: readonly Load[],
    readonly few: readonly Load[],
  ) {}

  static async open(kind: SiteKind): Promise<Table> {
    const site = await Site.start(kind)
    try {
      const each = STREAMS / site.instances
      const few = await site.open(FEW, 1)
      const many = await site.open(MANY, each)
      await site.joined(each + 1)
      const table = new Table(site, many, few)
      await table.#prepare()
      return table
    } catch (error) {
      await site.close()
      throw error
    }
  }

  get id(): string {
    return this.site.id
  }

  get label(): string {
    return this.site.label
  }

  /** What was missed is in the log; code is compiled. */
  async #prepare(): Promise<void> {
    await this.#pace(1_000)
    await this.#append(500)
    if (!this.site.kind.hasLog) return
    this.#away = (await this.site.ask(0, { do: 'cursor', project: AWAY })).cursor ?? ''
    await this.site.ask(0, { do: 'append', project: AWAY, inFlight: IN_FLIGHT, count: MISSED })
  }

  async measure(): Promise<Round> {
    const latency = await this.#pace(PACED_MS)
    const appended = await this.#append(APPEND_MS)
    const seconds = this.site.kind.hasLog ? await this.#catchUp() : Number.NaN
    return { latency, ...appended, seconds }
  }

  async #pace(forMs: number): Promise<Latency[]> {
    const each = STREAMS / this.site.instances
    await statsOf(this.many)
    const count = Math.round(forMs / EVERY_MS)
    const { last = 0 } = await this.site.ask(0, { do: 'pace', project: MANY, everyMs: EVERY_MS, count })
    await reached(this.many, last)
    const seen = await statsOf(this.many)
    for (const { deliveries } of seen) expect(deliveries, each * count)
    return seen.map(({ latency }) => ({ p50: latency.p50 / 1_000, p99: latency.p99 / 1_000 }))
  }

  async #append(forMs: number): Promise<Omit<Round, 'latency' | 'seconds'>> {
    await statsOf(this.few)
    const before = await this.site.usage()
    const first = this.#few
    const order = { do: 'append', project: FEW, inFlight: IN_FLIGHT, forMs } as const
    const { last = 0, beganMicros = 0 } = await this.site.ask(0, order)
    await reached(this.few, last)
    const took = (monotonicMicros() - beganMicros) / 1_000_000
    const after = await this.site.usage()
    const count = last - first
    this.#few = last
    for (const { deliveries } of await statsOf(this.few)) expect(deliveries, count)
    return {
      perSecond: count / took,
      instanceMicros: (after.instances - before.instances) / count,
      brokerMicros: (after.broker - before.broker) / count,
    }
  }

  /** The number of the last event of that project. */
  #few = 0

  async #catchUp(): Promise<number> {
    const each = STREAMS / this.site.instances
    const began = performance.now()
    const back = await this.site.open(AWAY, each, this.#away)
    await reached(back, MISSED)
    const seconds = (performance.now() - began) / 1_000
    for (const { deliveries } of await statsOf(back)) expect(deliveries, each * MISSED)
    await Promise.all(back.map((load) => load.close()))
    await this.site.joined(each + 1)
    return seconds
  }

  close(): Promise<void> {
    return this.site.close()
  }
}

function statsOf(loads: readonly Load[]): Promise<LoadStats[]> {
  return Promise.all(loads.map((load) => load.stats()))
}

async function reached(loads: readonly Load[], number: number): Promise<void> {
  await Promise.all(loads.map((load) => load.reached(number)))
}

function expect(deliveries: number, expected: number): void {
  if (deliveries !== expected) throw new Error(`${deliveries} deliveries instead of ${expected}`)
}
