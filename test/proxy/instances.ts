import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import type { InstanceAnswer, InstanceMessage } from './instance'

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url))

/** Instances of one application that share a Redis, bundled from the sources. */
export class Instances {
  readonly #children: (ChildProcess | undefined)[] = []
  #asked = 0

  private constructor(
    readonly folder: string,
    readonly program: string,
    readonly ports: readonly [number, number],
    readonly redisPort: number,
    readonly perIp: number,
  ) {}

  static async start(ports: readonly [number, number], redisPort: number, perIp: number): Promise<Instances> {
    const folder = await mkdtemp(join(tmpdir(), 'entitycast-instances-'))
    const program = join(folder, 'instance.cjs')
    await build({
      entryPoints: [at('instance.ts')],
      outfile: program,
      bundle: true,
      platform: 'node',
      format: 'cjs',
      target: 'node20',
      logLevel: 'error',
      alias: {
        '@entitycast/sse-protocol': at('../../packages/sse-protocol/src/index.ts'),
        '@entitycast/sse-server': at('../../packages/sse-server/src/index.ts'),
        '@entitycast/sse-server/node': at('../../packages/sse-server/src/mounts/node.ts'),
        '@entitycast/sse-server/redis': at('../../packages/sse-server/src/adapters/redis.ts'),
      },
    })
    const instances = new Instances(folder, program, ports, redisPort, perIp)
    await instances.launch()
    return instances
  }

  /** Starts those that do not run; resolves when they serve. */
  async launch(): Promise<void> {
    await Promise.all(
      this.ports.map(async (port, i) => {
        if (this.#children[i]) return
        const child = fork(this.program, [port, this.redisPort, this.perIp].map(String))
        this.#children[i] = child
        const ended = once(child, 'exit').then(([code]) => Promise.reject(new Error(`the instance ended: ${code}`)))
        await Promise.race([once(child, 'message'), ended])
        ended.catch(() => {})
      }),
    )
  }

  /** Tells one of them something; resolves with its answer. */
  ask(i: number, message: InstanceMessage): Promise<InstanceAnswer> {
    const child = this.#children[i]
    if (!child) throw new Error(`instance ${i} does not run`)
    const id = ++this.#asked
    return new Promise((resolve, reject) => {
      const listen = (answer: InstanceAnswer) => {
        if (answer.id !== id) return
        child.off('message', listen)
        resolve(answer)
      }
      child.on('message', listen)
      child.once('exit', () => reject(new Error(`instance ${i} has ended`)))
      child.send({ ...message, id })
    })
  }

  /** Open streams of each. */
  async streams(): Promise<number[]> {
    const all = await Promise.all(this.ports.map((_, i) => this.#children[i] && this.ask(i, { do: 'stats' })))
    return all.map((answer) => answer?.stats?.connections ?? 0)
  }

  async kill(i: number): Promise<void> {
    const child = this.#children[i]
    this.#children[i] = undefined
    if (!child || child.exitCode !== null) return
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
  }

  async dispose(): Promise<void> {
    await Promise.all(this.ports.map((_, i) => this.kill(i)))
    await rm(this.folder, { recursive: true, force: true })
  }
}
