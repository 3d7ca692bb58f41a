import { type ChildProcess, fork } from 'node:child_process'
import path from 'node:path'
import { adopt, ended, within } from '../harness/children'
import { contestants } from '../harness/contestants'
import { BUILT, type Load } from '../harness/load'
import type { RunningServer, Usage } from '../harness/server'
import { ratios, show, showSpread, spread } from '../harness/statistics'
import { takeTurns } from '../harness/turns'
import type { Effort, Findings, Workload } from '../harness/workload'
import { Arena, type Measured, measureTogether } from './arena'

const STREAMS = 4_000
const WORKERS = 2
/**
 * The pace at which processor time is compared, the turns of both half of it apart. So slow that no process joins turns, or who did it more
 * often would win. So that acknowledgements which the kernel holds back for 40 ms come when nobody publishes: their time is that of
 * whoever happens to run. And without a pause of 200 ms: after that it acknowledges the next turns at once, which cost whoever had to wait
 * longer a tenth more.
 */
const EVERY_MS = 140
/** A round, in lengths of a measurement: 20 turns of each. */
const LENGTHS = 4
/** The primary hands out connections in turn, but to nobody who is busy: one after the other, each worker gets exactly its half. */
const AT_ONCE = 1
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
}

/** What two workers of `node:cluster` deliver, and what one process does. */
export const cluster: Workload = {
  id: 'cluster',
  quick: false,
  aims: [
    {
      id: 'cluster/two',
      work: 'two workers behind one port, both busy',
      text: '≥ 1.9 × the deliveries of one process, where each process has a core',
      least: 1.9,
      unit: ' ×',
    },
  ],
  async run(effort: Effort): Promise<Findings> {
    const [ours] = contestants(['entitycast'])
    if (!ours) throw new Error('this is about our own')
    const processes = new Processes()
    const open = (load: Load) => load.open(STREAMS, {}, AT_ONCE)
    const one = await Arena.open({ ...ours, id: 'one', label: 'one process' }, STREAMS, {}, open)
    const two = await Arena.open(
      { id: 'two', label: `${WORKERS} workers`, asking: {}, start: () => processes.start(WORKERS) },
      STREAMS,
      {},
      open,
    )
    const both = [one, two]
    try {
      for (const arena of both) await arena.warm(1, 1.5)
      // Short and often: both must have the same machine.
      const rounds = effort.rounds * 3
      const fastest = await takeTurns(both, { rounds, log: effort.log }, (arena) =>
        arena.measure(1, effort.seconds / 2),
      )
      const seconds = effort.seconds * LENGTHS
      // After the pauses of what was before, streams are acknowledged in another way for some turns.
      await measureTogether(both, 1, seconds, EVERY_MS)
      const pair = { id: 'pair', label: 'At its pace, each of the two' }
      const paced = await takeTurns([pair], { rounds, log: effort.log }, async (): Promise<Round> => {
        const [alone, shared] = (await measureTogether(both, 1, seconds, EVERY_MS)) as [Measured, Measured]
        const busiest = (shared.deliveries / processes.busiestMicros) * 1_000_000
        effort.log(
          `cluster: one process ${show(alone.perCpuSecond)} a CPU second; ${WORKERS} workers ${show(busiest)} a second of the busiest, ` +
            `${show(busiest / alone.perCpuSecond)} ×, streams ${processes.streams.join(' + ')}; generators ${show((alone.loadBusy + shared.loadBusy) * 100)} %`,
        )
        return {
          one: { ...alone, perCoreSecond: alone.perCpuSecond, primaryMicros: 0 },
          two: {
            ...shared,
            perCoreSecond: busiest,
            primaryMicros: processes.primaryMicros / (shared.deliveries / STREAMS),
          },
        }
      })
      const notes = [...fastest.notes, ...paced.notes]
      const results = paced.results.get(pair.id) ?? []
      const pick = (id: keyof Round, read: (found: Found) => number) => results.map((round) => read(round[id]))
      const clock = (id: string, read: (measured: Measured) => number) => (fastest.results.get(id) ?? []).map(read)
      const byCore = spread(
        ratios(
          pick('two', ({ perCoreSecond }) => perCoreSecond),
          pick('one', ({ perCoreSecond }) => perCoreSecond),
        ),
      )
      const perSecond = (id: string) => clock(id, (measured) => measured.perSecond)
      const byClock = spread(ratios(perSecond('two'), perSecond('one')))
      const reads = ({ readsPerDelivery }: Found) => readsPerDelivery
      const least = Math.min(...pick('one', reads), ...pick('two', reads))
      if (least < LEAST_READS)
        notes.push(`Turns were joined on the way: ${show(least)} reads for each delivery in one round.`)
      return {
        title: 'Two processes behind one port',
        method:
          `${STREAMS.toLocaleString('en-GB')} streams, one event a turn. One process; and ${WORKERS} workers of node:cluster with the log in the primary, one of them publishing ` +
          `and both delivering; each has ${show(STREAMS / WORKERS)} of the streams. Processor time in the same seconds: both have their streams open, and turn by turn one of them publishes, ` +
          `then the other one, each every ${EVERY_MS} ms, in ${rounds} rounds of ${show(seconds)} s. So what else the machine does happens to both, and both have as many writes: in a closed loop each of them joins turns, ` +
          'and the less the less it has to do. “Busiest”: that of the worker, or the primary, that used most, which is what bounds them where each has a core. By the clock, one after the ' +
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
        rows: (['one', 'two'] as const).map((id) => [
          id === 'one' ? one.label : two.label,
          showSpread(spread(pick(id, (found) => found.perCoreSecond))),
          id === 'one' ? '1' : showSpread(byCore),
          showSpread(spread(pick(id, (found) => found.perCpuSecond))),
          id === 'one' ? '–' : show(spread(pick(id, (found) => found.primaryMicros)).median),
          showSpread(spread(perSecond(id))),
          id === 'one' ? '1' : showSpread(byClock),
          show(spread(clock(id, ({ latencyMs }) => latencyMs)).median),
        ]),
        reached: { 'cluster/two': byCore },
        notes,
      }
    } finally {
      await one.close()
      await two.close()
    }
  },
}

/** A primary and its workers, and what each of them has used. */
class Processes {
  #before: number[] = []
  #after: number[] = []
  /** How many each worker had when anybody asked last. */
  streams: readonly number[] = []

  /** Processor time of the process that used most, between the last two times that anybody asked. */
  get busiestMicros(): number {
    return Math.max(...this.#after.map((micros, n) => micros - (this.#before[n] ?? 0)))
  }

  get primaryMicros(): number {
    return (this.#after[0] ?? 0) - (this.#before[0] ?? 0)
  }

  async start(workers: number): Promise<RunningServer> {
    const child = adopt(fork(path.join(BUILT, 'cluster-program.mjs'), [String(workers)]))
    const { port } = await within(15_000, 'starting the cluster', next<{ port: number }>(child, 'port'))
    return {
      port,
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
