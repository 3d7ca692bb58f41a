import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { ownPort } from '../../packages/sse-server/test/support/ports'

interface Answer {
  ready?: number
  done?: boolean
  stats?: { connections: number; lagging: number; closed: Record<string, number> }
  memory?: number
  drainedMs?: number
  returns?: Record<string, number>
}

/** The server's process, and the one after it: on the same port, with the same data. */
export class ServerProcess {
  readonly #folder = mkdtempSync(path.join(tmpdir(), 'entitycast-chaos-'))
  #child: ChildProcess | undefined
  port = 0

  constructor(
    readonly drainMs = 500,
    readonly heartbeatMs = 300,
  ) {}

  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  async start(): Promise<void> {
    const program = fileURLToPath(new URL('./server.ts', import.meta.url))
    // While it is down nobody else is given it.
    this.port ||= await ownPort()
    const options = [this.port, path.join(this.#folder, 'rows'), this.drainMs, this.heartbeatMs]
    const args = ['--import', 'tsx', program, ...options.map(String)]
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    this.#child = child
    const ended = once(child, 'exit').then(() => {
      throw new Error('the server has ended before it was ready')
    })
    await Promise.race([this.#answer(({ ready }) => ready !== undefined), ended])
    ended.catch(() => {})
  }

  /** Tells it something, and waits for its answer. */
  async ask(message: object): Promise<Answer> {
    const answer = this.#answer(({ done }) => done === true)
    this.#child?.send(message)
    return answer
  }

  signal(name: NodeJS.Signals): void {
    this.#child?.kill(name)
  }

  async kill(): Promise<void> {
    const gone = once(this.#child as ChildProcess, 'exit')
    this.signal('SIGKILL')
    await gone
  }

  /** SIGTERM, and what it said while it ended. */
  async end(): Promise<{ code: number | null; answer: Answer }> {
    const answer = this.#answer(({ drainedMs }) => drainedMs !== undefined)
    const gone = once(this.#child as ChildProcess, 'exit')
    this.signal('SIGTERM')
    const [code] = await gone
    return { code, answer: await answer }
  }

  async dispose(): Promise<void> {
    if (this.#child?.exitCode === null && this.#child.signalCode === null) {
      this.signal('SIGCONT')
      await this.kill()
    }
    rmSync(this.#folder, { recursive: true, force: true })
  }

  #answer(fits: (answer: Answer) => boolean): Promise<Answer> {
    const child = this.#child as ChildProcess
    return new Promise((resolve) => {
      const listen = (answer: Answer) => {
        if (!fits(answer)) return
        child.off('message', listen)
        resolve(answer)
      }
      child.on('message', listen)
    })
  }
}
