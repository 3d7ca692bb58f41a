import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { chownSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { adopt, ended } from './children'

/*
 * Real brokers for the bench: each on a free port of 127.0.0.1, with a folder of its own that goes with it.
 */

export interface Broker {
  readonly port: number
  /** What it has used so far, with its own children, in microseconds. */
  cpuMicros(): number
  stop(): Promise<void>
}

/** A broker that could be started, or why it cannot. */
export interface BrokerKind {
  readonly label: string
  /** As it was started: what its answers promise. */
  readonly settings: string
  readonly missing?: string
  start(): Promise<Broker>
}

/** PostgreSQL refuses to run as root. */
const NOBODY = 65_534
const asNobody = process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {}

const versions = '/usr/lib/postgresql'
const POSTGRES = (existsSync(versions) ? readdirSync(versions) : [])
  .sort((a, b) => Number(b) - Number(a))
  .map((version) => path.join(versions, version, 'bin'))
  .find((folder) => existsSync(path.join(folder, 'postgres')))
const NATS = ['nats-server', '/usr/sbin/nats-server'].find(runs)

export const redis: BrokerKind = {
  label: `Redis ${versionOf('redis-server')}`,
  settings: 'no disk',
  ...(!runs('redis-server') && { missing: 'there is no redis-server here' }),
  async start() {
    const port = await freePort()
    const folder = makeFolder('redis')
    const args = ['--port', port, '--bind', '127.0.0.1', '--dir', folder, '--save', '', '--loglevel', 'warning']
    return running(spawn('redis-server', args.map(String), { stdio: 'ignore' }), port, folder)
  },
}

export const postgres: BrokerKind = {
  label: `PostgreSQL ${POSTGRES ? versionOf(path.join(POSTGRES, 'postgres')) : ''}`,
  settings: 'as it comes: each commit is on disk before it is answered',
  ...(!POSTGRES && { missing: 'there is no PostgreSQL in /usr/lib/postgresql' }),
  async start() {
    const bin = POSTGRES as string
    const port = await freePort()
    const folder = makeFolder('postgres')
    if (asNobody.uid) chownSync(folder, NOBODY, NOBODY)
    const initdb = ['-D', folder, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync']
    execFileSync(path.join(bin, 'initdb'), initdb, { stdio: 'ignore', ...asNobody })
    const settings = [`port=${port}`, 'listen_addresses=127.0.0.1', 'unix_socket_directories=']
    const args = ['-D', folder, ...settings.flatMap((setting) => ['-c', setting])]
    // SIGINT ends it and its children at once, and cleanly.
    return running(spawn(path.join(bin, 'postgres'), args, { stdio: 'ignore', ...asNobody }), port, folder, 'SIGINT')
  },
}

export const nats: BrokerKind = {
  label: `NATS ${NATS ? versionOf(NATS) : ''}`,
  settings: 'JetStream in files, as it comes: on disk within two minutes',
  ...(!NATS && { missing: 'there is no nats-server here' }),
  async start() {
    const port = await freePort()
    const folder = makeFolder('nats')
    const args = ['--addr', '127.0.0.1', '--port', port, '--jetstream', '--store_dir', folder]
    return running(spawn(NATS as string, args.map(String), { stdio: 'ignore' }), port, folder)
  },
}

async function running(
  child: ChildProcess,
  port: number,
  folder: string,
  signal: NodeJS.Signals = 'SIGTERM',
): Promise<Broker> {
  adopt(child)
  await answering(child, port)
  const pid = child.pid as number
  return {
    port,
    cpuMicros: () => [pid, ...childrenOf(pid)].reduce((sum, one) => sum + cpuMicrosOf(one), 0),
    async stop() {
      child.kill(signal)
      await ended(child)
      rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
    },
  }
}

/** User and kernel, in microseconds; of one that has ended, nothing. */
export function cpuMicrosOf(pid: number): number {
  const fields = statOf(pid)
  return fields ? (Number(fields[11]) + Number(fields[12])) * 10_000 : 0
}

function childrenOf(pid: number): number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  return pids.map(Number).filter((one) => Number(statOf(one)?.[1]) === pid)
}

/** The fields after the name, which may hold anything. */
function statOf(pid: number): string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  } catch {
    return undefined
  }
}

function makeFolder(name: string): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), `bench-${name}-`))
  process.on('exit', () => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }))
  return folder
}

function runs(binary: string): boolean {
  return spawnSync(binary, ['--version']).status === 0
}

function versionOf(binary: string): string {
  return /\d+\.\d+(\.\d+)?/.exec(spawnSync(binary, ['--version'], { encoding: 'utf8' }).stdout ?? '')?.[0] ?? ''
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().on('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })
}

/** Resolves when it listens; who speaks with it waits for the rest. */
async function answering(child: ChildProcess, port: number): Promise<void> {
  for (const end = Date.now() + 15_000; ; ) {
    const open = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => {
        socket.destroy()
        resolve(true)
      })
      socket.on('error', () => resolve(false))
    })
    if (open) return
    if (child.exitCode !== null || Date.now() > end) throw new Error(`the broker does not answer on port ${port}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
