import { type ChildProcess, fork } from 'node:child_process'
import path from 'node:path'
import { type Broker, type BrokerKind, cpuMicrosOf } from '../harness/brokers'
import { adopt, ended, within } from '../harness/children'
import { contestants } from '../harness/contestants'
import { type Asking, BUILT, Load } from '../harness/load'
import type { Answer, Order, Ready } from './adapters-program'

/*
 * An application in two processes with what is between them, and the streams that each of them has.
 */

const START_MS = 20_000

/** A row of the table. */
export interface SiteKind {
  readonly id: string
  readonly label: string
  readonly broker?: BrokerKind
  /** Processes. Default 2. */
  readonly instances?: number
  /** Whether one that comes back with its cursor gets what it has missed. */
  readonly hasLog: boolean
  readonly asking?: Asking
}

/** Speaks with one process, or with those behind it. */
class Speaker {
  readonly #waiting = new Map<number, { resolve: (answer: Answer) => void; reject: (error: Error) => void }>()
  readonly ready: Promise<Ready>
  #n = 0

  constructor(
    readonly child: ChildProcess,
    name: string,
  ) {
    const started = new Promise<Ready>((resolve, reject) => {
      child.on('exit', (code, signal) => {
        const error = new Error(`${name} has ended (${code ?? signal})`)
        reject(error)
        for (const { reject } of this.#waiting.values()) reject(error)
      })
      child.on('message', (message: Ready | Answer) => {
        if ('ports' in message) resolve(message)
        else {
          const { resolve, reject } = this.#waiting.get(message.n) ?? {}
          this.#waiting.delete(message.n)
          if (message.error === undefined) resolve?.(message)
          else reject?.(new Error(message.error))
        }
      })
    })
    started.catch(() => {})
    this.ready = within(START_MS, `starting ${name}`, started)
  }

  ask(to: number, order: Order): Promise<Answer> {
    const n = ++this.#n
    return new Promise((resolve, reject) => {
      this.#waiting.set(n, { resolve, reject })
      this.child.send({ n, to, order }, (error) => error && reject(error))
    })
  }
}

export class Site {
  readonly loads: Load[] = []
  readonly #asks: ((order: Order) => Promise<Answer>)[] = []
  readonly #ports: number[] = []
  readonly #children: ChildProcess[] = []
  #broker: Broker | undefined

  private constructor(readonly kind: SiteKind) {}

  static async start(kind: SiteKind): Promise<Site> {
    const site = new Site(kind)
    try {
      site.#broker = await kind.broker?.start()
      // The cluster's workers are behind its primary.
      const processes = kind.id === 'cluster' ? 1 : site.instances
      const speakers = Array.from({ length: processes }, () => site.#fork())
      for (const speaker of speakers) {
        const { ports } = await speaker.ready
        ports.forEach((port, to) => {
          site.#ports.push(port)
          site.#asks.push((order) => speaker.ask(to, order))
        })
      }
      return site
    } catch (error) {
      await site.close()
      throw error
    }
  }

  get id(): string {
    return this.kind.id
  }

  get label(): string {
    return this.kind.label
  }

  get instances(): number {
    return this.kind.instances ?? 2
  }

  ask(instance: number, order: Order): Promise<Answer> {
    return (this.#asks[instance] as (order: Order) => Promise<Answer>)(order)
  }

  /** A generator for each instance, and so many streams of a project at each. */
  async open(project: string, each: number, lastEventId?: string): Promise<Load[]> {
    const loads = this.#ports.map((port) => new Load(port))
    this.loads.push(...loads)
    const { headers, ...asking } = this.kind.asking ?? {}
    const asked = { ...asking, headers: { ...headers, 'x-project': project } }
    if (lastEventId !== undefined) Object.assign(asked.headers, { 'last-event-id': lastEventId })
    await Promise.all(loads.map((load) => load.open(each, asked, lastEventId === undefined ? 64 : each)))
    return loads
  }

  /** Resolves when every instance has so many streams that would get an event. */
  async joined(each: number): Promise<void> {
    for (let instance = 0; instance < this.instances; instance++) {
      const end = Date.now() + START_MS
      for (;;) {
        const { open = 0 } = await this.ask(instance, { do: 'open' })
        if (open === each) break
        if (Date.now() > end) throw new Error(`${open} streams are open instead of ${each}`)
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    }
  }

  /** Processor time of the instances, and of the broker or the primary, in microseconds. */
  async usage(): Promise<{ instances: number; broker: number }> {
    const each = await Promise.all(this.#asks.map((ask) => ask({ do: 'usage' })))
    const [primary] = this.#children
    const behind = this.kind.id === 'cluster' && primary?.pid ? cpuMicrosOf(primary.pid) : 0
    return {
      instances: each.reduce((sum, { cpuMicros = 0 }) => sum + cpuMicros, 0),
      broker: (this.#broker?.cpuMicros() ?? 0) + behind,
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.loads.splice(0).map((load) => load.close()))
    for (const child of this.#children) if (child.connected) child.disconnect()
    await Promise.all(this.#children.map((child) => ended(child)))
    await this.#broker?.stop()
  }

  #fork(): Speaker {
    const file = path.join(BUILT, 'adapters-program.mjs')
    const group = this.kind.id === 'cluster'
    const child = fork(file, [this.id, String(this.#broker?.port ?? 0)], { detached: group })
    this.#children.push(adopt(child, { group }))
    return new Speaker(child, this.id)
  }
}

/** How socket.io's streams are asked for: as in the other tables. */
export function socketIoAsking(): Asking {
  return contestants(['socket.io'])[0]?.asking ?? {}
}
