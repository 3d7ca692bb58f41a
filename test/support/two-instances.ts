import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { vi } from 'vitest'
import { ownPort } from '../../packages/sse-server/test/support/ports'

const CONFIG = fileURLToPath(new URL('../../examples/nginx.conf', import.meta.url))

function found(command: string, flag: string): string | undefined {
  return [command, `/usr/sbin/${command}`].find((path) => spawnSync(path, [flag]).status === 0)
}

const REDIS = found('redis-server', '--version')
const NGINX = found('nginx', '-v')

/** What two instances need on this machine, and it does not have. */
export const MISSING = [REDIS ? '' : 'redis-server', NGINX ? '' : 'nginx'].filter(Boolean)

/**
 * An example as `examples/compose.yaml` runs it: instances `a` and `b` of the built server with one database and one Redis, and nginx
 * with `examples/nginx.conf` in front.
 */
export class TwoInstances {
  readonly #processes = new Map<string, ChildProcess>()

  private constructor(
    /** Where nginx listens. */
    readonly url: string,
    readonly folder: string,
    readonly main: string,
    readonly env: Record<string, string>,
    readonly ports: { a: number; b: number },
  ) {}

  static async start(main: string, env: Record<string, string>): Promise<TwoInstances> {
    if (!REDIS || !NGINX) throw new Error(`missing: ${MISSING.join(', ')}`)
    const folder = await mkdtemp(join(tmpdir(), 'entitycast-instances-'))
    const [redis, proxy, a, b] = [await ownPort(), await ownPort(), await ownPort(), await ownPort()]
    const environment = { ...env, REDIS_URL: `redis://127.0.0.1:${redis}`, DATA_DIR: join(folder, 'data') }
    const instances = new TwoInstances(`http://127.0.0.1:${proxy}`, folder, main, environment, { a, b })
    try {
      instances.#run('redis', REDIS, ['--port', `${redis}`, '--bind', '127.0.0.1', '--save', '', '--dir', folder])
      instances.#run('nginx', NGINX, await nginxArguments(folder, { proxy, a, b }))
      await Promise.all([instances.launch('a'), instances.launch('b')])
    } catch (error) {
      await instances.dispose()
      throw error
    }
    return instances
  }

  /** Starts an instance; resolves when it serves. */
  async launch(name: 'a' | 'b'): Promise<void> {
    const env = { PATH: process.env.PATH, ...this.env, PORT: String(this.ports[name]) }
    const child = this.#run(name, process.execPath, [this.main], env)
    let printed = ''
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (text) => (printed += text))
    await vi.waitFor(
      async () => {
        if (child.exitCode !== null) throw new Error(`instance ${name} ended with ${child.exitCode}: ${printed}`)
        const response = await fetch(`http://127.0.0.1:${this.ports[name]}/`)
        await response.body?.cancel()
        if (!response.ok) throw new Error(`instance ${name} answers ${response.status}`)
      },
      { timeout: 60_000, interval: 50 },
    )
  }

  /** Ends an instance; resolves when it is gone. */
  async end(name: 'a' | 'b', signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    await this.#end(name, signal)
  }

  async dispose(): Promise<void> {
    await Promise.all([...this.#processes.keys()].map((name) => this.#end(name, 'SIGKILL')))
    await rm(this.folder, { recursive: true, force: true })
  }

  #run(name: string, command: string, args: string[], env: NodeJS.ProcessEnv = process.env): ChildProcess {
    const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
    for (const stream of [child.stdout, child.stderr]) stream?.resume()
    this.#processes.set(name, child)
    return child
  }

  async #end(name: string, signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const child = this.#processes.get(name)
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill(signal)
    await exited
  }
}

/** The committed configuration, with this test's addresses in it. */
async function nginxArguments(folder: string, ports: { proxy: number; a: number; b: number }): Promise<string[]> {
  const committed = await readFile(CONFIG, 'utf8')
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${folder}/${name};`)
    .join(' ')
  const text = committed
    .replace('listen 8080', `listen 127.0.0.1:${ports.proxy}`)
    .replace('server a:4310', `server 127.0.0.1:${ports.a}`)
    .replace('server b:4310', `server 127.0.0.1:${ports.b}`)
    .replace('http {', `http { access_log off; ${temporary}`)
  const config = join(folder, 'nginx.conf')
  await writeFile(config, `daemon off; master_process off; pid ${folder}/nginx.pid;\n${text}`)
  return ['-p', folder, '-c', config, '-e', 'stderr']
}
