import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, vi } from 'vitest'

const MAIN = fileURLToPath(new URL('../server/main.js', import.meta.url))

export const eventually = <Result>(check: () => Result | Promise<Result>): Promise<Result> =>
  vi.waitFor(check, { timeout: 50_000, interval: 20 })

/** The server as `npm start` runs it, on a free port and with a database of its own. */
export class TicketServer {
  printed = ''

  private constructor(
    readonly primary: ChildProcess,
    readonly folder: string,
  ) {
    const read = (text: Buffer) => {
      this.printed += text
    }
    for (const output of [primary.stdout, primary.stderr]) output?.on('data', read)
  }

  static async start(): Promise<TicketServer> {
    const folder = await mkdtemp(join(tmpdir(), 'tickets-'))
    const primary = spawn(process.execPath, [MAIN], {
      env: { PATH: process.env.PATH, PORT: '0', DATABASE: join(folder, 'tickets.db'), DRAIN_MS: '200' },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const server = new TicketServer(primary, folder)
    await eventually(() => expect(server.workers(), server.printed).toHaveLength(2))
    return server
  }

  get url(): string {
    return /http:\/\/[\d.:]+/.exec(this.printed)?.[0] ?? ''
  }

  /** Those that have begun, without those that have ended. */
  workers(): number[] {
    const all = (pattern: RegExp) => [...this.printed.matchAll(pattern)].map(([, pid]) => Number(pid))
    const ended = all(/worker (\d+) has ended/g)
    return all(/worker (\d+) serves/g).filter((pid) => !ended.includes(pid))
  }

  /** Takes a turn at the port, which deals connections to its workers one after the other. */
  async takeTurn(): Promise<void> {
    const { hostname, port } = new URL(this.url)
    const socket = connect(Number(port), hostname)
    await once(socket, 'connect')
    socket.destroy()
  }

  /** Kills a worker. Resolves when the primary knows: until then it may deal connections to it, which nobody would answer. */
  async kill(worker: number): Promise<void> {
    process.kill(worker, 'SIGKILL')
    await eventually(() => expect(this.printed).toContain(`worker ${worker} has ended`))
  }

  async end(): Promise<void> {
    if (this.primary.exitCode === null && this.primary.signalCode === null) {
      const exit = once(this.primary, 'exit')
      this.primary.kill('SIGKILL')
      await exit
    }
    await rm(this.folder, { recursive: true, force: true })
  }
}
