import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const MAIN = fileURLToPath(new URL('../../dist/server/main.js', import.meta.url))

/** The built server as a process of its own, so that it can be killed like one. */
export class ServerProcess {
  private constructor(
    readonly port: number,
    readonly url: string,
    readonly child: ChildProcess,
  ) {}

  /** Resolves when the server has printed its address. */
  static async start(dataDir: string, env: Record<string, string>, port = 0): Promise<ServerProcess> {
    if (!existsSync(MAIN)) {
      throw new Error('the example is not built: npx turbo run build --filter=@entitycast-example/nest-documents')
    }
    const child = spawn(process.execPath, [MAIN], {
      env: { ...process.env, ...env, DATA_DIR: dataDir, PORT: String(port) },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let printed = ''
    const address = await new Promise<RegExpExecArray>((resolve, reject) => {
      const read = (text: Buffer) => {
        printed += text.toString()
        const match = /http:\/\/localhost:(\d+)\s/.exec(printed)
        if (match) resolve(match)
      }
      child.stdout.on('data', read)
      child.stderr.on('data', read)
      child.once('exit', (code) => reject(new Error(`the server ended with ${code}:\n${printed}`)))
    })
    return new ServerProcess(Number(address[1]), `http://127.0.0.1:${address[1]}`, child)
  }

  /** Sends a signal and resolves when the process is gone. */
  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return
    const exited = once(this.child, 'exit')
    this.child.kill(signal)
    await exited
  }
}
