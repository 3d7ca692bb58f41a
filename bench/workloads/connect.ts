import { signedToken } from '../contenders/token'
import { type Contestant, contestants } from '../harness/contestants'
import { Load } from '../harness/load'
import type { RunningServer } from '../harness/server'
import { takeSlices } from '../harness/slices'
import { show, showSpread, spread } from '../harness/statistics'
import { rest } from '../harness/turns'
import type { Effort, Findings, Workload } from '../harness/workload'

const WHO = ['entitycast', 'entitycast-lean', 'plain-http', 'better-sse', 'express']
const STREAMS = 3_000
/** Before them, and not counted. */
const COLD = 300
/** On their way at a time. */
const AT_ONCE = 128
/** Slices of a new server that do not count. */
const WARM = 6
/** What a slice takes, with what is around it: all are judged by as many. */
const SLICE_MS = 1_000
/** For each server, in lengths of a measurement times rounds. */
const LENGTHS = 3

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
    const log = (line: string) => effort.log(`connect: ${line}`)
    const doors: Door[] = []
    try {
      for (const contestant of contestants(effort.only ?? WHO)) doors.push(await Door.open(contestant))
      const seconds = effort.rounds * effort.seconds * LENGTHS * doors.length
      const slices = await takeSlices(doors, { seconds, sliceMs: SLICE_MS, log }, (door) => door.slice())
      const rates = (id: string) => spread(slices.of(id, ({ perCpuSecond }) => perCpuSecond))
      const against = (id: string) => spread(slices.ratios(id, 'plain-http', ({ perCpuSecond }) => perCpuSecond))
      for (const { id } of doors)
        log(
          `${id}: ${slices.of(id, ({ perSecond }) => perSecond).length} slices, ${showSpread(rates(id))} a CPU second`,
        )
      return {
        title: 'Opening streams, with an authorizer',
        method: `${show(STREAMS)} streams, ${AT_ONCE} at a time, to a warm server, each with an HMAC-SHA-256 token that an async function checks; until all headers are there. Then they are closed, and the next server has its turn; ${COLD} before them do not count. Ours and the plain loop send the same bytes: the same headers, and a first frame of the same length.`,
        columns: ['server', 'streams a CPU second', '× plain http', 'streams a second'],
        rows: doors.map(({ id, label }) => [
          label,
          showSpread(rates(id)),
          showSpread(against(id)),
          showSpread(spread(slices.of(id, ({ perSecond }) => perSecond))),
        ]),
        reached: { 'connect/plain-http': against('entitycast') },
        notes: slices.notes,
      }
    } finally {
      for (const door of doors) await door.close()
    }
  },
}

interface Rate {
  perCpuSecond: number
  perSecond: number
}

/** A server whose streams come and go. */
class Door {
  readonly #headers: Record<string, string>

  private constructor(
    readonly contestant: Contestant,
    readonly server: RunningServer,
    readonly load: Load,
  ) {
    this.#headers = { ...contestant.asking.headers, authorization: `Bearer ${signedToken('user_1')}` }
  }

  static async open(contestant: Contestant): Promise<Door> {
    const server = await contestant.start({ authorize: true })
    const door = new Door(contestant, server, new Load(server.port))
    // The first are compiled code and caches, and no one's daily life.
    for (let i = 0; i < WARM; i++) await door.slice()
    return door
  }

  get id(): string {
    return this.contestant.id
  }

  get label(): string {
    return this.contestant.label
  }

  async slice(): Promise<Rate> {
    const { load, server, contestant } = this
    const asking = { ...contestant.asking, headers: this.#headers }
    // Some that do not count: what others did meanwhile has taken the caches.
    await load.open(COLD, asking, AT_ONCE)
    const before = await server.usage()
    const ms = await load.open(STREAMS, asking, AT_ONCE)
    const after = await server.usage()
    await load.closeStreams()
    while ((await server.usage()).open) await rest(10)
    const cpu = after.userMicros + after.systemMicros - before.userMicros - before.systemMicros
    return { perCpuSecond: (STREAMS / cpu) * 1_000_000, perSecond: (STREAMS / ms) * 1_000 }
  }

  async close(): Promise<void> {
    await this.load.close()
    await this.server.stop()
  }
}
