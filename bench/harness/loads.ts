import { type Asking, type Generator, Load, type LoadStats } from './load'

/**
 * Several generators as one: a process of the server has one of its own. A generator waits for its sockets at one place in the kernel, and two
 * processes that write at once would meet there, which those who write to different machines do not.
 */
export class Loads implements Generator {
  readonly #all: readonly Load[]
  readonly #reached: number[]
  readonly failed: Promise<never>
  onReached: (number: number) => void = () => {}

  constructor(ports: readonly number[]) {
    this.#all = ports.map((port) => new Load(port))
    this.#reached = ports.map(() => -1)
    this.failed = Promise.race(this.#all.map(({ failed }) => failed))
    this.failed.catch(() => {})
    this.#all.forEach((load, i) => {
      load.onReached = (number) => {
        const before = Math.min(...this.#reached)
        this.#reached[i] = number
        const now = Math.min(...this.#reached)
        if (now > before) this.onReached(now)
      }
    })
  }

  /** Each as many. */
  async open(count: number, asking?: Asking): Promise<number> {
    return Math.max(...(await Promise.all(this.#all.map((load) => load.open(count / this.#all.length, asking)))))
  }

  nap(micros: number): void {
    for (const load of this.#all) load.nap(micros)
  }

  inflate(): void {
    for (const load of this.#all) load.inflate()
  }

  /** Latencies are those of the one that had them later. */
  async stats(): Promise<LoadStats> {
    const all = await Promise.all(this.#all.map((load) => load.stats()))
    const sum = (read: (stats: LoadStats) => number) => all.reduce((total, stats) => total + read(stats), 0)
    const most = (read: (stats: LoadStats) => number) => Math.max(...all.map(read))
    return {
      deliveries: sum(({ deliveries }) => deliveries),
      bytes: sum(({ bytes }) => bytes),
      reads: sum(({ reads }) => reads),
      blocks: sum(({ blocks }) => blocks),
      cpuMicros: sum(({ cpuMicros }) => cpuMicros),
      atMicros: most(({ atMicros }) => atMicros),
      latency: {
        mean: most(({ latency }) => latency.mean),
        p50: most(({ latency }) => latency.p50),
        p99: most(({ latency }) => latency.p99),
        max: most(({ latency }) => latency.max),
      },
    }
  }

  async reached(number: number): Promise<void> {
    await Promise.all(this.#all.map((load) => load.reached(number)))
  }

  async close(): Promise<void> {
    await Promise.all(this.#all.map((load) => load.close()))
  }
}
