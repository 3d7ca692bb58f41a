import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { createServer } from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { benchEvent, EVENT_NAME, FRAME_BYTES, frameOf, idOf, payloadOf } from '../contenders/event'
import { adopt, ended } from './children'
import { BUILT } from './load'
import type { RunningServer, Usage } from './server'

/*
 * Servers that are not Node: the C program, nginx with nchan, Pushpin. Their processor time is read from /proc; those that are published
 * to over HTTP are published to from here, on connections that are kept.
 */

/** The limit: `c/fanout.c`. */
export async function startC(): Promise<RunningServer> {
  const child = adopt(spawn(path.join(BUILT, 'fanout')))
  child.stdin.on('error', () => {})
  child.stderr.pipe(process.stderr)
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
  const next = async () => String((await lines.next()).value)
  const port = Number((await next()).split(' ')[1])
  let allowed = 0
  const allow = (turns: number, events: number) => {
    allowed = turns
    child.stdin.write(`allow ${turns} ${events} ${FRAME_BYTES}\n`)
  }
  return {
    port,
    allow,
    async pace(everyMs, count) {
      for (let i = 0; i < count; i++) {
        allow(allowed + 1, 1)
        await new Promise((resolve) => setTimeout(resolve, everyMs))
      }
      // Its numbers are its turns as long as each has one event.
      return allowed
    },
    async usage() {
      child.stdin.write('cpu\n')
      const [, user, system] = (await next()).split(' ')
      return { userMicros: Number(user), systemMicros: Number(system), rssBytes: rssOf([child.pid as number]) }
    },
    async stop() {
      child.stdin.end()
      await ended(child)
    },
  }
}

const NCHAN = '/usr/lib/nginx/modules/ngx_nchan_module.so'
const NGINX = '/usr/sbin/nginx'
const PUSHPIN = '/usr/bin/pushpin'
const PUSHPIN_INTERNAL = '/usr/lib/pushpin/internal.conf'
const ZURL = '/usr/bin/zurl'
const ZURL_RUN = '/var/run/zurl'

export const nchanInstalled = () => existsSync(NCHAN) && existsSync(NGINX)
export const pushpinInstalled = () => existsSync(PUSHPIN) && existsSync(ZURL)

/** nginx with nchan, one worker; `/stream` and `/publish`. */
export async function startNchan(): Promise<RunningServer> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'bench-nchan-'))
  const port = await freePort()
  writeFileSync(
    path.join(folder, 'nginx.conf'),
    `load_module ${NCHAN};
daemon off; master_process off; pid ${folder}/pid; error_log ${folder}/error.log crit; worker_rlimit_nofile 65536;
events { worker_connections 20000; }
http {
  access_log off;
  client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy; fastcgi_temp_path ${folder}/fcgi; uwsgi_temp_path ${folder}/uwsgi; scgi_temp_path ${folder}/scgi;
  client_body_in_single_buffer on; client_body_buffer_size 16k; keepalive_requests 10000000;
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location = /stream { nchan_subscriber eventsource; nchan_channel_id bench; nchan_subscriber_first_message newest; }
    location = /publish { nchan_publisher; nchan_channel_id bench; nchan_message_buffer_length 1000; nchan_message_timeout 5m; nchan_eventsource_event "${EVENT_NAME}"; }
  }
}
`,
  )
  const child = adopt(spawn(NGINX, ['-c', path.join(folder, 'nginx.conf'), '-p', folder], { stdio: 'ignore' }))
  await answering(port)
  const post = poster(port, '/publish', (number) => ({
    headers: { 'content-type': 'text/plain', 'x-eventsource-event': EVENT_NAME },
    body: JSON.stringify(payloadOf(benchEvent(number))),
  }))
  return {
    port,
    ...post,
    usage: async () => usageOf([child.pid as number]),
    async stop() {
      child.kill('SIGTERM')
      await ended(child)
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** Publishing over HTTP: a turn's events go out together on one connection and are answered before the next turn. */
function poster(
  port: number,
  url: string,
  messageOf: (number: number) => { headers: Record<string, string>; body: string },
): Pick<RunningServer, 'allow' | 'pace'> {
  const agent = new Agent({ keepAlive: true, maxSockets: 16 })
  let number = 0
  let turn = 0
  let allowed = 0
  let running = false
  const publish = () =>
    new Promise<void>((resolve, reject) => {
      const { headers, body } = messageOf(++number)
      const sent = request(
        {
          host: '127.0.0.1',
          port,
          path: url,
          method: 'POST',
          agent,
          headers: { ...headers, 'content-length': Buffer.byteLength(body) },
        },
        (answer) => {
          answer.resume()
          if ((answer.statusCode ?? 500) >= 300) reject(new Error(`publishing was answered ${answer.statusCode}`))
          else answer.on('end', resolve)
        },
      )
      sent.on('error', reject)
      sent.end(body)
    })
  const run = async (events: number) => {
    running = true
    while (turn < allowed) {
      // One after the other: over several connections they could change places.
      for (let i = 0; i < events; i++) await publish()
      turn++
    }
    running = false
  }
  return {
    allow(turns, events) {
      allowed = turns
      if (!running) void run(events)
    },
    async pace(everyMs, count) {
      for (let i = 0; i < count; i++) {
        const next = new Promise((resolve) => setTimeout(resolve, everyMs))
        await publish()
        await next
      }
      return number
    },
  }
}

/** Pushpin in front of an origin that grants every stream; published to through its HTTP control port. */
export async function startPushpin(): Promise<RunningServer> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'bench-pushpin-'))
  const [port, control, origin] = [await freePort(), await freePort(), await freePort()]
  const { createServer: createHttp } = await import('node:http')
  const backend = createHttp((_req, res) => {
    res.writeHead(200, { 'content-type': 'text/event-stream', 'grip-hold': 'stream', 'grip-channel': 'bench' })
    res.end('event: connected\ndata: {}\n\n')
  })
  await new Promise<void>((resolve) => backend.listen(origin, '127.0.0.1', resolve))
  writeFileSync(path.join(folder, 'routes'), `* 127.0.0.1:${origin}\n`)
  const standard = readFileSync('/etc/pushpin/pushpin.conf', 'utf8')
  const set = (text: string, name: string, value: string) =>
    new RegExp(`^#?${name}=.*$`, 'm').test(text)
      ? text.replace(new RegExp(`^#?${name}=.*$`, 'm'), `${name}=${value}`)
      : text
  let conf = standard
  // Its proxy asks the origin through zurl, which Debian runs as a service; here it is one of ours.
  writeFileSync(path.join(folder, 'internal.conf'), readFileSync(PUSHPIN_INTERNAL, 'utf8').replaceAll(ZURL_RUN, folder))
  writeFileSync(
    path.join(folder, 'zurl.conf'),
    readFileSync('/etc/zurl.conf', 'utf8')
      .replaceAll(ZURL_RUN, folder)
      .replace(/^deny=.*$/m, 'deny='),
  )
  for (const [name, value] of Object.entries({
    include: path.join(folder, 'internal.conf'),
    rundir: folder,
    logdir: folder,
    http_port: `127.0.0.1:${port}`,
    routesfile: path.join(folder, 'routes'),
    push_in_http_addr: '127.0.0.1',
    push_in_http_port: String(control),
    push_in_spec: `ipc://${folder}/push`,
    push_in_sub_specs: `ipc://${folder}/sub`,
    command_spec: `ipc://${folder}/command`,
    message_rate: '1000000',
    message_hwm: '1000000',
    client_maxconn: '20000',
    client_buffer_size: '65536',
    log_level: '0',
  }))
    conf = set(conf, name, value)
  writeFileSync(path.join(folder, 'pushpin.conf'), conf)
  const zurl = adopt(spawn(ZURL, [`--config=${path.join(folder, 'zurl.conf')}`], { stdio: 'ignore' }))
  const child = adopt(
    spawn(PUSHPIN, [`--config=${path.join(folder, 'pushpin.conf')}`], { stdio: 'ignore', detached: true }),
    { group: true },
  )
  await answering(port)
  await granting(port)
  const post = poster(control, '/publish/', (number) => {
    const event = benchEvent(number)
    return {
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        items: [{ channel: 'bench', id: idOf(event), formats: { 'http-stream': { content: frameOf(event) } } }],
      }),
    }
  })
  return {
    port,
    ...post,
    usage: async () => usageOf(familyOf(child.pid as number)),
    async stop() {
      child.kill('SIGTERM')
      zurl.kill('SIGTERM')
      await Promise.all([ended(child), ended(zurl)])
      backend.closeAllConnections()
      backend.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** The process and everything that it has started. */
function familyOf(pid: number): number[] {
  const children: number[] = []
  for (const name of readdirSync(`/proc/${pid}/task`)) {
    const text = readFileSync(`/proc/${pid}/task/${name}/children`, 'utf8').trim()
    if (text) children.push(...text.split(' ').map(Number))
  }
  return [pid, ...children.flatMap(familyOf)]
}

function usageOf(pids: readonly number[]): Usage {
  let user = 0
  let system = 0
  for (const pid of pids) {
    // The name may hold anything, so the fields are counted from its closing bracket; a tick is 10 ms.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    user += Number(fields[11]) * 10_000
    system += Number(fields[12]) * 10_000
  }
  return { userMicros: user, systemMicros: system, rssBytes: rssOf(pids) }
}

function rssOf(pids: readonly number[]): number {
  let kilobytes = 0
  for (const pid of pids) {
    kilobytes += Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0)
  }
  return kilobytes * 1_024
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })
}

/** Resolves when a stream is granted there: several processes have to find each other first. */
async function granting(port: number): Promise<void> {
  for (const end = Date.now() + 15_000; ; ) {
    const status = await new Promise<number | undefined>((resolve) => {
      const probe = request({ host: '127.0.0.1', port, path: '/stream', agent: false, timeout: 1_000 }, (answer) => {
        resolve(answer.statusCode)
        answer.destroy()
      })
      probe.on('timeout', () => probe.destroy())
      probe.on('error', () => resolve(undefined))
      probe.end()
    })
    if (status === 200) return
    if (Date.now() > end) throw new Error(`no stream is granted on port ${port}`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

/** Resolves when something listens there. */
async function answering(port: number): Promise<void> {
  const { connect } = await import('node:net')
  for (const end = Date.now() + 15_000; ; ) {
    const open = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => {
        socket.destroy()
        resolve(true)
      })
      socket.on('error', () => resolve(false))
    })
    if (open) return
    if (Date.now() > end) throw new Error(`nothing listens on port ${port}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
