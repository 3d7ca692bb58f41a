import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, type NatsConnection } from '@nats-io/transport-node'
import { ownPort } from './ports'

/*
 * A real nats-server with JetStream for tests, and what can be done to it.
 */

const BINARY = ['nats-server', '/usr/sbin/nats-server', '/usr/bin/nats-server'].find(
  (path) => spawnSync(path, ['--version']).status === 0,
)
const REQUIRED = process.env.ENTITYCAST_REQUIRE_SERVICES === '1'

/** Whether tests with NATS can run. Where they must and cannot, they fail at `NatsServer.start`. */
export const HAS_NATS = BINARY !== undefined || REQUIRED
if (!HAS_NATS) console.warn('skipped: the tests with NATS, because there is no nats-server here')

/** Servers that run: none outlives the tests, whatever becomes of these. */
const running = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

export class NatsServer {
  #process: ChildProcess | undefined
  #stopped = false

  private constructor(
    readonly port: number,
    readonly folder: string,
    /** More lines of its configuration. */
    readonly settings: string,
    /** Who may look whether it answers. */
    readonly login: { user?: string; pass?: string },
    /** More of what it has for JetStream. */
    public jetStream: string,
  ) {}

  /** A server on a free port, with a folder of its own. */
  static async start(
    settings = '',
    login: { user?: string; pass?: string } = {},
    port?: number,
    jetStream = '',
  ): Promise<NatsServer> {
    if (!BINARY) throw new Error('ENTITYCAST_REQUIRE_SERVICES=1, and there is no nats-server')
    const folder = await mkdtemp(join(tmpdir(), 'entitycast-nats-'))
    const server = new NatsServer(port ?? (await ownPort()), folder, settings, login, jetStream)
    await server.#spawn()
    return server
  }

  /** Three servers that know each other. */
  static async cluster(): Promise<NatsServer[]> {
    const ports = await Promise.all([1, 2, 3, 4, 5, 6].map(ownPort))
    const routes = ports.slice(3).map((port) => `nats://127.0.0.1:${port}`)
    return Promise.all(
      routes.map((route, i) =>
        NatsServer.start(
          `server_name: n${i}\ncluster { name: c, listen: "${route.slice('nats://'.length)}", routes: [${routes.map((one) => `"${one}"`).join(', ')}] }`,
          {},
          ports[i],
        ),
      ),
    )
  }

  get url(): string {
    return `127.0.0.1:${this.port}`
  }

  /** It hangs: every thread of it, before this resolves. */
  async stop(): Promise<void> {
    this.#process?.kill('SIGSTOP')
    this.#stopped = true
    const { pid } = this.#process ?? {}
    while (
      pid &&
      !spawnSync('ps', ['-L', '-o', 'state=', '-p', String(pid)], { encoding: 'utf8' }).stdout.match(/^[Tt\s]*$/)
    ) {
      await new Promise<void>((resolve) => {
        setTimeout(resolve, 5)
      })
    }
  }

  async kill(): Promise<void> {
    const child = this.#process
    this.#process = undefined
    this.#stopped = false
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const ended = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGKILL')
    await ended
  }

  /** It runs, whatever was done to it before. */
  async restart(): Promise<void> {
    if (this.#stopped) this.#process?.kill('SIGCONT')
    // One that has ended by itself was reported when somebody waited for it; the tests after that begin with a sound one.
    else if (!this.#process || this.#process.exitCode !== null) await this.#spawn()
    this.#stopped = false
    await this.#answers()
  }

  /** Killed, and back with an empty folder. */
  async renew(): Promise<void> {
    await this.kill()
    await rm(join(this.folder, 'js'), { recursive: true, force: true })
    await this.restart()
  }

  /** Remembers what is on the disk. It is killed and started for that. */
  async save(): Promise<void> {
    await this.kill()
    await cp(join(this.folder, 'js'), join(this.folder, 'saved'), { recursive: true })
    await this.restart()
  }

  /** Killed, and back with what was remembered: as from a backup, or after the power was lost. */
  async rewind(): Promise<void> {
    await this.kill()
    await rm(join(this.folder, 'js'), { recursive: true, force: true })
    await cp(join(this.folder, 'saved'), join(this.folder, 'js'), { recursive: true })
    await this.restart()
  }

  async end(): Promise<void> {
    await this.kill()
    await rm(this.folder, { recursive: true, force: true })
  }

  /** A connection of a test's own. */
  connect(login = this.login): Promise<NatsConnection> {
    return connect({ servers: this.url, ...login, timeout: 10_000, reconnect: false })
  }

  /** The answer of the JetStream API. */
  async ask<Answer = Record<string, unknown>>(what: string, question?: object): Promise<Answer> {
    const connection = await this.connect()
    try {
      const payload = question ? JSON.stringify(question) : ''
      return (await connection.request(`$JS.API.${what}`, payload, { timeout: 20_000 })).json()
    } finally {
      await connection.close()
    }
  }

  async #spawn(): Promise<void> {
    const config = join(this.folder, 'nats.conf')
    await writeFile(
      config,
      `listen: "127.0.0.1:${this.port}"\njetstream { store_dir: "${join(this.folder, 'js')}"\n${this.jetStream} }\n${this.settings}\n`,
    )
    const log = openSync(join(this.folder, 'server.log'), 'a')
    const child = spawn(BINARY as string, ['-c', config], { stdio: ['ignore', log, log] })
    closeSync(log)
    running.add(child)
    child.once('exit', () => running.delete(child))
    this.#process = child
    await this.#answers()
  }

  async #answers(): Promise<void> {
    const deadline = Date.now() + 20_000
    for (;;) {
      if (this.#process?.exitCode != null) {
        const log = await readFile(join(this.folder, 'server.log'), 'utf8')
        throw new Error(`nats-server ended with ${this.#process.exitCode}: ${log.slice(-3_000)}`)
      }
      try {
        const connection = await this.connect()
        await connection.close()
        return
      } catch (error) {
        if (Date.now() > deadline) throw new Error('nats-server does not answer', { cause: error })
      }
      await new Promise<void>((resolve) => {
        setTimeout(resolve, 10)
      })
    }
  }
}
