import { signedToken } from '../contenders/token'
import { type Contestant, contestants } from '../harness/contestants'
import { Load } from '../harness/load'
import { ratios, show, showSpread, spread } from '../harness/statistics'
import { takeTurns } from '../harness/turns'
import type { Effort, Findings, Workload } from '../harness/workload'
import { rest } from './idle'

const WHO = ['entitycast', 'entitycast-lean', 'plain-http', 'better-sse', 'express']
const STREAMS = 3_000

/** Streams opened as fast as the server takes them, each with a signed token that is checked. */
export const connect: Workload = {
  id: 'connect',
  quick: false,
  aims: [
    {
      id: 'connect/plain-http',
      work: 'Connect rate',
      text: '≥ 1 × plain http with the same authorizer',
      least: 1,
      unit: ' ×',
    },
  ],
  async run(effort: Effort): Promise<Findings> {
    const chosen = contestants(effort.only ?? WHO)
    const { results, notes } = await takeTurns(chosen, effort, async (contestant) => {
      const result = await opening(contestant)
      effort.log(
        `connect: ${contestant.id} ${show(result.perCpuSecond)} a CPU second, ${show(result.perSecond)} a second`,
      )
      return result
    })
    const rates = (id: string) => (results.get(id) ?? []).map(({ perCpuSecond }) => perCpuSecond)
    const plain = rates('plain-http')
    const ratio = spread(ratios(rates('entitycast'), plain))
    return {
      title: 'Opening streams, with an authorizer',
      method: `${STREAMS.toLocaleString('en-GB')} streams, 128 at a time, to a warm server, each with an HMAC-SHA-256 token that an async function checks; until all headers are there. Ours and the plain loop send the same bytes: the same headers, and a first frame of the same length.`,
      columns: ['server', 'streams a CPU second', '× plain http', 'streams a second'],
      rows: chosen.map(({ id, label }) => [
        label,
        showSpread(spread(rates(id))),
        showSpread(spread(ratios(rates(id), plain))),
        showSpread(spread((results.get(id) ?? []).map(({ perSecond }) => perSecond))),
      ]),
      reached: { 'connect/plain-http': ratio },
      notes,
    }
  },
}

interface Rate {
  perCpuSecond: number
  perSecond: number
}

async function opening({ asking, start }: Contestant): Promise<Rate> {
  const server = await start({ authorize: true })
  const headers = { ...asking.headers, authorization: `Bearer ${signedToken('user_1')}` }
  const open = async (): Promise<Rate> => {
    const load = new Load(server.port)
    try {
      const before = await server.usage()
      const ms = await load.open(STREAMS, { ...asking, headers }, 128)
      const after = await server.usage()
      const cpu = after.userMicros + after.systemMicros - before.userMicros - before.systemMicros
      return { perCpuSecond: (STREAMS / cpu) * 1_000_000, perSecond: (STREAMS / ms) * 1_000 }
    } finally {
      await load.close()
      // Until the server has seen that they are gone.
      await rest(300)
    }
  }
  try {
    // The first are compiled code and caches, and no one's daily life.
    for (let i = 0; i < 4; i++) await open()
    const rates: Rate[] = []
    for (let i = 0; i < 4; i++) rates.push(await open())
    return {
      perCpuSecond: spread(rates.map(({ perCpuSecond }) => perCpuSecond)).median,
      perSecond: spread(rates.map(({ perSecond }) => perSecond)).median,
    }
  } finally {
    await server.stop()
  }
}
