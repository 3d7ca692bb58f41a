import { signedToken } from '../contenders/token'
import { contestants } from '../harness/contestants'
import { Load } from '../harness/load'
import { ratios, show, showSpread, spread } from '../harness/statistics'
import { type Effort, type Findings, goal, type Workload } from '../harness/workload'
import { rest } from './idle'

const WHO = ['entitycast', 'plain-http', 'better-sse', 'express']
const STREAMS = 3_000

/** Streams opened as fast as the server takes them, each with a signed token that is checked. */
export const connect: Workload = {
  id: 'connect',
  quick: false,
  async run(effort: Effort): Promise<Findings> {
    const chosen = contestants(effort.only ?? WHO)
    const found = new Map<string, { perCpuSecond: number; perSecond: number }[]>(chosen.map(({ id }) => [id, []]))
    for (let round = 0; round < effort.rounds; round++) {
      for (const { id, asking, start } of chosen) {
        const server = await start({ authorize: true })
        const open = async () => {
          const load = new Load(server.port)
          const before = await server.usage()
          const headers = { ...asking.headers, authorization: `Bearer ${signedToken('user_1')}` }
          const ms = await load.open(STREAMS, { ...asking, headers }, 128)
          const after = await server.usage()
          await load.close()
          await rest(500)
          const cpu = after.userMicros + after.systemMicros - before.userMicros - before.systemMicros
          return { perCpuSecond: (STREAMS / cpu) * 1_000_000, perSecond: (STREAMS / ms) * 1_000 }
        }
        // The first are compiled code and caches, and no one's daily life.
        for (let i = 0; i < 4; i++) await open()
        const result = await open()
        effort.log(`connect: ${id} ${show(result.perCpuSecond)} a CPU second, ${show(result.perSecond)} a second`)
        found.get(id)?.push(result)
        await server.stop()
      }
    }
    const rates = (id: string) => (found.get(id) ?? []).map(({ perCpuSecond }) => perCpuSecond)
    const plain = rates('plain-http')
    const ratio = spread(ratios(rates('entitycast'), plain))
    return {
      title: 'Opening streams, with an authorizer',
      method: `${STREAMS.toLocaleString('en-GB')} streams, 128 at a time, to a warm server, each with an HMAC-SHA-256 token that an async function checks; until all headers are there.`,
      columns: ['server', 'streams a CPU second', '× plain http', 'streams a second'],
      rows: chosen.map(({ id, label }) => [
        label,
        showSpread(spread(rates(id))),
        plain.length > 0 ? showSpread(spread(ratios(rates(id), plain))) : '–',
        showSpread(spread((found.get(id) ?? []).map(({ perSecond }) => perSecond))),
      ]),
      goals: [
        goal(
          'Opening streams: ≥ 1 × plain http with the same authorizer',
          ratio.median,
          ratio.median >= 1,
          `${showSpread(ratio)} ×`,
        ),
      ],
    }
  },
}
