import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import type { ServerOptions } from '../contenders/contender'
import { benchEvent, EVENT_NAME, FRAME_BYTES, payloadOf } from '../contenders/event'
import { adopt, ended } from './children'
import { BUILT } from './load'
import { poster } from './poster'
import { answering, freePort, rssOf, usageOf } from './processes'
import type { RunningServer } from './server'

/*
 * Servers that are not Node: the C program, and nginx with nchan.
 */

/** The limit: `c/fanout.c`. */
export async function startC({ heartbeatMs }: ServerOptions = {}): Promise<RunningServer> {
  const child = adopt(spawn(path.join(BUILT, 'fanout')))
  child.stdin.on('error', () => {})
  child.stderr.pipe(process.stderr)
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
  const next = async () => String((await lines.next()).value)
  const port = Number((await next()).split(' ')[1])
  const beats = heartbeatMs ? setInterval(() => child.stdin.write('beat\n'), heartbeatMs) : undefined
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
      clearInterval(beats)
      child.stdin.end()
      await ended(child)
    },
  }
}

const NCHAN = '/usr/lib/nginx/modules/ngx_nchan_module.so'
const NGINX = '/usr/sbin/nginx'

export const nchanInstalled = () => existsSync(NCHAN) && existsSync(NGINX)

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
