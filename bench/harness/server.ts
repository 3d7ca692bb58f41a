import { type ChildProcess, fork } from 'node:child_process'
import path from 'node:path'
import type { ServerOptions } from '../contenders/contender'
import type { Order, Word } from '../contenders/serve'
import { adopt, ended, within } from './children'
import { BUILT } from './load'

/** Processor time and memory of a server. */
export interface Usage {
  userMicros: number
  systemMicros: number
  rssBytes: number
  /** Streams that are open, where the server can tell. */
  open?: number
}

/** A server in the table, running. */
export interface RunningServer {
  readonly port: number
  /** Those of its processes, where each has one of its own: as many generators. */
  readonly ports?: readonly number[]
  /** Publishes up to this many turns in all since the start, each of so many events. */
  allow(turns: number, events: number): void
  /** Publishes one event every so many milliseconds. Resolves with the number of the last one. */
  pace(everyMs: number, count: number): Promise<number>
  /** The place to come back to. */
  cursor?(): Promise<string>
  /** With `collect`, after a full garbage collection. */
  usage(collect?: boolean): Promise<Usage>
  stop(): Promise<void>
}

/** Starts one of the Node servers in a process of its own. */
export async function startNode(
  name: string,
  options: ServerOptions = {},
  env: Record<string, string> = {},
): Promise<RunningServer> {
  const child = adopt(
    fork(path.join(BUILT, 'serve.mjs'), [name, JSON.stringify(options)], {
      env: { ...process.env, ...env },
      execArgv: ['--expose-gc', ...(process.env.BENCH_NODE_FLAGS?.split(' ') ?? [])],
    }),
  )
  const words = new Words(child)
  const { port } = await within(15_000, `starting ${name}`, words.next('port'))
  const tell = (order: Order) => void child.send(order, () => {})
  return {
    port,
    allow: (turns, events) => tell({ do: 'allow', turns, events }),
    async pace(everyMs, count) {
      tell({ do: 'pace', everyMs, count })
      return (await words.next('paced')).paced
    },
    async cursor() {
      tell({ do: 'cursor' })
      return (await words.next('cursor')).cursor
    },
    async usage(collect = false) {
      tell({ do: 'usage', collect })
      return (await words.next('usage')).usage
    },
    async stop() {
      if (child.connected) child.disconnect()
      await ended(child)
    },
  }
}

type Named<Name extends string> = Extract<Word, Record<Name, unknown>>

/** What a server says, each kind in its order. */
class Words {
  readonly #waiting = new Map<string, ((word: Word) => void)[]>()

  readonly #gone: Promise<never>

  constructor(child: ChildProcess) {
    this.#gone = new Promise((_, reject) => {
      child.on('exit', (code, signal) => reject(new Error(`the server has ended (${code ?? signal})`)))
    })
    this.#gone.catch(() => {})
    child.on('message', (word: Word) => {
      const [name = ''] = Object.keys(word)
      this.#waiting.get(name)?.shift()?.(word)
    })
  }

  next<Name extends 'port' | 'paced' | 'usage' | 'cursor'>(name: Name): Promise<Named<Name>> {
    const said = new Promise<Named<Name>>((resolve) => {
      const waiting = this.#waiting.get(name) ?? []
      this.#waiting.set(name, waiting)
      waiting.push(resolve as (word: Word) => void)
    })
    return Promise.race([this.#gone, said])
  }
}
