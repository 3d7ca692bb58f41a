import { contestants } from '../harness/contestants'
import { Load } from '../harness/load'
import { show, showSpread, spread } from '../harness/statistics'
import { type Effort, type Findings, goal, type Workload } from '../harness/workload'
import { rest } from './idle'

const LIVE = 200
const COMING_BACK = 1_000
const MISSED = 300
const EVERY_MS = 50
/** The live streams are watched for so long, in milliseconds; the others come back in the middle. */
const WATCHED_MS = 6_000

/** After a deployment or an outage of the network: everyone comes back at once and replays, and nobody else may notice. */
export const catchUp: Workload = {
  id: 'catch-up',
  quick: false,
  async run(effort: Effort): Promise<Findings> {
    const [ours] = contestants(['entitycast'])
    if (!ours) throw new Error('this is about our own')
    const seconds: number[] = []
    const worst: number[] = []
    const p99: number[] = []
    for (let round = 0; round < effort.rounds; round++) {
      const server = await ours.start()
      const live = new Load(server.port)
      const back = new Load(server.port)
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
      seconds.push((performance.now() - began) / 1_000)
      const last = await paced
      await Promise.all([live.reached(last), back.reached(last)])
      const { latency, deliveries } = await live.stats()
      if (deliveries !== LIVE * (last - MISSED)) throw new Error(`${deliveries} live deliveries`)
      worst.push(latency.max / 1_000)
      p99.push(latency.p99 / 1_000)
      effort.log(
        `catch-up: ${show(seconds.at(-1) as number)} s, live p99 ${show(latency.p99 / 1_000)} ms, worst ${show(latency.max / 1_000)} ms`,
      )
      for (const load of [live, back]) await load.close()
      await server.stop()
    }
    const took = spread(seconds)
    const late = spread(worst)
    return {
      title: 'Catching up: 1,000 clients replay 300 events at once',
      method:
        `${COMING_BACK.toLocaleString('en-GB')} clients connect in the same moment with the cursor of ${MISSED} events ago; meanwhile ${LIVE} other streams get an event every ${EVERY_MS} ms. ` +
        'Every client must have every event, in order.',
      columns: ['server', 'all caught up after s', 'live p99 ms', 'live worst ms'],
      rows: [[ours.label, showSpread(took), showSpread(spread(p99)), showSpread(late)]],
      goals: [
        goal('Catching up 1,000 × 300 events: ≤ 5 s', took.median, took.median <= 5, `${showSpread(took)} s`),
        goal(
          '… and live delivery to the others within 100 ms',
          late.median,
          late.median <= 100,
          `${showSpread(late)} ms at worst`,
        ),
      ],
    }
  },
}
