import { contestants } from '../harness/contestants'
import { Load } from '../harness/load'
import { show, showSpread, spread } from '../harness/statistics'
import { type Effort, type Findings, goal, type Workload } from '../harness/workload'

const STREAMS = 10_000
const WHO = ['entitycast', 'plain-http', 'better-sse', 'ws', 'socket.io', 'fastify-sse', 'nest-sse', 'hono', 'nchan']

/** What an open stream costs while nothing happens. Each server in a fresh process; twice, since memory comes in blocks. */
export const idle: Workload = {
  id: 'idle',
  quick: false,
  async run(effort: Effort): Promise<Findings> {
    const chosen = contestants(effort.only ?? WHO)
    const found = new Map<string, number[]>(chosen.map(({ id }) => [id, []]))
    for (let round = 0; round < Math.min(effort.rounds, 3); round++) {
      for (const { id, asking, start } of chosen) {
        const server = await start()
        const load = new Load(server.port)
        // Code is compiled and buffers are made before the count begins.
        await load.open(500, asking)
        await rest(1_000)
        const before = await server.usage(true)
        await load.open(STREAMS, asking)
        await rest(2_000)
        const after = await server.usage(true)
        const kilobytes = (after.rssBytes - before.rssBytes) / 1_024 / STREAMS
        effort.log(`idle: ${id} ${show(kilobytes)} KB`)
        found.get(id)?.push(kilobytes)
        await load.close()
        await server.stop()
      }
    }
    const of = (id: string) => spread(found.get(id) ?? [])
    const ours = of('entitycast')
    return {
      title: '10,000 idle streams',
      method:
        'Memory of the server process (resident set after garbage collection) with 10,500 streams, less that with 500, for each stream. ' +
        'The kernel’s own memory for sockets is not in it, and is the same for everyone.',
      columns: ['server', 'KB a stream'],
      rows: chosen.map(({ id, label }) => [label, showSpread(of(id))]),
      goals: [
        goal('10,000 idle streams: ≤ 12 KB each', ours.median, ours.median <= 12, `${showSpread(ours)} KB`),
        goal('10,000 idle streams, the next step: < 7 KB each', ours.median, ours.median < 7, `${showSpread(ours)} KB`),
      ],
      bars: {
        title: '10,000 idle streams, KB each (less is better)',
        bars: chosen.map(({ id, label }) => ({ label, value: of(id).median, ours: id === 'entitycast' })),
      },
    }
  },
}

export function rest(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
