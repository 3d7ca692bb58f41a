import { CHANNELS, groupOf, PROJECTS, USERS } from '../contenders/entitycast'
import { contestants } from '../harness/contestants'
import { ratios, show, showSpread, spread } from '../harness/statistics'
import { takeTurns } from '../harness/turns'
import type { Effort, Findings, Workload } from '../harness/workload'
import { Arena } from './arena'

const STREAMS = PROJECTS * CHANNELS * USERS
const WARM_SECONDS = 3

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
      // Short and often: both must have the same machine.
      const rounds = effort.rounds * 3
      const { results, notes } = await takeTurns([one, many], { rounds, log: effort.log }, async (arena) => {
        const measured = await arena.measure(1, effort.seconds / 2)
        effort.log(
          `projects: ${arena.contestant.id} ${show(measured.perCpuSecond)} a CPU second, ` +
            `${show(measured.userMicros)} + ${show(measured.systemMicros)} µs`,
        )
        return measured
      })
      const rates = (id: string) => (results.get(id) ?? []).map(({ perCpuSecond }) => perCpuSecond)
      const ratio = spread(ratios(rates('many'), rates('one')))
      return {
        title: '100 projects of 50 streams',
        method:
          `${STREAMS.toLocaleString('en-GB')} streams. Once all in one project, one event a turn. Once ${PROJECTS} projects with ${CHANNELS} channels each and ` +
          `${USERS} users on a channel: a turn publishes one event on each channel, and every other turn two, each for half of the users. ` +
          'Every stream gets one event a turn in both.',
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
