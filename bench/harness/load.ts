import { type ChildProcessByStdio, spawn } from 'node:child_process'
import path from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { adopt, ended } from './children'

/** What the generator has seen since it was asked last. */
export interface LoadStats {
  deliveries: number
  bytes: number
  reads: number
  blocks: number
  cpuMicros: number
  atMicros: number
  latency: { mean: number; p50: number; p99: number; max: number }
}

/** Where compiled programs lie: beside this one. */
export const BUILT = path.dirname(fileURLToPath(import.meta.url))
/** The workspace of the bench, of which `BUILT` is `dist/<process>`. */
export const BENCH = path.join(BUILT, '..', '..')

/** How the streams of one kind of server are asked for. */
export interface Asking {
  path?: string
  headers?: Record<string, string>
  /** Sent once the headers are there. */
  after?: Buffer
  /** How many may be on their way at once. Default 64. */
  atOnce?: number
}

/** What an arena asks of it, or of several. */
export type Generator = Pick<Load, 'open' | 'nap' | 'inflate' | 'stats' | 'reached' | 'close' | 'failed' | 'onReached'>

/** The load generator, `c/load.c`: opens streams, reads them, and fails at the first event that is missing, doubled or out of order. */
export class Load {
  readonly #process: ChildProcessByStdio<Writable, Readable, null>
  readonly #answers: ((line: string) => void)[] = []
  readonly #waiting: { number: number; resolve: () => void }[] = []
  /** Never resolves. Rejects when an event was missing, doubled or out of order, or the server has ended a stream. */
  readonly failed: Promise<never>
  #reject: (error: Error) => void = () => {}
  #reached = -1
  #ended = false
  /** Called when every stream has the event of this number. */
  onReached: (number: number) => void = () => {}

  constructor(port: number) {
    this.failed = new Promise((_, reject) => {
      this.#reject = reject
    })
    this.failed.catch(() => {})
    this.#process = adopt(
      spawn(path.join(BUILT, 'load'), ['127.0.0.1', String(port)], { stdio: ['pipe', 'pipe', 'inherit'] }),
    )
    this.#process.stdin.on('error', () => this.#fail('the load generator takes no commands'))
    this.#process.on('exit', () => this.#fail('the load generator ended'))
    createInterface(this.#process.stdout).on('line', (line) => this.#line(line))
  }

  /** Opens streams. Resolves when the headers of all are there, with the milliseconds that took. */
  async open(count: number, asking: Asking = {}, atOnce = asking.atOnce ?? 64): Promise<number> {
    const headers = { host: 'localhost', accept: 'text/event-stream', ...asking.headers }
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
    const request = Buffer.from(`GET ${asking.path ?? '/stream'} HTTP/1.1\r\n${lines.join('')}\r\n`)
    this.#send(`request ${request.length}\n`, request)
    if (asking.after) this.#send(`after ${asking.after.length}\n`, asking.after)
    const answer = await this.#ask(`open ${count} ${atOnce}\n`)
    return Number(answer.split(' ')[2]) / 1_000
  }

  /** Looks at the sockets every so many microseconds instead of at once. */
  nap(micros: number): void {
    this.#send(`nap ${micros}\n`)
  }

  /** Blank lines are counted from now on. */
  countBlocks(): void {
    this.#send('blocks\n')
  }

  /** Streams are inflated from now on. */
  inflate(): void {
    this.#send('gzip\n')
  }

  async stats(): Promise<LoadStats> {
    return JSON.parse((await this.#ask('stats\n')).slice('stats '.length)) as LoadStats
  }

  /** Resolves when every stream has the event of this number. */
  reached(number: number): Promise<void> {
    if (this.#reached >= number) return Promise.resolve()
    return Promise.race([this.failed, new Promise<void>((resolve) => this.#waiting.push({ number, resolve }))])
  }

  /** Ends all streams, and can open others. */
  async closeStreams(): Promise<void> {
    this.#reached = -1
    await this.#ask('close\n')
  }

  async close(): Promise<void> {
    this.#ended = true
    this.#process.stdin.end()
    await ended(this.#process)
  }

  #send(line: string, text?: Buffer): void {
    this.#process.stdin.write(line)
    if (text) this.#process.stdin.write(text)
  }

  #ask(line: string): Promise<string> {
    this.#send(line)
    return Promise.race([this.failed, new Promise<string>((resolve) => this.#answers.push(resolve))])
  }

  #line(line: string): void {
    if (line.startsWith('all ')) {
      this.#reached = Number(line.slice(4))
      this.onReached(this.#reached)
      while (this.#waiting[0] && this.#waiting[0].number <= this.#reached) this.#waiting.shift()?.resolve()
    } else if (line.startsWith('error ')) this.#fail(line.slice(6))
    else this.#answers.shift()?.(line)
  }

  #fail(message: string): void {
    if (this.#ended) return
    this.#ended = true
    this.#reject(new Error(message))
  }
}
