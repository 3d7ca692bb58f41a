import { within } from '../harness/children'
import { type Contestant, contestants } from '../harness/contestants'
import { Load } from '../harness/load'
import type { RunningServer, Usage } from '../harness/server'
import { Slices } from '../harness/slices'
import { show, showSpread, spread } from '../harness/statistics'
import { failure, rest } from '../harness/turns'
import type { Effort, Findings, Workload } from '../harness/workload'

const STREAMS = 10_000
const EVERY_MS = 1_000
/** Some beats before the count: code is compiled, and the first look at the kernel's sockets is over. */
const WARM_MS = 5_000
/** Beats of a window. */
const BEATS = 2
/** Beats that are counted, for each second that a server is measured elsewhere. */
const LENGTHS = 10
/** A server gets this long to open its streams. */
const OPEN_LIMIT_MS = 30_000
const WHO = ['entitycast', 'plain-http', 'better-sse', 'socket-write', 'c']

/** 10,000 idle streams with a heartbeat every second: what the server takes of one core. */
export const heartbeat: Workload = {
  id: 'heartbeat',
  quick: false,
  aims: [
    {
      id: 'heartbeat/plain-http',
      work: 'Heartbeat to 10,000 every second',
      text: '≤ 0.75 × the plain loop’s processor time',
      most: 0.75,
      unit: ' ×',
    },
  ],
  async run(effort: Effort): Promise<Findings> {
    const hearts: Heart[] = []
    const slices = new Slices<BeatMicros>()
    try {
      for (const contestant of contestants(effort.only ?? WHO)) {
        try {
          hearts.push(await Heart.open(contestant))
        } catch (error) {
          slices.notes.push(failure(contestant, error))
        }
      }
      await rest(WARM_MS)
      for (const heart of hearts) await heart.count()
      const windows = Math.max(2, Math.round((effort.rounds * effort.seconds * LENGTHS) / BEATS))
      for (let round = 0; round < windows; round++) {
        await rest(BEATS * EVERY_MS)
        for (const heart of hearts) slices.add(heart.id, round, await heart.count())
      }
    } finally {
      for (const heart of hearts) await heart.close()
    }
    const shares = (id: string) => spread(slices.of(id, shareOf))
    const against = (id: string) => spread(slices.ratios(id, 'plain-http', shareOf))
    const middle = (id: string, mode: keyof BeatMicros) => show(spread(slices.of(id, (micros) => micros[mode])).median)
    for (const { id } of hearts) effort.log(`heartbeat: ${id} ${showSpread(shares(id))} % of a core`)
    return {
      title: '10,000 streams, a heartbeat a second',
      method:
        `Processor time of 10,000 heartbeats, as a share of one core when they come once a second; heartbeats are counted. All of these servers beat in the same seconds, and have been for some: what else the machine does happens to all of them. A ratio compares two windows of ${BEATS} s, and its brackets hold half of ${slices.of('plain-http', shareOf).length} windows. ` +
        'The C program is what the kernel takes for 10,000 writes, whoever asks for them; `socket.write` is what is left of it in Node.',
      columns: ['server', '% of a core', '× plain loop', 'user µs a heartbeat', 'kernel µs a heartbeat'],
      rows: hearts.map(({ id, label }) => [
        label,
        showSpread(shares(id)),
        showSpread(against(id)),
        middle(id, 'user'),
        middle(id, 'system'),
      ]),
      reached: { 'heartbeat/plain-http': against('entitycast') },
      notes: slices.notes,
    }
  },
}

/** Processor time of one heartbeat to one stream. */
interface BeatMicros {
  user: number
  system: number
}

/** Of one core, in percent. By what was beaten, since a window may hold one round more or less. */
function shareOf({ user, system }: BeatMicros): number {
  return (((user + system) / 1_000_000) * STREAMS * 100 * 1_000) / EVERY_MS
}

/** A server with its streams open, beating. */
class Heart {
  #before: Usage | undefined
  #at = 0

  private constructor(
    readonly contestant: Contestant,
    readonly server: RunningServer,
    readonly load: Load,
  ) {}

  static async open(contestant: Contestant): Promise<Heart> {
    const server = await contestant.start({ heartbeatMs: EVERY_MS })
    const heart = new Heart(contestant, server, new Load(server.port))
    try {
      heart.load.countBlocks()
      await within(OPEN_LIMIT_MS, `opening ${STREAMS} streams`, heart.load.open(STREAMS, contestant.asking))
      heart.load.nap(1_000)
    } catch (error) {
      await heart.close()
      throw error
    }
    return heart
  }

  get id(): string {
    return this.contestant.id
  }

  get label(): string {
    return this.contestant.label
  }

  /** What a heartbeat has cost since the last time that anybody asked. */
  async count(): Promise<BeatMicros> {
    const [usage, { blocks }] = await Promise.all([this.server.usage(), this.load.stats()])
    const before = this.#before
    const expected = ((performance.now() - this.#at) * STREAMS) / EVERY_MS
    this.#before = usage
    this.#at = performance.now()
    if (!before) return { user: 0, system: 0 }
    if (Math.abs(blocks - expected) > STREAMS * 1.5)
      throw new Error(`${this.id}: ${blocks} heartbeats; about ${Math.round(expected)} are due`)
    return {
      user: (usage.userMicros - before.userMicros) / blocks,
      system: (usage.systemMicros - before.systemMicros) / blocks,
    }
  }

  async close(): Promise<void> {
    await this.load.close()
    await this.server.stop()
  }
}
