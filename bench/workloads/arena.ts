import type { ServerOptions } from '../contenders/contender'
import type { Contestant } from '../harness/contestants'
import { Load, type LoadStats } from '../harness/load'
import type { RunningServer } from '../harness/server'

/** Turns that may be on their way: the server always has something to do, and nothing is merely buffered. */
const WINDOW_TURNS = 2

/** The generator looks at its sockets this often: it reads many at once, and no write of the server has to wake it. */
const NAP_MICROS = 1_000

/** What one measurement gave. */
export interface Measured {
  deliveries: number
  /** Deliveries for each second of the server's processor time: the figure that everything is judged by. */
  perCpuSecond: number
  userMicros: number
  systemMicros: number
  perSecond: number
  bytesPerDelivery: number
  /** From `publish` to the generator, the middle one. */
  latencyMs: number
  /** The generator's processor time, as a share of the server's. */
  loadShare: number
}

/** One server with its streams open, from the first round to the last. */
export class Arena {
  #turns = 0
  #number = 0
  #loadMicros = 0

  private constructor(
    readonly contestant: Contestant,
    readonly server: RunningServer,
    readonly load: Load,
    readonly connections: number,
  ) {}

  static async open(
    contestant: Contestant,
    connections: number,
    options: ServerOptions = {},
    open: (load: Load) => Promise<unknown> = (load) => load.open(connections, contestant.asking),
  ): Promise<Arena> {
    const server = await contestant.start(options)
    const load = new Load(server.port)
    if (options.compress) load.inflate()
    await open(load)
    await settled(load)
    load.nap(NAP_MICROS)
    return new Arena(contestant, server, load, connections)
  }

  /** Closed loop for so many seconds, then until every stream has everything. */
  async measure(events: number, seconds: number): Promise<Measured> {
    const { load, server, connections } = this
    const firstTurn = this.#turns
    const firstNumber = this.#number
    await load.stats()
    const before = await server.usage()
    const began = performance.now()
    let allowed = firstTurn
    await new Promise<void>((resolve) => {
      const goOn = (done: number) => {
        if (performance.now() - began >= seconds * 1_000) {
          resolve()
          return
        }
        allowed = firstTurn + done + WINDOW_TURNS
        server.allow(allowed, events)
      }
      load.onReached = (number) => goOn(Math.floor((number - firstNumber) / events))
      goOn(0)
    })
    load.onReached = () => {}
    this.#turns = allowed
    this.#number = firstNumber + (allowed - firstTurn) * events
    await load.reached(this.#number)
    const took = (performance.now() - began) / 1_000
    const after = await server.usage()
    const seen = await load.stats()
    const deliveries = (this.#number - firstNumber) * connections
    if (seen.deliveries !== deliveries) {
      throw new Error(`${this.contestant.id}: ${seen.deliveries} deliveries instead of ${deliveries}`)
    }
    const userMicros = after.userMicros - before.userMicros
    const systemMicros = after.systemMicros - before.systemMicros
    const cpu = userMicros + systemMicros
    const loadMicros = seen.cpuMicros - this.#loadMicros
    this.#loadMicros = seen.cpuMicros
    return {
      deliveries,
      perCpuSecond: (deliveries / cpu) * 1_000_000,
      userMicros: userMicros / deliveries,
      systemMicros: systemMicros / deliveries,
      perSecond: deliveries / took,
      bytesPerDelivery: seen.bytes / deliveries,
      latencyMs: seen.latency.p50 / 1_000,
      loadShare: loadMicros / cpu,
    }
  }

  /** One event every so many milliseconds: how long the deliveries took. */
  async pace(everyMs: number, count: number): Promise<LoadStats['latency']> {
    await this.load.stats()
    const last = await this.server.pace(everyMs, count)
    await this.load.reached(last)
    const { deliveries, latency, cpuMicros } = await this.load.stats()
    this.#loadMicros = cpuMicros
    const expected = (last - this.#number) * this.connections
    if (deliveries !== expected)
      throw new Error(`${this.contestant.id}: ${deliveries} deliveries instead of ${expected}`)
    this.#number = last
    return latency
  }

  /** Before the first measurement: code is compiled, buffers have their size. */
  async warm(events: number, seconds: number): Promise<void> {
    await this.measure(events, seconds)
  }

  async close(): Promise<void> {
    await this.load.close()
    await this.server.stop()
  }
}

/** Until nothing more arrives by itself: greetings are over. */
async function settled(load: Load): Promise<void> {
  await load.stats()
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, 150))
    if ((await load.stats()).bytes === 0) return
  }
}

/** Every server in turn, as often as there are rounds; the order moves on by one each time, so that nobody is always first. */
export async function interleave<Result>(
  arenas: readonly Arena[],
  rounds: number,
  measure: (arena: Arena, round: number) => Promise<Result>,
): Promise<Map<string, Result[]>> {
  const results = new Map<string, Result[]>(arenas.map(({ contestant }) => [contestant.id, []]))
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < arenas.length; i++) {
      const arena = arenas[(i + round) % arenas.length] as Arena
      results.get(arena.contestant.id)?.push(await measure(arena, round))
    }
  }
  return results
}
