import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const MAIN = fileURLToPath(new URL('../../dist/server/main.js', import.meta.url))

/** The built server, as `npm start` runs it, on a free port and with a database of its own. */
export class ServerProcess {
  url = ''
  #child: ChildProcess | undefined
  #printed = ''

  private constructor(
    readonly dataDir: string,
    readonly env: Record<string, string>,
  ) {}

  static async start(env: Record<string, string> = {}): Promise<ServerProcess> {
    if (!existsSync(MAIN)) {
      throw new Error('not built; run: npx turbo run build --filter=@entitycast-example/express-validation')
    }
    const server = new ServerProcess(await mkdtemp(join(tmpdir(), 'validation-')), env)
    await server.run()
    return server
  }

  /** Starts it, again on the port that it had. */
  async run(): Promise<void> {
    const child = spawn(process.execPath, [MAIN], {
      env: {
        PATH: process.env.PATH,
        PORT: this.url ? new URL(this.url).port : '0',
        DATA_DIR: this.dataDir,
        DRAIN_MS: '200',
        REMINDER_INTERVAL_MS: '0',
        ...this.env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#child = child
    this.#printed = ''
    this.url = await new Promise<string>((resolve, reject) => {
      const read = (text: Buffer) => {
        this.#printed += text
        const address = /(http:\/\/[\d.:]+)\s/.exec(this.#printed)
        if (address) resolve(address[1] as string)
      }
      child.stdout.on('data', read)
      child.stderr.on('data', read)
      child.once('exit', (code) => reject(new Error(`the server ended with ${code}: ${this.#printed}`)))
    })
  }

  /** Ends it; how it ended, and all that it has printed. */
  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<{ code: number | null; signal: string | null; printed: string }> {
    const child = this.#child!
    if (child.exitCode === null && child.signalCode === null) {
      const closed = once(child, 'close')
      child.kill(signal)
      await closed
    }
    return { code: child.exitCode, signal: child.signalCode, printed: this.#printed }
  }

  async dispose(): Promise<void> {
    await this.end('SIGKILL')
    await rm(this.dataDir, { recursive: true, force: true })
  }
}
