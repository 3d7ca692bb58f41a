import type { Contestant } from '../harness/contestants'
import { contestants } from '../harness/contestants'
import { Load } from '../harness/load'
import type { RunningServer } from '../harness/server'
import { ratios, show, showSpread, spread } from '../harness/statistics'
import { takeTurns } from '../harness/turns'
import type { Effort, Findings, Workload } from '../harness/workload'

const STREAMS = 1_000
const EVENTS = [1, 8, 16] as const
/** One turn every so many milliseconds: as many writes with compression as without. */
const EVERY_MS = 25
const WARM_TURNS = 40

interface Measured {
  bytesPerDelivery: number
  cpuMicros: number
  p50Ms: number
  p99Ms: number
}

/** One server with its streams open. */
class Site {
  #turns = 0
  #number = 0

  private constructor(
    readonly id: string,
    readonly label: string,
    readonly server: RunningServer,
    readonly load: Load,
  ) {}

  static async open(contestant: Contestant, compress: boolean): Promise<Site> {
    const server = await contestant.start({ compress })
    const load = new Load(server.port)
    if (compress) load.inflate()
    await load.open(STREAMS, compress ? { headers: { 'accept-encoding': 'gzip' } } : {})
    return new Site(compress ? 'gzip' : 'plain', compress ? 'compressed once' : 'plain text', server, load)
  }

  /** So many turns of so many events, at their pace. */
  async measure(turns: number, events: number): Promise<Measured> {
    const { load, server } = this
    await load.stats()
    const before = await server.usage()
    for (let i = 0; i < turns; i++) {
      server.allow(++this.#turns, events)
      this.#number += events
      await new Promise((resolve) => setTimeout(resolve, EVERY_MS))
    }
    await load.reached(this.#number)
    const after = await server.usage()
    const { deliveries, bytes, latency } = await load.stats()
    if (deliveries !== turns * events * STREAMS) throw new Error(`${this.id}: ${deliveries} deliveries`)
    const micros = after.userMicros + after.systemMicros - before.userMicros - before.systemMicros
    return {
      bytesPerDelivery: bytes / deliveries,
      cpuMicros: micros / deliveries,
      p50Ms: latency.p50 / 1_000,
      p99Ms: latency.p99 / 1_000,
    }
  }

  async close(): Promise<void> {
    await this.load.close()
    await this.server.stop()
  }
}

/** The same events as plain text and compressed once for all: bytes on the wire, and what they cost. */
export const compression: Workload = {
  id: 'compression',
  quick: true,
  aims: [
    {
      id: 'compression/bytes',
      work: 'Compression: 8 events a turn to 1,000',
      text: '≥ 5 × fewer bytes',
      least: 5,
      unit: ' ×',
    },
    {
      id: 'compression/time',
      work: 'Compression: 8 events a turn to 1,000',
      text: '≤ 1.1 × the processor time without it',
      most: 1.1,
      unit: ' ×',
    },
  ],
  async run(effort: Effort): Promise<Findings> {
    const [ours] = contestants(['entitycast'])
    if (!ours) throw new Error('this is about our own')
    const sites: Site[] = []
    try {
      for (const compress of [false, true]) sites.push(await Site.open(ours, compress))
      for (const site of sites) await site.measure(WARM_TURNS, 8)
      const turns = Math.round((Math.max(effort.seconds, effort.quick ? 0.7 : 1) * 1_000) / EVERY_MS)
      const { results, notes } = await takeTurns(sites, effort, async (site): Promise<Measured[]> => {
        const all: Measured[] = []
        for (const events of EVENTS) {
          const measured = await site.measure(turns, events)
          all.push(measured)
          effort.log(
            `compression: ${site.id}, ${events} a turn: ${show(measured.bytesPerDelivery)} bytes, ` +
              `${show(measured.cpuMicros)} µs, p50 ${show(measured.p50Ms)} ms, p99 ${show(measured.p99Ms)} ms`,
          )
        }
        return all
      })
      const of = (id: string, events: number, read: keyof Measured) =>
        (results.get(id) ?? []).map((all) => all[EVENTS.indexOf(events as 1)]?.[read] ?? Number.NaN)
      const middle = (id: string, events: number, read: keyof Measured) => show(spread(of(id, events, read)).median)
      const fewer = (events: number) =>
        spread(ratios(of('plain', events, 'bytesPerDelivery'), of('gzip', events, 'bytesPerDelivery')))
      const time = (events: number) => spread(ratios(of('gzip', events, 'cpuMicros'), of('plain', events, 'cpuMicros')))
      const both = (events: number, read: keyof Measured) =>
        `${middle('plain', events, read)} → ${middle('gzip', events, read)}`
      return {
        title: `${STREAMS.toLocaleString('en-GB')} streams, compressed`,
        method:
          `A turn every ${EVERY_MS} ms, so that there are as many writes with compression as without. Once nobody accepts gzip, once everybody does, and the generator ` +
          'inflates each stream by itself. The events hold a run of 68 equal letters, which flatters; a test asks for the same with events that have none.',
        columns: ['events a turn', 'bytes a delivery', 'fewer', 'CPU µs a delivery', '× CPU', 'p50 ms', 'p99 ms'],
        rows: EVENTS.map((events) => [
          String(events),
          both(events, 'bytesPerDelivery'),
          showSpread(fewer(events), ' ×'),
          both(events, 'cpuMicros'),
          showSpread(time(events), ' ×'),
          both(events, 'p50Ms'),
          both(events, 'p99Ms'),
        ]),
        reached: { 'compression/bytes': fewer(8), 'compression/time': time(8) },
        notes,
      }
    } finally {
      for (const site of sites) await site.close()
    }
  },
}
