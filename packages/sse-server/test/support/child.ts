import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url))

/** A program of the tests in a process of its own, bundled from the sources: what is measured there is nobody else's. */
export class Child {
  #answers: ((answer: unknown) => void)[] = []
  #failure: Error | undefined
  #exited = false

  private constructor(
    readonly process: ChildProcess,
    readonly folder: string,
  ) {
    process.on('message', (answer) => this.#answers.shift()?.(answer))
    process.on('exit', (code, signal) => {
      this.#exited = true
      this.#failure ??= new Error(`the process ended: ${signal ?? code}`)
      for (const answer of this.#answers.splice(0)) answer(undefined)
    })
  }

  /** Starts `support/<program>.ts`, which answers each message with one. `command`: what to start it by, with its arguments. */
  static async start(program: string, command: readonly string[] = []): Promise<Child> {
    const folder = await mkdtemp(join(tmpdir(), 'entitycast-'))
    const outfile = join(folder, `${program}.mjs`)
    await build({
      entryPoints: [at(`${program}.ts`)],
      outfile,
      bundle: true,
      platform: 'node',
      format: 'esm',
      target: 'node20',
      logLevel: 'error',
      // Libraries in CommonJS ask for Node's own modules in their way.
      banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url)" },
      alias: {
        '@entitycast/sse-protocol': at('../../../sse-protocol/src/index.ts'),
        '@entitycast/sse-server/node': at('../../src/mounts/node.ts'),
        '@entitycast/sse-server/redis': at('../../src/adapters/redis.ts'),
        '@entitycast/sse-server': at('../../src/index.ts'),
      },
    })
    // As little as there is for what has just been made: else that takes what it likes, some ten megabytes later ones of Node, and keeps it.
    const flags = ['--expose-gc', '--max-semi-space-size=1']
    const [execPath = '', ...execArgv] = [...command, process.execPath, ...flags]
    return new Child(fork(outfile, { execPath, execArgv }), folder)
  }

  /** Sends a message and resolves with its answer; answers come in order. */
  async ask<Answer>(message: object): Promise<Answer> {
    if (this.#failure) throw this.#failure
    const answered = new Promise<unknown>((resolve) => this.#answers.push(resolve))
    this.process.send(message)
    const answer = (await answered) as { error?: string } | undefined
    if (this.#failure) throw this.#failure
    if (answer?.error !== undefined) throw new Error(answer.error)
    return answer as Answer
  }

  async stop(): Promise<void> {
    if (!this.#exited) {
      const exit = once(this.process, 'exit')
      this.process.kill('SIGKILL')
      await exit
    }
    await rm(this.folder, { recursive: true, force: true })
  }
}
