import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import type { HubStats } from '@entitycast/sse-server'
import { build } from 'esbuild'
import { ownPort } from '../../packages/sse-server/test/support/ports'
import { LivePage, type Row } from '../chaos/live-page'
import { TcpProxy } from '../support/tcp-proxy'

const at = (file: string) => fileURLToPath(new URL(file, import.meta.url))
const SOURCES = at('../../packages/sse-server/src')
/** Beside the engines' own clients, which are not put into it. */
const PROGRAM = at(`../../node_modules/.cache/entitycast/hub-${process.pid}.mjs`)
const ROWS = 40

/** What a fleet's log is at. */
export interface Broker {
  readonly engine: string
  readonly port: number
  kill(): Promise<void>
  restart(): Promise<void>
  wipe(): Promise<void>
}

interface Answer {
  id: number
  error?: string
  stats?: HubStats
}

/** A hub's process, and the one after it on the same port. It reaches the broker through a proxy of its own. */
class HubProcess {
  /** What a load balancer knows: whether to send newcomers here. */
  ready = false
  port = 0
  readonly proxy: TcpProxy
  #child: ChildProcess | undefined
  #orders = 0
  readonly #waiting = new Map<number, { resolve: (answer: Answer) => void; reject: (error: Error) => void }>()

  constructor(
    readonly broker: Broker,
    readonly databaseUrl: string,
    readonly drainMs: number,
  ) {
    this.proxy = new TcpProxy(() => broker.port)
  }

  async start(): Promise<void> {
    if (this.proxy.port === 0) await this.proxy.listen()
    this.port ||= await ownPort()
    const args = [PROGRAM, this.port, this.broker.engine, this.proxy.port, this.databaseUrl, this.drainMs].map(String)
    const child = spawn(process.execPath, args, {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    this.#child = child
    child.once('exit', () => {
      this.ready = false
      for (const { reject } of this.#waiting.values()) reject(new Error('the hub has ended'))
      this.#waiting.clear()
    })
    await new Promise<void>((resolve, reject) => {
      child.on('message', (message: Answer & { ready?: number }) => {
        if (message.ready !== undefined) {
          this.port = message.ready
          resolve()
          return
        }
        this.#waiting.get(message.id)?.resolve(message)
        this.#waiting.delete(message.id)
      })
      child.once('exit', (code) => reject(new Error(`a hub ended with ${code} before it was ready`)))
    })
    this.ready = true
  }

  /** Tells it something; rejects where it refuses, or ends before it answers. */
  async ask(order: object): Promise<Answer> {
    const id = ++this.#orders
    const answer = await new Promise<Answer>((resolve, reject) => {
      if (!this.#child?.connected) throw new Error('the hub is not there')
      this.#waiting.set(id, { resolve, reject })
      this.#child.send({ id, ...order }, (error) => error && reject(error))
    })
    if (answer.error) throw new Error(answer.error)
    return answer
  }

  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<number | null> {
    const child = this.#child
    if (!child) return null
    this.ready = false
    if (child.exitCode === null && child.signalCode === null) {
      const gone = once(child, 'exit')
      child.kill(signal)
      await gone
    }
    return child.exitCode
  }
}

/**
 * Three hubs, a load balancer before them, a broker behind them, pages, and the database with everything that has happened. Rows are changed and ticks are
 * counted, each by a hub chosen at random; whatever a hub refuses, or dies over, is published again by another one, as an outbox would.
 */
export class Fleet {
  readonly rows = new Map<string, Row>(
    Array.from({ length: ROWS }, (_, i) => [`row:${i}`, { id: `row:${i}`, value: 0, version: 1 }]),
  )
  readonly pages: LivePage[] = []
  readonly hubs: HubProcess[]
  /** Ticks that may be in the log twice, because a hub did not say whether it had published them. */
  readonly repeated = new Set<number>()
  /** When a page asked for a stream. */
  readonly connects: number[] = []
  ticks = 0
  #next = 0
  #load: Promise<unknown> | undefined
  #loaded = false
  #ended = false
  readonly #balancer = new TcpProxy(() => this.#chosen())

  private constructor(
    readonly database: Server,
    broker: Broker,
    drainMs: number,
  ) {
    const url = `http://127.0.0.1:${(database.address() as AddressInfo).port}`
    this.hubs = Array.from({ length: 3 }, () => new HubProcess(broker, url, drainMs))
  }

  static async start(broker: Broker, drainMs: number): Promise<Fleet> {
    await buildHub()
    let fleet: Fleet | undefined
    const database = createServer((_, res) => res.end(JSON.stringify([...(fleet?.rows.values() ?? [])])))
    await new Promise<void>((resolve) => database.listen(0, '127.0.0.1', resolve))
    fleet = new Fleet(database, broker, drainMs)
    await fleet.#balancer.listen()
    await Promise.all(fleet.hubs.map((hub) => hub.start()))
    return fleet
  }

  async open(count: number): Promise<void> {
    const opened = Array.from(
      { length: count },
      (_, i) => new LivePage(() => `http://127.0.0.1:${this.#balancer.port}`, `page-${i}`),
    )
    this.pages.push(...opened)
    await Promise.all(opened.map((page) => page.open()))
  }

  get connected(): number {
    return this.pages.filter((page) => page.connected).length
  }

  /** What pages were told of the ticks that cannot be: one left out without a word, or told again. */
  get oddities(): string[] {
    return this.pages.flatMap(({ name, ticks }) => {
      let last: number | undefined
      const odd: string[] = []
      for (const tick of ticks) {
        if (tick === 'resync') {
          last = undefined
          continue
        }
        const isAgain = last !== undefined && tick <= last
        if (last !== undefined && tick !== last + 1 && !(isAgain && this.repeated.has(tick))) {
          odd.push(`${name}: ${tick} after ${last}`)
        }
        if (!isAgain) last = tick
      }
      return odd
    })
  }

  /** Changes go on until `quiet`. */
  startLoad(): void {
    this.#loaded = true
    this.#load = Promise.all([this.#changeRows(), this.#countTicks()])
  }

  /** Stops the load; resolves when everything that was stored is in the log. */
  async quiet(): Promise<void> {
    this.#loaded = false
    await this.#load
  }

  async end(): Promise<void> {
    this.#loaded = false
    this.#ended = true
    for (const page of this.pages) page.close()
    await Promise.all(this.hubs.map((hub) => hub.end('SIGKILL')))
    await Promise.all([this.#balancer.close(), ...this.hubs.map(({ proxy }) => proxy.port > 0 && proxy.close())])
    await rm(PROGRAM, { force: true })
    this.database.closeAllConnections()
    this.database.close()
    await this.#load
  }

  /** Newcomers go round those that are ready; where there is none they meet a closed port. */
  #chosen(): number {
    this.connects.push(performance.now())
    const ready = this.hubs.filter((hub) => hub.ready)
    return ready[this.#next++ % ready.length]?.port ?? 1
  }

  async #changeRows(): Promise<void> {
    for (let i = 0; this.#loaded; i++) {
      const id = `row:${i % ROWS}`
      const { value, version } = this.rows.get(id) as Row
      const row = { id, value: value + 1, version: version + 1 }
      this.rows.set(id, row)
      await this.#publish({ row })
      await pause(20)
    }
  }

  async #countTicks(): Promise<void> {
    while (this.#loaded) {
      const tick = ++this.ticks
      await this.#publish({ tick }, () => this.repeated.add(tick))
      await pause(20)
    }
  }

  /** Until some hub has accepted it. */
  async #publish(publish: { row?: Row; tick?: number }, again = () => {}): Promise<void> {
    while (!this.#ended) {
      const ready = this.hubs.filter((hub) => hub.ready)
      const hub = ready[Math.floor(Math.random() * ready.length)]
      try {
        if (hub) {
          await hub.ask({ publish })
          return
        }
      } catch {
        again()
      }
      await pause(50)
    }
  }
}

/** How long at most, in milliseconds, this process and that hub had to wait for their turn at the processor while `task` ran. */
export async function longestPause(hub: HubProcess, task: () => Promise<void>): Promise<number> {
  let isOver = false
  let longest = 0
  const watch = async () => {
    while (!isOver) {
      const since = performance.now()
      await pause(50)
      await hub.ask({ stats: true }).catch(() => {})
      longest = Math.max(longest, performance.now() - since - 50)
    }
  }
  const watching = watch()
  await task().finally(() => {
    isOver = true
  })
  await watching
  return longest
}

/** The hub's program, from the sources that are tested here. */
async function buildHub(): Promise<void> {
  await build({
    entryPoints: [at('./hub.ts')],
    outfile: PROGRAM,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    packages: 'external',
    alias: {
      '@entitycast/sse-protocol': at('../../packages/sse-protocol/src/index.ts'),
      '@entitycast/sse-server': `${SOURCES}/index.ts`,
      '@entitycast/sse-server/node': `${SOURCES}/mounts/node.ts`,
      '@entitycast/sse-server/redis': `${SOURCES}/adapters/redis.ts`,
      '@entitycast/sse-server/postgres': `${SOURCES}/adapters/postgres.ts`,
      '@entitycast/sse-server/nats': `${SOURCES}/adapters/nats.ts`,
    },
  })
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
