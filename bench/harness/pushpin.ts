import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { benchEvent, frameOf, idOf } from '../contenders/event'
import { adopt, ended } from './children'
import { poster } from './poster'
import { answering, familyOf, freePort, granting, usageOf } from './processes'
import type { RunningServer } from './server'

const PUSHPIN = '/usr/bin/pushpin'
const PUSHPIN_INTERNAL = '/usr/lib/pushpin/internal.conf'
const ZURL = '/usr/bin/zurl'
const ZURL_RUN = '/var/run/zurl'

export const pushpinInstalled = () => existsSync(PUSHPIN) && existsSync(ZURL)

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
