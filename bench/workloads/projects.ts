import { CHANNELS, groupOf, PROJECTS, USERS } from '../contenders/entitycast'
import { contestants } from '../harness/contestants'
import { ratios, show, showSpread, spread } from '../harness/statistics'
import { takeTurns } from '../harness/turns'
import type { Effort, Findings, Workload } from '../harness/workload'
import { Arena, type Measured, measureTogether } from './arena'

const STREAMS = PROJECTS * CHANNELS * USERS
const WARM_SECONDS = 3
/** Both in the same seconds, as in `cluster.ts`: no turn is joined with another one, and there is no pause. */
const EVERY_MS = 140
/** A round, in lengths of a measurement: 15 turns of each. */
const LENGTHS = 3

/** Many small projects instead of one large one: what isolation, channels and audiences cost. */
export const projects: Workload = {
  id: 'projects',
  quick: true,
  aims: [
    {
      id: 'projects/one',
      work: '100 projects × 50 connections, each with its own channels and audiences',
      text: '≥ 0.8 × the one-project figure',
      least: 0.8,
      unit: ' ×',
    },
  ],
  async run(effort: Effort): Promise<Findings> {
    const [ours] = contestants(['entitycast'])
    if (!ours) throw new Error('this is about our own')
    const one = await Arena.open({ ...ours, id: 'one' }, STREAMS)
    const many = await Arena.open({ ...ours, id: 'many' }, STREAMS, { projects: true }, async (load) => {
      for (let group = 0; group < PROJECTS * CHANNELS; group++) {
        const { projectId, channel } = groupOf(group)
        await load.open(USERS, { headers: { 'x-project': projectId, 'x-channel': channel, 'x-user': 'u{i}' } })
      }
    })
    try {
      // 400 calls of `publish` a turn are compiled later than one.
      for (const arena of [one, many]) await arena.warm(1, WARM_SECONDS)
      const seconds = effort.seconds * LENGTHS
      // After a pause streams are acknowledged in another way for some turns.
      await measureTogether([one, many], 1, seconds, EVERY_MS)
      const pair = { id: 'pair', label: 'At its pace, each of the two' }
      const { results, notes } = await takeTurns([pair], { rounds: effort.rounds * 2, log: effort.log }, async () => {
        const [alone, apart] = (await measureTogether([one, many], 1, seconds, EVERY_MS)) as [Measured, Measured]
        effort.log(
          `projects: one ${show(alone.perCpuSecond)} a CPU second, ${show(alone.userMicros)} + ${show(alone.systemMicros)} µs; ` +
            `many ${show(apart.perCpuSecond)}, ${show(apart.userMicros)} + ${show(apart.systemMicros)} µs; ${show(apart.perCpuSecond / alone.perCpuSecond)} ×; ` +
            `${show(alone.readsPerDelivery)} and ${show(apart.readsPerDelivery)} reads a delivery`,
        )
        return { one: alone.perCpuSecond, many: apart.perCpuSecond }
      })
      const rates = (id: 'one' | 'many') => (results.get(pair.id) ?? []).map((round) => round[id])
      const ratio = spread(ratios(rates('many'), rates('one')))
      return {
        title: '100 projects of 50 streams',
        method:
          `${STREAMS.toLocaleString('en-GB')} streams. Once all in one project, one event a turn. Once ${PROJECTS} projects with ${CHANNELS} channels each and ` +
          `${USERS} users on a channel: a turn publishes one event on each channel, and every other turn two, each for half of the users. ` +
          `Every stream gets one event a turn in both. Both have their streams open, and turn by turn one of them publishes, then the other one, each every ${EVERY_MS} ms: ` +
          'what else the machine does happens to both, and both have as many writes.',
        columns: ['', 'deliveries a CPU second', '× one project'],
        rows: [
          ['one project', showSpread(spread(rates('one'))), '1'],
          ['100 projects, channels, audiences', showSpread(spread(rates('many'))), showSpread(ratio)],
        ],
        reached: { 'projects/one': ratio },
        notes,
      }
    } finally {
      await one.close()
      await many.close()
    }
  },
}
