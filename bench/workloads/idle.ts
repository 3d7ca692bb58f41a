import { type Contestant, contestants } from '../harness/contestants'
import { Load } from '../harness/load'
import { show, showSpread, spread } from '../harness/statistics'
import { rest, takeTurns } from '../harness/turns'
import type { Effort, Findings, Workload } from '../harness/workload'

const STREAMS = 10_000
/** Code is compiled and buffers are made before the count begins. */
const WARM = 500
/** Measured each round; the others in the first one only: it is memory, and moves little. */
const OFTEN = ['entitycast', 'entitycast-lean', 'plain-http', 'ws']
const WHO = [...OFTEN, 'better-sse', 'socket.io', 'fastify-sse', 'nest-sse', 'hono', 'nchan']

/** What an open stream costs while nothing happens. Each server in a fresh process. */
export const idle: Workload = {
  id: 'idle',
  quick: false,
  aims: [
    { id: 'idle/12', work: '10,000 idle streams', text: '≤ 12 KB each', most: 12, unit: ' KB' },
    {
      id: 'idle/7',
      work: '10,000 idle streams, with `leanStreams(server)`',
      text: '< 7 KB each',
      most: 7,
      unit: ' KB',
    },
  ],
  async run(effort: Effort): Promise<Findings> {
    const chosen = contestants(effort.only ?? WHO)
    const measure = async (contestant: Contestant) => {
      const kilobytes = await kilobytesOf(contestant)
      effort.log(`idle: ${contestant.id} ${show(kilobytes)} KB`)
      return kilobytes
    }
    const once = chosen.filter(({ id }) => !OFTEN.includes(id))
    const often = chosen.filter(({ id }) => OFTEN.includes(id))
    const first = await takeTurns(once, { ...effort, rounds: 1 }, measure)
    const later = await takeTurns(often, { ...effort, rounds: Math.min(effort.rounds, 2) }, measure)
    const of = (id: string) => spread(later.results.get(id) ?? first.results.get(id) ?? [])
    return {
      title: '10,000 idle streams',
      method:
        'Memory of the server process (resident set after garbage collection) with 10,500 streams, less that with 500, for each stream. ' +
        'The kernel’s own memory for sockets is not in it, and is the same for everyone.',
      columns: ['server', 'KB a stream'],
      rows: chosen.map(({ id, label }) => [label, showSpread(of(id))]),
      reached: { 'idle/12': of('entitycast'), 'idle/7': of('entitycast-lean') },
      notes: [...first.notes, ...later.notes],
      bars: {
        title: '10,000 idle streams: KB of the server process for each (less is better)',
        bars: chosen.map(({ id, label }) => ({ label, value: of(id), ours: id.startsWith('entitycast') })),
      },
    }
  },
}

async function kilobytesOf({ asking, start }: Contestant): Promise<number> {
  const server = await start()
  const load = new Load(server.port)
  try {
    await load.open(WARM, asking)
    await settledMemory(server)
    const before = await settledMemory(server)
    await load.open(STREAMS, asking)
    await settledMemory(server)
    const after = await settledMemory(server)
    return (after - before) / 1_024 / STREAMS
  } finally {
    await load.close()
    await server.stop()
  }
}

async function settledMemory(server: Awaited<ReturnType<Contestant['start']>>): Promise<number> {
  await rest(500)
  return (await server.usage(true)).rssBytes
}
