import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { createClient } from 'redis'
import { ownPort } from './ports'

/*
 * A real Redis for tests, and what can be done to it.
 */

const BINARY = ['redis-server', '/usr/bin/redis-server'].find((path) => spawnSync(path, ['--version']).status === 0)
const REQUIRED = process.env.ENTITYCAST_REQUIRE_SERVICES === '1'

/** Whether tests with Redis can run. Where they must and cannot, they fail at `RedisServer.start`. */
export const HAS_REDIS = BINARY !== undefined || REQUIRED
if (!HAS_REDIS) console.warn('skipped: the tests with Redis, because there is no redis-server here')

/** Servers that run: none outlives the tests, whatever becomes of these. */
const running = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

export class RedisServer {
  #process: ChildProcess | undefined
  #stopped = false

  private constructor(
    readonly port: number,
    readonly folder: string,
    readonly settings: readonly string[],
    readonly config?: string,
  ) {}

  /** A server on a free port, with a folder of its own. Keeps nothing on disk unless `settings` say so. */
  static async start(...settings: string[]): Promise<RedisServer> {
    if (!BINARY) throw new Error('ENTITYCAST_REQUIRE_SERVICES=1, and there is no redis-server')
    const server = new RedisServer(
      await ownPort(),
      await mkdtemp(join(tmpdir(), 'entitycast-redis-')),
      settings.length > 0 ? settings : ['--save', ''],
    )
    await server.#spawn()
    return server
  }

  /** A sentinel that watches a master by the name `events`, alone. */
  static async sentinel(masterPort: number): Promise<RedisServer> {
    if (!BINARY) throw new Error('ENTITYCAST_REQUIRE_SERVICES=1, and there is no redis-server')
    const folder = await mkdtemp(join(tmpdir(), 'entitycast-sentinel-'))
    // It writes down what it learns, so it wants a file.
    const config = join(folder, 'sentinel.conf')
    await writeFile(
      config,
      // Nobody is thought to be down because the machine was busy: a failover is what a test asks for.
      `sentinel monitor events 127.0.0.1 ${masterPort} 1\nsentinel down-after-milliseconds events 60000\n`,
    )
    const server = new RedisServer(await ownPort(), folder, ['--sentinel'], config)
    await server.#spawn()
    return server
  }

  /** It hangs. */
  async stop(): Promise<void> {
    this.#process?.kill('SIGSTOP')
    this.#stopped = true
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
    else if (!this.#process) await this.#spawn()
    this.#stopped = false
    await this.#answers()
  }

  async wipe(): Promise<void> {
    await this.ask('FLUSHALL')
  }

  async end(): Promise<void> {
    await this.kill()
    await rm(this.folder, { recursive: true, force: true })
  }

  /** The answer to a command without spaces in its words, as Redis writes it. */
  ask(...words: string[]): Promise<string> {
    return new Promise((resolve, reject) => {
      const socket = connect(this.port, '127.0.0.1')
      socket.setEncoding('utf8').setTimeout(10_000, () => socket.destroy(new Error('no answer')))
      socket.once('data', (text: string) => {
        socket.destroy()
        if (text.startsWith('-')) reject(new Error(text))
        else resolve(text)
      })
      socket.once('error', reject)
      socket.write(`${words.join(' ')}\r\n`)
    })
  }

  async #spawn(): Promise<void> {
    const flags = ['--port', String(this.port), '--bind', '127.0.0.1', '--dir', this.folder, '--loglevel', 'warning']
    const args = [...(this.config ? [this.config] : []), ...flags, ...this.settings]
    const child = spawn(BINARY as string, args, { stdio: 'ignore' })
    running.add(child)
    child.once('exit', () => running.delete(child))
    this.#process = child
    await this.#answers()
  }

  async #answers(): Promise<void> {
    const deadline = Date.now() + 20_000
    for (;;) {
      if (this.#process?.exitCode != null) throw new Error(`redis-server ended with ${this.#process.exitCode}`)
      // While it loads its data it answers -LOADING.
      const answer = await this.ask('PING').catch((error: Error) => error.message)
      if (answer === '+PONG\r\n' || answer.startsWith('-NOAUTH')) return
      if (Date.now() > deadline) throw new Error(`redis-server does not answer: ${answer}`)
      await new Promise<void>((resolve) => {
        setTimeout(resolve, 10)
      })
    }
  }
}

/** What an application has before it has us, from either library. It is never connected: the adapter makes its own connections. */
export const clients = {
  'node-redis': (port: number) => createClient({ socket: { host: '127.0.0.1', port } }),
  ioredis: (port: number) => new Redis({ host: '127.0.0.1', port, lazyConnect: true }),
} as const

export type ClientName = keyof typeof clients

/** A client whose duplicates have what they send taken over by this: it sends whatever it likes, in one go. */
export function withCommands<Client extends object>(
  client: Client,
  take: (args: string[], send: (args: string[]) => Promise<unknown>) => Promise<unknown>,
): Client {
  return new Proxy(client, {
    get(target, name) {
      const value = Reflect.get(target, name)
      if (typeof value !== 'function') return value
      if (name !== 'duplicate') return value.bind(target)
      return (...overrides: unknown[]) => {
        const own = value.apply(target, overrides)
        const send = own.sendCommand
        const call = own.call
        if (call) own.call = (...args: string[]) => take(args, (all) => call.apply(own, all))
        else own.sendCommand = (args: string[]) => take(args, (all) => send.call(own, all))
        return own
      }
    },
  })
}

/**
 * A client whose duplicates publish somewhere else while messages are held: what scripts publish on a channel comes out on
 * `held:<channel>`, for whoever lets it through.
 */
export function withHeldMessages<Client extends object>(client: Client, areHeld: (channel: string) => boolean): Client {
  const redirect = (args: string[]): string[] => {
    const at = args.indexOf('PUBLISH')
    return at < 0 || !areHeld(args[at + 1] as string) ? args : args.with(at + 1, `held:${args[at + 1]}`)
  }
  return withCommands(client, (args, send) => send(redirect(args)))
}
