import { type ChildProcess, type SpawnOptions, spawn, spawnSync } from 'node:child_process'
import { existsSync, openSync, readdirSync, readFileSync } from 'node:fs'
import { chmod, chown, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll } from 'vitest'
import { ownPort } from './ports'

/*
 * A real PostgreSQL for tests, and what can be done to it.
 */

const VERSIONS = '/usr/lib/postgresql'
const FOLDER = (existsSync(VERSIONS) ? readdirSync(VERSIONS) : [])
  .sort((a, b) => Number(b) - Number(a))
  .map((version) => join(VERSIONS, version, 'bin'))
  .find((folder) => existsSync(join(folder, 'postgres')))
const POOLER = ['pgbouncer', '/usr/sbin/pgbouncer'].find((path) => spawnSync(path, ['--version']).status === 0)
const REQUIRED = process.env.ENTITYCAST_REQUIRE_SERVICES === '1'

/** Whether tests with PostgreSQL can run. Where they must and cannot, they fail at `PostgresServer.start`. */
export const HAS_POSTGRES = FOLDER !== undefined || REQUIRED
if (!HAS_POSTGRES) console.warn('skipped: the tests with PostgreSQL, because there is none in /usr/lib/postgresql')
/** The same for PgBouncer. */
export const HAS_PGBOUNCER = HAS_POSTGRES && (POOLER !== undefined || REQUIRED)
if (!HAS_PGBOUNCER) console.warn('skipped: the tests with PgBouncer, because there is none here')

const HAS_SETPRIV = spawnSync('setpriv', ['--version']).status === 0

/** The server and its tools refuse to run as root. */
const NOBODY = 65_534
const asNobody = process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {}

const SETTINGS = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  fsync: 'off',
  full_page_writes: 'off',
  autovacuum: 'off',
  shared_buffers: '16MB',
  max_connections: '100',
  max_wal_size: '256MB',
  jit: 'off',
}

/** Processes that run: none outlives the tests, whatever becomes of these. */
const running = new Set<ChildProcess>()
process.on('exit', () => {
  for (const { pid } of running) if (pid) signal(pid, 'SIGKILL')
})

/** A cluster that was made once, and is copied. */
let template: Promise<string> | undefined
// Of each file that has this; the process itself may be ended without an `exit`.
afterAll(async () => {
  if (template) await rm(await template, { recursive: true, force: true })
})

export class PostgresServer {
  #process: ChildProcess | undefined
  #isStopped = false

  private constructor(
    readonly port: number,
    readonly folder: string,
    readonly settings: Readonly<Record<string, string>>,
  ) {}

  /** A server on a free port, with a folder of its own. The role `postgres` needs no password, `guarded` has `s3cret:word`. */
  static async start(settings: Readonly<Record<string, string>> = {}): Promise<PostgresServer> {
    if (!FOLDER) throw new Error('ENTITYCAST_REQUIRE_SERVICES=1, and there is no PostgreSQL in /usr/lib/postgresql')
    template ??= makeTemplate()
    const folder = await ownFolder()
    spawnSync('cp', ['-a', `${await template}/.`, folder])
    const server = new PostgresServer(await ownPort(), folder, { ...SETTINGS, ...settings })
    await server.#spawn()
    return server
  }

  /** A standby of this server, which copies what is committed here a moment later. */
  async standby(): Promise<PostgresServer> {
    const folder = await ownFolder()
    const args = [
      '-h',
      '127.0.0.1',
      '-p',
      String(this.port),
      '-U',
      'postgres',
      '-D',
      folder,
      '-R',
      '-X',
      'stream',
      '-c',
      'fast',
    ]
    run('pg_basebackup', args)
    const server = new PostgresServer(await ownPort(), folder, { ...SETTINGS, ...this.settings })
    await server.#spawn()
    return server
  }

  /** A standby becomes a primary. */
  async promote(): Promise<void> {
    await this.ask('SELECT pg_promote(true, 30)')
  }

  /** It hangs. */
  async stop(): Promise<void> {
    if (this.#process?.pid) signal(this.#process.pid, 'SIGSTOP')
    this.#isStopped = true
  }

  async kill(): Promise<void> {
    const child = this.#process
    this.#process = undefined
    this.#isStopped = false
    if (!child?.pid || child.exitCode !== null || child.signalCode !== null) return
    const ended = new Promise((resolve) => child.once('exit', resolve))
    signal(child.pid, 'SIGKILL')
    await ended
  }

  /** It runs, whatever was done to it before. */
  async restart(): Promise<void> {
    if (this.#isStopped && this.#process?.pid) signal(this.#process.pid, 'SIGCONT')
    else if (!this.#process) await this.#spawn()
    this.#isStopped = false
    await this.#answers()
  }

  async end(): Promise<void> {
    await this.kill()
    await rm(this.folder, { recursive: true, force: true })
  }

  /** What an application has before it has us. */
  pool(config: pg.PoolConfig = {}): pg.Pool {
    const pool = new pg.Pool({ host: '127.0.0.1', port: this.port, user: 'postgres', database: 'postgres', ...config })
    pool.on('error', () => {})
    return pool
  }

  /** Runs SQL on a connection of its own; the rows of the last statement. */
  async ask(text: string, values?: unknown[]): Promise<pg.QueryResultRow[]> {
    const client = new pg.Client({
      host: '127.0.0.1',
      port: this.port,
      user: 'postgres',
      database: 'postgres',
      connectionTimeoutMillis: 10_000,
    })
    client.on('error', () => {})
    try {
      await client.connect()
      const result = await client.query(text, values)
      return (Array.isArray(result) ? result.at(-1) : result).rows
    } finally {
      await client.end().catch(() => {})
    }
  }

  async #spawn(): Promise<void> {
    const options = Object.entries({ ...this.settings, port: String(this.port) }).flatMap(([name, value]) => [
      '-c',
      `${name}=${value}`,
    ])
    // A killed server's children may hold its memory for a moment longer.
    for (let attempt = 0; ; attempt++) {
      const errors = openSync(join(this.folder, 'server.log'), 'a')
      const child = mortal(join(FOLDER as string, 'postgres'), ['-D', this.folder, ...options], {
        stdio: ['ignore', errors, errors],
        ...asNobody,
      })
      running.add(child)
      child.once('exit', () => running.delete(child))
      this.#process = child
      try {
        await this.#answers()
        return
      } catch (error) {
        if (child.exitCode === null || attempt >= 20) throw error
        await pause(50)
      }
    }
  }

  async #answers(): Promise<void> {
    // How soon it answers is the machine's affair alone; one that has ended is seen at once.
    const deadline = Date.now() + 90_000
    for (;;) {
      if (this.#process?.exitCode != null) {
        const log = await readFile(join(this.folder, 'server.log'), 'utf8').catch(() => '')
        throw new Error(`postgres ended with ${this.#process.exitCode}: ${log.slice(-1_000)}`)
      }
      try {
        await this.ask('SELECT 1')
        return
      } catch (error) {
        if (Date.now() > deadline) throw error
      }
      await pause(20)
    }
  }
}

/** A PgBouncer before a server. */
export class Pooler {
  private constructor(
    readonly port: number,
    readonly folder: string,
    readonly child: ChildProcess,
  ) {}

  static async start(server: PostgresServer, mode: 'session' | 'transaction'): Promise<Pooler> {
    if (!POOLER) throw new Error('ENTITYCAST_REQUIRE_SERVICES=1, and there is no pgbouncer')
    const folder = await ownFolder()
    const port = await ownPort()
    const config = join(folder, 'pgbouncer.ini')
    await writeFile(join(folder, 'users.txt'), '"postgres" ""\n')
    await writeFile(
      config,
      `[databases]
postgres = host=127.0.0.1 port=${server.port} dbname=postgres user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
auth_file = ${join(folder, 'users.txt')}
pool_mode = ${mode}
default_pool_size = 10
logfile = ${join(folder, 'pgbouncer.log')}
`,
    )
    await chmod(folder, 0o755)
    const child = mortal(POOLER, [config], { stdio: 'ignore', ...asNobody })
    running.add(child)
    child.once('exit', () => running.delete(child))
    const pooler = new Pooler(port, folder, child)
    const deadline = Date.now() + 10_000
    for (;;) {
      const client = new pg.Client({ host: '127.0.0.1', port, user: 'postgres', database: 'postgres' })
      client.on('error', () => {})
      try {
        await client.connect()
        await client.query('SELECT 1')
        return pooler
      } catch (error) {
        if (Date.now() > deadline) throw error
        await pause(20)
      } finally {
        await client.end().catch(() => {})
      }
    }
  }

  async end(): Promise<void> {
    const ended = new Promise((resolve) => this.child.once('exit', resolve))
    this.child.kill('SIGKILL')
    await ended
    await rm(this.folder, { recursive: true, force: true })
  }
}

/** A process that ends with this one, also where this one is killed. */
function mortal(path: string, args: readonly string[], options: SpawnOptions): ChildProcess {
  return HAS_SETPRIV ? spawn('setpriv', ['--pdeathsig', 'KILL', path, ...args], options) : spawn(path, args, options)
}

async function makeTemplate(): Promise<string> {
  const folder = await ownFolder()
  run('initdb', ['-D', folder, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'])
  const file = join(folder, 'pg_hba.conf')
  const trusting = await readFile(file, 'utf8')
  await writeFile(file, `host all guarded 127.0.0.1/32 scram-sha-256\n${trusting}`)
  return folder
}

function run(tool: string, args: readonly string[]): void {
  const { status, stderr } = spawnSync(join(FOLDER as string, tool), args, { encoding: 'utf8', ...asNobody })
  if (status !== 0) throw new Error(`${tool} failed: ${stderr}`)
}

async function ownFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'entitycast-postgres-'))
  if ('uid' in asNobody) await chown(folder, NOBODY, NOBODY)
  return folder
}

/** To the server and to each of its children, which have process groups of their own. */
function signal(pid: number, name: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): void {
  const send = (to: number, what: NodeJS.Signals = name) => {
    try {
      process.kill(to, what)
    } catch {
      // It has ended meanwhile.
    }
  }
  // Who makes children stands still until they are known, and goes on after them.
  if (name !== 'SIGCONT') send(pid, 'SIGSTOP')
  for (const one of [...childrenOf(pid), pid]) send(one)
}

function childrenOf(pid: number): number[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return []
    try {
      // After the name, which may hold anything: state, then parent.
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8')
      return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === pid ? [Number(name)] : []
    } catch {
      return []
    }
  })
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms)
  })
}
