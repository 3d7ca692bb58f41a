import { type ChildProcess, fork } from 'node:child_process'
import path from 'node:path'
import { adopt, ended, within } from '../harness/children'
import { type Contestant, contestants } from '../harness/contestants'
import { BUILT } from '../harness/load'
import type { RunningServer, Usage } from '../harness/server'
import { ratios, show, showSpread, spread } from '../harness/statistics'
import { takeTurns } from '../harness/turns'
import type { Effort, Findings, Workload } from '../harness/workload'
import { Arena, type Measured, measureTogether } from './arena'

const STREAMS = 4_000
const WORKERS = 2
/**
 * The pace at which processor time is compared, the turns of all three a third of it apart. So slow that no process joins turns, or who did it more
 * often would win. So that acknowledgements which the kernel holds back for 40 ms come when nobody publishes: their time is that of
 * whoever happens to run. And without a pause of 200 ms: after that it acknowledges the next turns at once, which cost whoever had to wait
 * longer a tenth more.
 */
const EVERY_MS = 180
/** A round, in lengths of a measurement: 12 turns of each. */
const LENGTHS = 3
/** Fewer reads for each delivery, and somebody has joined turns. Heartbeats make it more. */
const LEAST_READS = 0.98

/** What a round at that pace found of one of the two. */
interface Found {
  readonly perCpuSecond: number
  /** Deliveries for each second of processor time of the process that used most: what it comes to where each has a core. */
  readonly perCoreSecond: number
  readonly readsPerDelivery: number
  /** Processor time of the primary for each turn. */
  readonly primaryMicros: number
}

interface Round {
  readonly one: Found
  readonly two: Found
  readonly apart: Found
}

const IDS = ['one', 'two', 'apart'] as const

/** What two workers of `node:cluster` deliver, and what one process does. */
export const cluster: Workload = {
  id: 'cluster',
  quick: false,
  aims: [
    {
      id: 'cluster/two',
      work: 'two workers of `node:cluster`, both busy',
      text: '≥ 1.9 × the deliveries of one process, where each process has a core',
      least: 1.9,
      unit: ' ×',
    },
  ],
  async run(effort: Effort): Promise<Findings> {
    const [ours] = contestants(['entitycast'])
    if (!ours) throw new Error('this is about our own')
    const workers = new Processes()
    const strangers = new Processes()
    const arenas: Arena[] = []
    const open = async (id: string, label: string, start: Contestant['start']) => {
      const arena = await Arena.open({ id, label, asking: {}, start }, STREAMS)
      arenas.push(arena)
      return arena
    }
    try {
      const one = await open('one', 'one process', ours.start)
      const two = await open('two', `${WORKERS} workers`, () => workers.start(WORKERS))
      await open('apart', `${WORKERS} processes that share nothing`, () => strangers.start(WORKERS, 'strangers'))
      for (const arena of arenas) await arena.warm(1, 1.5)
      // Short and often: both must have the same machine.
      const fastest = await takeTurns([one, two], { rounds: effort.rounds * 3, log: effort.log }, (arena) =>
        arena.measure(1, effort.seconds / 2),
      )
      const seconds = effort.seconds * LENGTHS
      // After the pauses of what was before, streams are acknowledged in another way for some turns.
      await measureTogether(arenas, 1, seconds, EVERY_MS)
      const all = { id: 'all', label: 'At its pace, each of the three' }
      const rounds = effort.rounds * 4
      const paced = await takeTurns([all], { rounds, log: effort.log }, async (): Promise<Round> => {
        const [alone, shared, apart] = (await measureTogether(arenas, 1, seconds, EVERY_MS)) as [
          Measured,
          Measured,
          Measured,
        ]
        const round = {
          one: { ...alone, perCoreSecond: alone.perCpuSecond, primaryMicros: 0 },
          two: workers.found(shared),
          apart: strangers.found(apart),
        }
        const times = (id: keyof Round) => show(round[id].perCoreSecond / round.one.perCoreSecond)
        effort.log(
          `cluster: one process ${show(alone.perCpuSecond)} a CPU second; ${WORKERS} workers ${times('two')} ×, processes that share nothing ${times('apart')} ×; ` +
            `streams ${workers.streams.join(' + ')}; generators ${[alone, shared, apart].map(({ loadMicros }) => show(loadMicros)).join(', ')} µs`,
        )
        return round
      })
      const notes = [...fastest.notes, ...paced.notes]
      const results = paced.results.get(all.id) ?? []
      const pick = (id: keyof Round, read: (found: Found) => number) => results.map((round) => read(round[id]))
      const clock = (id: string, read: (measured: Measured) => number) => (fastest.results.get(id) ?? []).map(read)
      const perCore = (id: keyof Round) => pick(id, ({ perCoreSecond }) => perCoreSecond)
      const byCore = (id: keyof Round) => spread(ratios(perCore(id), perCore('one')))
      const perSecond = (id: string) => clock(id, (measured) => measured.perSecond)
      const byClock = (id: string) => spread(ratios(perSecond(id), perSecond('one')))
      const least = Math.min(...IDS.flatMap((id) => pick(id, ({ readsPerDelivery }) => readsPerDelivery)))
      if (least < LEAST_READS)
        notes.push(`Turns were joined on the way: ${show(least)} reads for each delivery in one round.`)
      return {
        title: 'Two processes beside one',
        method:
          `${STREAMS.toLocaleString('en-GB')} streams, one event a turn. One process; ${WORKERS} workers of node:cluster with the log in the primary, one of them publishing ` +
          `and both delivering, with ${show(STREAMS / WORKERS)} of the streams each; and ${WORKERS} processes with as many streams that have nothing to do with each other, each of which publishes for its own: that is what this machine ` +
          "allows, for they too share its caches and its memory, and each has a turn's fixed costs for half as many streams. " +
          `Processor time in the same seconds: all have their streams open, and turn by turn one of the three publishes, each every ${EVERY_MS} ms, in ${rounds} rounds of ${show(seconds)} s. So what else the machine does happens to all, and all have as many writes: in a closed loop each of them joins turns, ` +
          'and the less the less it has to do. Each process has a port and a generator of its own: one generator waits for all its sockets at one place in the kernel, and there two processes that write at once would meet, which they do not where clients are on machines of their own. ' +
          '“Busiest”: that of the worker, or the primary, that used most, which is what bounds them where each has a core. By the clock, one after the ' +
          'other and in a closed loop with two turns on their way, the ratio is that of a machine that has nothing else to do, or it is noise.',
        columns: [
          '',
          'deliveries a second of the busiest',
          '× one process',
          'deliveries a CPU second, all processes',
          'primary µs a turn',
          'by the clock',
          '× one process by the clock',
          'p50 ms',
        ],
        rows: arenas.map(({ label }, i) => {
          const id = IDS[i] as keyof Round
          return [
            label,
            showSpread(spread(perCore(id))),
            id === 'one' ? '1' : showSpread(byCore(id)),
            showSpread(spread(pick(id, ({ perCpuSecond }) => perCpuSecond))),
            id === 'two' ? show(spread(pick(id, ({ primaryMicros }) => primaryMicros)).median) : '–',
            showSpread(spread(perSecond(id))),
            id === 'one' ? '1' : showSpread(byClock(id)),
            show(spread(clock(id, ({ latencyMs }) => latencyMs)).median),
          ]
        }),
        reached: { 'cluster/two': byCore('two') },
        notes,
      }
    } finally {
      for (const arena of arenas) await arena.close()
    }
  },
}

/** A primary and its workers, and what each of them has used. */
class Processes {
  #before: number[] = []
  #after: number[] = []
  /** How many each worker had when anybody asked last. */
  streams: readonly number[] = []

  /** What a measurement has found, by the processor time between the last two times that anybody asked. */
  found(measured: Measured): Found {
    const micros = this.#after.map((after, n) => after - (this.#before[n] ?? 0))
    return {
      ...measured,
      perCoreSecond: (measured.deliveries / Math.max(...micros)) * 1_000_000,
      primaryMicros: (micros[0] ?? 0) / (measured.deliveries / STREAMS),
    }
  }

  async start(workers: number, ...flags: string[]): Promise<RunningServer> {
    const child = adopt(fork(path.join(BUILT, 'cluster-program.mjs'), [String(workers), ...flags]))
    const { ports } = await within(15_000, 'starting the cluster', next<{ ports: number[] }>(child, 'ports'))
    return {
      port: ports[0] as number,
      ports,
      allow: (turns, events) => void child.send({ do: 'allow', turns, events }, () => {}),
      pace: () => Promise.reject(new Error('nobody asks for it')),
      usage: async () => {
        const answer = next<{ all: Usage[]; streams: number[] }>(child, 'all')
        child.send({ do: 'usage', collect: false }, () => {})
        const { all, streams } = await answer
        this.streams = streams
        this.#before = this.#after
        this.#after = all.map(({ userMicros, systemMicros }) => userMicros + systemMicros)
        const sum = (read: (usage: Usage) => number) => all.reduce((total, usage) => total + read(usage), 0)
        return {
          userMicros: sum(({ userMicros }) => userMicros),
          systemMicros: sum(({ systemMicros }) => systemMicros),
          rssBytes: sum(({ rssBytes }) => rssBytes),
        }
      },
      async stop() {
        if (child.connected) child.disconnect()
        await ended(child)
      },
    }
  }
}

/** The next thing of this name that it says. */
function next<Word extends object>(child: ChildProcess, name: string): Promise<Word> {
  return new Promise((resolve, reject) => {
    const gone = (code: number | null, signal: string | null) => {
      reject(new Error(`the primary has ended (${code ?? signal})`))
    }
    const hear = (word: object) => {
      if (!(name in word)) return
      child.off('message', hear)
      child.off('exit', gone)
      resolve(word as Word)
    }
    child.on('message', hear)
    child.on('exit', gone)
  })
}
