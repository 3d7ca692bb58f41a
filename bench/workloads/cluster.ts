import { type ChildProcess, fork } from 'node:child_process'
import path from 'node:path'
import { adopt, ended, within } from '../harness/children'
import { contestants } from '../harness/contestants'
import { BUILT, type Load } from '../harness/load'
import type { RunningServer, Usage } from '../harness/server'
import { ratios, show, showSpread, spread } from '../harness/statistics'
import { takeTurns } from '../harness/turns'
import type { Effort, Findings, Workload } from '../harness/workload'
import { Arena } from './arena'

const STREAMS = 4_000
const WORKERS = 2
/** The pace at which processor time is compared: so slow that no process joins turns, or who did it more often would win. */
const EVERY_MS = 50
/** The primary hands out connections in turn, but to nobody who is busy: of so few at once each gets its half. */
const AT_ONCE = 2

/** A round of one of the two. */
interface Round {
  /** As fast as it goes. */
  readonly perSecond: number
  readonly latencyMs: number
  /** At its pace. */
  readonly perCpuSecond: number
  /** Deliveries for each second of processor time of the process that used most: what it comes to where each has a core. */
  readonly perCoreSecond: number
  /** Processor time of the primary for each turn. */
  readonly primaryMicros: number
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
    try {
      for (const arena of [one, two]) await arena.warm(1, 1.5)
      // Short and often: both must have the same machine.
      const rounds = effort.rounds * 3
      const { results, notes } = await takeTurns([one, two], { rounds, log: effort.log }, async (arena) => {
        const { perSecond, latencyMs } = await arena.measure(1, effort.seconds / 2)
        const { deliveries, perCpuSecond, loadBusy } = await arena.measure(1, effort.seconds, EVERY_MS)
        const perCoreSecond = arena === one ? perCpuSecond : (deliveries / processes.busiestMicros) * 1_000_000
        const primaryMicros = arena === one ? 0 : processes.primaryMicros / (deliveries / STREAMS)
        effort.log(
          `cluster: ${arena.label} ${show(perSecond)} a second; at its pace ${show(perCpuSecond)} a CPU second, ` +
            `${show(perCoreSecond)} a second of the busiest, generator ${show(loadBusy * 100)} %`,
        )
        return { perSecond, latencyMs, perCpuSecond, perCoreSecond, primaryMicros } satisfies Round
      })
      const pick = (id: string, read: (round: Round) => number) => (results.get(id) ?? []).map(read)
      const compare = (read: (round: Round) => number) => spread(ratios(pick('two', read), pick('one', read)))
      const byCore = compare(({ perCoreSecond }) => perCoreSecond)
      const byClock = compare(({ perSecond }) => perSecond)
      return {
        title: 'Two processes behind one port',
        method:
          `${STREAMS.toLocaleString('en-GB')} streams, one event a turn. One process; and ${WORKERS} workers of node:cluster with the log in the primary, one of them publishing ` +
          `and both delivering. Processor time at a turn every ${EVERY_MS} ms, where all have as many writes: in a closed loop each of them joins turns, and the less the less ` +
          'it has to do. “Busiest”: that of the worker, or the primary, that used most, which is what bounds them where each has a core. By the clock, in a closed loop with ' +
          'two turns on their way, the ratio is that of a machine that has nothing else to do, or it is noise.',
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
        rows: [one, two].map(({ id, label }) => [
          label,
          showSpread(spread(pick(id, (round) => round.perCoreSecond))),
          id === 'one' ? '1' : showSpread(byCore),
          showSpread(spread(pick(id, (round) => round.perCpuSecond))),
          id === 'one' ? '–' : show(spread(pick(id, (round) => round.primaryMicros)).median),
          showSpread(spread(pick(id, (round) => round.perSecond))),
          id === 'one' ? '1' : showSpread(byClock),
          show(spread(pick(id, (round) => round.latencyMs)).median),
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
        const answer = next<{ all: Usage[] }>(child, 'all')
        child.send({ do: 'usage', collect: false }, () => {})
        const { all } = await answer
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
