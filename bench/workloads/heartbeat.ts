import { type Contestant, contestants } from '../harness/contestants'
import { Load } from '../harness/load'
import { ratios, show, showSpread, spread } from '../harness/statistics'
import { takeTurns } from '../harness/turns'
import type { Effort, Findings, Workload } from '../harness/workload'
import { rest } from './idle'

const STREAMS = 10_000
const EVERY_MS = 1_000
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
    const chosen = contestants(effort.only ?? WHO)
    // One server at a time: three that beat at once would take each other's time.
    const { results, notes } = await takeTurns(
      chosen,
      { ...effort, rounds: Math.min(effort.rounds, 3) },
      async (contestant) => {
        const micros = await microsOfABeat(contestant, effort.seconds + 4)
        effort.log(`heartbeat: ${contestant.id} ${show(shareOf(micros))} % of a core`)
        return micros
      },
    )
    const shares = (id: string) => (results.get(id) ?? []).map(shareOf)
    const micros = (id: string, mode: keyof BeatMicros) => (results.get(id) ?? []).map((beat) => beat[mode])
    const plain = shares('plain-http')
    const ratio = spread(ratios(shares('entitycast'), plain))
    return {
      title: '10,000 streams, a heartbeat a second',
      method:
        'Processor time of 10,000 heartbeats, as a share of one core when they come once a second; heartbeats are counted, for some seconds after the first three. The C program is what the kernel takes for 10,000 writes, whoever asks for them; `socket.write` is what is left of it in Node.',
      columns: ['server', '% of a core', '× plain loop', 'user µs a heartbeat', 'kernel µs a heartbeat'],
      rows: chosen.map(({ id, label }) => [
        label,
        showSpread(spread(shares(id))),
        showSpread(spread(ratios(shares(id), plain))),
        show(spread(micros(id, 'user')).median),
        show(spread(micros(id, 'system')).median),
      ]),
      reached: { 'heartbeat/plain-http': ratio },
      notes,
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

async function microsOfABeat({ id, asking, start }: Contestant, seconds: number): Promise<BeatMicros> {
  const server = await start({ heartbeatMs: EVERY_MS })
  const load = new Load(server.port)
  try {
    load.countBlocks()
    await load.open(STREAMS, asking)
    load.nap(1_000)
    // Some beats before the count: code is compiled, and the first look at the kernel's sockets is over.
    await rest(3_500)
    await load.stats()
    const before = await server.usage()
    const began = performance.now()
    await rest(seconds * 1_000)
    const after = await server.usage()
    const { blocks } = await load.stats()
    const expected = ((performance.now() - began) * STREAMS) / EVERY_MS
    if (Math.abs(blocks - expected) > STREAMS * 1.5) {
      throw new Error(`${id}: ${blocks} heartbeats; about ${Math.round(expected)} are due`)
    }
    return {
      user: (after.userMicros - before.userMicros) / blocks,
      system: (after.systemMicros - before.systemMicros) / blocks,
    }
  } finally {
    await load.close()
    await server.stop()
  }
}
