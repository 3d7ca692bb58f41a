import type { ServerOptions } from '../contenders/contender'
import { within } from '../harness/children'
import type { Contestant } from '../harness/contestants'
import { type Generator, Load } from '../harness/load'
import { Loads } from '../harness/loads'
import type { RunningServer } from '../harness/server'
import { failure, rest } from '../harness/turns'
import type { Effort } from '../harness/workload'

/** Turns that may be on their way: the server always has something to do, and nothing is merely buffered. */
const WINDOW_TURNS = 2

/** The generator looks at its sockets this often: it reads many at once, and no write of the server has to wake it. */
const NAP_MICROS = 1_000

/** After the last delivery: what the server still does for it is counted too. */
const SETTLE_MS = 5

/** A server gets this long to open its streams. */
const OPEN_LIMIT_MS = 30_000

/** What one measurement gave. */
export interface Measured {
  deliveries: number
  /** Deliveries for each second of the server's processor time: the figure that everything is judged by. */
  perCpuSecond: number
  userMicros: number
  systemMicros: number
  perSecond: number
  bytesPerDelivery: number
  /** What the generator has read from its sockets: below 1, turns were joined on the way. */
  readsPerDelivery: number
  /** From `publish` to the generator, the middle one. */
  latencyMs: number
  /** … and the slowest of a hundred. */
  latestMs: number
  /** The generator's processor time for each delivery. */
  loadMicros: number
  /** How much of one core the generator was busy: far below 1, or it would be the one that is measured. */
  loadBusy: number
}

/** What one measurement at a slow pace gave. */
export type Paced = Pick<Measured, 'latencyMs' | 'latestMs' | 'userMicros' | 'systemMicros' | 'loadMicros'>

/** One server with its streams open, from the first round to the last. */
export class Arena {
  #turns = 0
  #number = 0
  #loadMicros = 0

  private constructor(
    readonly contestant: Contestant,
    readonly server: RunningServer,
    readonly load: Generator,
    readonly connections: number,
  ) {}

  static async open(
    contestant: Contestant,
    connections: number,
    options: ServerOptions = {},
    open: (load: Generator) => Promise<unknown> = (load) => load.open(connections, contestant.asking),
  ): Promise<Arena> {
    const server = await contestant.start(options)
    const load = server.ports ? new Loads(server.ports) : new Load(server.port)
    const arena = new Arena(contestant, server, load, connections)
    try {
      if (options.compress) load.inflate()
      await within(OPEN_LIMIT_MS, `opening ${connections} streams`, open(load))
      await within(OPEN_LIMIT_MS, 'greeting', settled(load))
    } catch (error) {
      await arena.close()
      throw error
    }
    load.nap(NAP_MICROS)
    return arena
  }

  get id(): string {
    return this.contestant.id
  }

  get label(): string {
    return this.contestant.label
  }

  /**
   * Turns for so many seconds, then until every stream has everything. Without `everyMs` in a closed loop; with it a turn every so many
   * milliseconds, which gives all the same number of writes, however long each takes.
   */
  async measure(events: number, seconds: number, everyMs?: number): Promise<Measured> {
    const { load, server, connections } = this
    const firstTurn = this.#turns
    const firstNumber = this.#number
    await load.stats()
    const before = await server.usage()
    const began = performance.now()
    let allowed = firstTurn
    const time = new Promise<void>((resolve) => {
      const goOn = (done: number) => {
        if (performance.now() - began >= seconds * 1_000) {
          resolve()
          return
        }
        allowed = firstTurn + done + WINDOW_TURNS
        server.allow(allowed, events)
      }
      if (everyMs === undefined) {
        load.onReached = (number) => goOn(Math.floor((number - firstNumber) / events))
        goOn(0)
        return
      }
      const turn = () => {
        server.allow(++allowed, events)
        if (performance.now() - began < seconds * 1_000) return
        clearInterval(timer)
        resolve()
      }
      const timer = setInterval(turn, everyMs)
      // At once, so that measurements that follow each other make no pause.
      turn()
    })
    await Promise.race([time, load.failed])
    load.onReached = () => {}
    this.#turns = allowed
    this.#number = firstNumber + (allowed - firstTurn) * events
    await load.reached(this.#number)
    const took = (performance.now() - began) / 1_000
    await rest(SETTLE_MS)
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
      readsPerDelivery: seen.reads / deliveries,
      latencyMs: seen.latency.p50 / 1_000,
      latestMs: seen.latency.p99 / 1_000,
      loadMicros: loadMicros / deliveries,
      loadBusy: loadMicros / 1_000_000 / took,
    }
  }

  /** One event every so many milliseconds: how long the deliveries took. */
  async pace(everyMs: number, count: number): Promise<Paced> {
    const idle = await this.load.stats()
    const before = await this.server.usage()
    const last = await this.server.pace(everyMs, count)
    await this.load.reached(last)
    const after = await this.server.usage()
    const { deliveries, latency, cpuMicros } = await this.load.stats()
    this.#loadMicros = cpuMicros
    const expected = (last - this.#number) * this.connections
    if (deliveries !== expected)
      throw new Error(`${this.contestant.id}: ${deliveries} deliveries instead of ${expected}`)
    this.#number = last
    return {
      latencyMs: latency.p50 / 1_000,
      latestMs: latency.p99 / 1_000,
      userMicros: (after.userMicros - before.userMicros) / deliveries,
      systemMicros: (after.systemMicros - before.systemMicros) / deliveries,
      loadMicros: (cpuMicros - idle.cpuMicros) / deliveries,
    }
  }

  /** A short measurement, after some turns that do not count: what others did meanwhile has taken the caches. */
  async slice(events: number, coldSeconds: number, seconds: number): Promise<Measured> {
    await this.measure(events, coldSeconds)
    return this.measure(events, seconds)
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

/**
 * Several servers in the same seconds, each with a turn every so many milliseconds, and the turns of all one after the other at equal
 * distances: whatever else the machine does, it does to all of them alike. In the order of the arenas.
 */
export function measureTogether(
  arenas: readonly Arena[],
  events: number,
  seconds: number,
  everyMs: number,
): Promise<Measured[]> {
  return Promise.all(
    arenas.map(async (arena, i) => {
      await rest((i * everyMs) / arenas.length)
      return arena.measure(events, seconds, everyMs)
    }),
  )
}

/** Until nothing more arrives by itself: greetings are over. */
async function settled(load: Generator): Promise<void> {
  await load.stats()
  for (;;) {
    await rest(150)
    if ((await load.stats()).bytes === 0) return
  }
}

/** Opens an arena for each that can take part; who cannot is in the notes. */
export async function openArenas(
  contestants: readonly Contestant[],
  connections: number,
  warm: (arena: Arena) => Promise<void>,
  log: Effort['log'],
): Promise<{ arenas: Arena[]; notes: string[] }> {
  const arenas: Arena[] = []
  const notes: string[] = []
  for (const contestant of contestants) {
    let arena: Arena | undefined
    try {
      log(`${contestant.id} opens ${connections} streams`)
      arena = await Arena.open(contestant, connections)
      await within(OPEN_LIMIT_MS, 'warming up', warm(arena))
      arenas.push(arena)
    } catch (error) {
      notes.push(failure(contestant, error))
      log(notes.at(-1) as string)
      await arena?.close()
    }
  }
  return { arenas, notes }
}
