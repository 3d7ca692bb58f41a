import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ownPort } from '../../packages/sse-server/test/support/ports'

/*
 * nginx, HAProxy and Caddy as `docs/deployment` configures them: the very files, with this test's ports and paths in them.
 */

export type ProxyName = 'nginx' | 'HAProxy' | 'Caddy'
type Substitutions = readonly (readonly [committed: string, here: string])[]

export interface ProxyOptions {
  /** Ports of the instances. */
  upstreams: readonly [number, number]
  /** For `60s`, how long a stream may be silent. */
  idle?: string
  /** For `30s`, how long streams are kept after a reload. */
  grace?: string
  /** Further changes. */
  substitutions?: Substitutions
}

interface Place extends ProxyOptions {
  folder: string
  certificate: string
  port: number
  tlsPort: number
  adminPort: number
}

interface Kind {
  /** In `docs/deployment`. */
  file: string
  binary: string
  /** The file's text becomes this one. */
  adapt(text: string, place: Place): string
  run(binary: string, config: string, place: Place): string[]
  reload(child: ChildProcess, binary: string, config: string, place: Place): void
}

const REQUIRED = process.env.ENTITYCAST_REQUIRE_SERVICES === '1'
const COMMITTED = fileURLToPath(new URL('../../docs/deployment', import.meta.url))
const PORTS = (place: Place): Substitutions => [
  ['127.0.0.1:3001', `127.0.0.1:${place.upstreams[0]}`],
  ['127.0.0.1:3002', `127.0.0.1:${place.upstreams[1]}`],
]

const kinds: Record<ProxyName, Kind> = {
  nginx: {
    file: 'nginx.conf',
    binary: 'nginx',
    adapt(text, place) {
      const { folder, certificate, port, tlsPort, grace = '30s', idle = '60s' } = place
      const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
        (one) => `${one}_temp_path ${folder}/${one};`,
      )
      const changed = substitute(text, [
        ...PORTS(place),
        ['worker_processes auto;', 'worker_processes 1;'],
        ['worker_connections 20000;', 'worker_connections 512;'],
        ['worker_shutdown_timeout 30s;', `worker_shutdown_timeout ${grace};`],
        ['http {', `http { access_log off; ${paths.join(' ')}`],
        ['listen 80;', `listen 127.0.0.1:${port};`],
        ['listen 443 ssl', `listen 127.0.0.1:${tlsPort} ssl`],
        ['/etc/ssl/certs/application.pem', certificate],
        ['/etc/ssl/private/application.key', certificate],
        ['proxy_read_timeout 60s;', `proxy_read_timeout ${idle};`],
      ])
      return `daemon off; pid ${folder}/nginx.pid; user root;\n${changed}`.replace(
        process.getuid?.() === 0 ? '' : ' user root;',
        '',
      )
    },
    run: (_, config, { folder }) => ['-p', folder, '-c', config, '-e', 'stderr'],
    reload: (child) => void child.kill('SIGHUP'),
  },
  HAProxy: {
    file: 'haproxy.cfg',
    binary: 'haproxy',
    adapt: (text, place) =>
      substitute(text, [
        ...PORTS(place),
        ['maxconn 20000', 'maxconn 512'],
        ['hard-stop-after 30s', `hard-stop-after ${place.grace ?? '30s'}`],
        ['bind :80', `bind 127.0.0.1:${place.port}`],
        ['bind :443', `bind 127.0.0.1:${place.tlsPort}`],
        ['/etc/haproxy/application.pem', place.certificate],
        ['timeout client 60s', `timeout client ${place.idle ?? '60s'}`],
        ['timeout server 60s', `timeout server ${place.idle ?? '60s'}`],
      ]),
    // One master, and workers that a reload replaces, as the system's service has it.
    run: (_, config) => ['-W', '-f', config],
    reload: (child) => void child.kill('SIGUSR2'),
  },
  Caddy: {
    file: 'Caddyfile',
    binary: 'caddy',
    adapt(text, place) {
      const { certificate, port, tlsPort, adminPort, grace = '30s', idle = '60s' } = place
      const changed = substitute(text, [
        ...PORTS(place),
        [
          'grace_period 30s',
          `grace_period ${grace}\n\tdefault_bind 127.0.0.1\n\tadmin 127.0.0.1:${adminPort}\n\tauto_https off\n\tskip_install_trust`,
        ],
        ['read_timeout 60s', `read_timeout ${idle}`],
        ['example.com {', `https://127.0.0.1:${tlsPort} {\n\ttls ${certificate} ${certificate}`],
      ])
      // The same site without TLS, for clients that know no certificate.
      const site = text.slice(text.indexOf('example.com {'))
      const plain = substitute(site, [
        ...PORTS(place),
        ['read_timeout 60s', `read_timeout ${idle}`],
        ['example.com {', `http://127.0.0.1:${port} {`],
      ])
      return `${changed}\n${plain}`
    },
    run: (_, config) => ['run', '--config', config, '--adapter', 'caddyfile'],
    reload(_, binary, config, { adminPort }) {
      const args = [
        'reload',
        '--force',
        '--config',
        config,
        '--adapter',
        'caddyfile',
        '--address',
        `127.0.0.1:${adminPort}`,
      ]
      const { status, stderr } = spawnSync(binary, args, { encoding: 'utf8' })
      if (status !== 0) throw new Error(stderr)
    },
  },
}

function find(binary: string): string | undefined {
  const flag = binary === 'caddy' ? 'version' : '-v'
  return [binary, `/usr/sbin/${binary}`].find((path) => spawnSync(path, [flag]).status === 0)
}

const binaries = new Map(Object.entries(kinds).map(([name, { binary }]) => [name, find(binary)]))
const HAS_OPENSSL = spawnSync('openssl', ['version']).status === 0

/** Those that tests can use. Where they must and cannot, they fail as they start. */
export const proxies = (Object.keys(kinds) as ProxyName[]).filter((name) => {
  if ((binaries.get(name) && HAS_OPENSSL) || REQUIRED) return true
  console.warn(
    `skipped: the tests behind ${name}, because there is no ${binaries.get(name) ? 'openssl' : kinds[name].binary} here`,
  )
  return false
})

/** Proxies that run: none outlives the tests, whatever becomes of these. */
const running = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

export class RunningProxy {
  private constructor(
    readonly name: ProxyName,
    readonly binary: string,
    readonly config: string,
    readonly place: Place,
    readonly child: ChildProcess,
  ) {}

  /** Resolves when it serves. */
  static async start(name: ProxyName, options: ProxyOptions): Promise<RunningProxy> {
    const kind = kinds[name]
    const binary = binaries.get(name)
    if (!binary || !HAS_OPENSSL)
      throw new Error(`ENTITYCAST_REQUIRE_SERVICES=1, and there is no ${binary ? 'openssl' : kind.binary}`)
    const folder = await mkdtemp(join(tmpdir(), 'entitycast-proxy-'))
    const [port, tlsPort, adminPort] = [await ownPort(), await ownPort(), await ownPort()]
    const certificate = join(folder, 'certificate.pem')
    const place: Place = { ...options, folder, certificate, port, tlsPort, adminPort } as Place
    makeCertificate(certificate)
    const config = join(folder, kind.file)
    const committed = await readFile(join(COMMITTED, kind.file), 'utf8')
    await writeFile(config, substitute(kind.adapt(committed, place), options.substitutions ?? []))
    // Caddy keeps things at home.
    const env = { ...process.env, HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder }
    const child = spawn(binary, kind.run(binary, config, place), { stdio: ['ignore', 'pipe', 'pipe'], env })
    running.add(child)
    child.once('exit', () => running.delete(child))
    let said = ''
    for (const output of [child.stdout, child.stderr]) {
      output?.setEncoding('utf8').on('data', (text) => {
        said = (said + text).slice(-4_000)
      })
    }
    const proxy = new RunningProxy(name, binary, config, place, child)
    for (const deadline = Date.now() + 30_000; ; ) {
      if (child.exitCode !== null) throw new Error(`${name} has ended: ${said}`)
      const answer = await fetch(`${proxy.url}/ready`).catch(() => undefined)
      await answer?.body?.cancel()
      if (answer?.status === 200) return proxy
      if (Date.now() > deadline) throw new Error(`${name} does not serve: ${answer?.status} ${said}`)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }

  get url(): string {
    return `http://127.0.0.1:${this.place.port}`
  }

  /** With a certificate that nobody knows. */
  get tlsUrl(): string {
    return `https://127.0.0.1:${this.place.tlsPort}`
  }

  /** As an operator does who has changed the configuration. */
  reload(): void {
    kinds[this.name].reload(this.child, this.binary, this.config, this.place)
  }

  async stop(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) {
      // Of nginx and HAProxy the master, and the workers go with it; Caddy is one process, which would wait for its streams.
      const signal = this.name === 'Caddy' ? 'SIGKILL' : 'SIGTERM'
      // Again and again: a master that is just reloading does not hear it.
      const again = setInterval(() => this.child.kill(signal), 250)
      const ended = once(this.child, 'exit')
      this.child.kill(signal)
      await ended
      clearInterval(again)
    }
    await rm(this.place.folder, { recursive: true, force: true })
  }
}

/** Each must be there: a configuration that has changed is not tested by the way. */
function substitute(text: string, substitutions: Substitutions): string {
  let changed = text
  for (const [committed, here] of substitutions) {
    if (!changed.includes(committed)) throw new Error(`the configuration has no ${JSON.stringify(committed)}`)
    changed = changed.replaceAll(committed, here)
  }
  return changed
}

/** A key and a certificate for 127.0.0.1 in one file. */
function makeCertificate(file: string): void {
  const kind = '-x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost'
  const args = [...kind.split(' '), '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', '-', '-out', '-']
  const { status, stdout, stderr } = spawnSync('openssl', ['req', ...args], { encoding: 'utf8' })
  if (status !== 0) throw new Error(stderr)
  spawnSync('tee', [file], { input: stdout, stdio: ['pipe', 'ignore', 'ignore'] })
}
