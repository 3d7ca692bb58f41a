import { type Contestant, contestants } from '../harness/contestants'
import { Load } from '../harness/load'
import { show, showSpread, spread } from '../harness/statistics'
import { rest, takeTurns } from '../harness/turns'
import type { Effort, Findings, Workload } from '../harness/workload'

const LIVE = 200
const COMING_BACK = 1_000
const MISSED = 300
const EVERY_MS = 50
/** The live streams are watched for so long, in milliseconds; the others come back in the middle. */
const WATCHED_MS = 6_000

/** After a deployment or an outage of the network: everyone comes back at once and replays, and nobody else may notice. */
export const catchUp: Workload = {
  id: 'catch-up',
  quick: true,
  aims: [
    {
      id: 'catch-up/all',
      work: 'Catching up: 1,000 clients replay 300 events at once',
      text: '≤ 5 s',
      most: 5,
      unit: ' s',
    },
    {
      id: 'catch-up/live',
      work: '… while the others are delivered to live',
      text: 'within 100 ms',
      most: 100,
      unit: ' ms at worst',
    },
  ],
  async run(effort: Effort): Promise<Findings> {
    const [ours] = contestants(['entitycast'])
    if (!ours) throw new Error('this is about our own')
    const { results, notes } = await takeTurns(
      [ours],
      { ...effort, rounds: effort.quick ? 1 : Math.min(effort.rounds, 3) },
      async (contestant) => {
        const result = await comingBack(contestant)
        effort.log(
          `catch-up: ${show(result.seconds)} s, live p99 ${show(result.p99)} ms, worst ${show(result.worst)} ms`,
        )
        return result
      },
    )
    const of = (read: (one: Result) => number) => spread((results.get(ours.id) ?? []).map(read))
    const took = of(({ seconds }) => seconds)
    const late = of(({ worst }) => worst)
    return {
      title: 'Catching up: 1,000 clients replay 300 events at once',
      method:
        `${COMING_BACK.toLocaleString('en-GB')} clients connect in the same moment with the cursor of ${MISSED} events ago; meanwhile ${LIVE} other streams get an event every ${EVERY_MS} ms. ` +
        'Every client must have every event, in order.',
      columns: ['server', 'all caught up after s', 'live p99 ms', 'live worst ms'],
      rows: [[ours.label, showSpread(took), showSpread(of(({ p99 }) => p99)), showSpread(late)]],
      reached: { 'catch-up/all': took, 'catch-up/live': late },
      notes,
    }
  },
}

interface Result {
  seconds: number
  p99: number
  worst: number
}

async function comingBack({ start }: Contestant): Promise<Result> {
  const server = await start()
  const live = new Load(server.port)
  const back = new Load(server.port)
  try {
    await live.open(LIVE)
    await rest(300)
    const cursor = (await server.cursor?.()) ?? ''
    for (let turn = 1; turn <= MISSED; turn++) {
      server.allow(turn, 1)
      await live.reached(turn)
    }
    await live.stats()
    const paced = server.pace(EVERY_MS, WATCHED_MS / EVERY_MS)
    await rest(WATCHED_MS / 3)
    const began = performance.now()
    const missed = back.reached(MISSED)
    await back.open(COMING_BACK, { headers: { 'last-event-id': cursor } }, COMING_BACK)
    await missed
    const seconds = (performance.now() - began) / 1_000
    const last = await paced
    await Promise.all([live.reached(last), back.reached(last)])
    const { latency, deliveries } = await live.stats()
    if (deliveries !== LIVE * (last - MISSED)) throw new Error(`${deliveries} live deliveries`)
    return { seconds, p99: latency.p99 / 1_000, worst: latency.max / 1_000 }
  } finally {
    for (const load of [live, back]) await load.close()
    await server.stop()
  }
}
