import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EventHub } from '@entitycast/sse-server'
import { eventStream } from '@entitycast/sse-server/node'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { expectPromptEvents } from './latency'
import { type Listening, listening } from './listening'
import { StreamClient } from './stream-client'

/*
 * Behind nginx as it comes: `proxy_buffering` on, and gzip on for event streams too.
 */

const NGINX = ['nginx', '/usr/sbin/nginx'].find((path) => spawnSync(path, ['-v']).status === 0)
const REQUIRED = process.env.ENTITYCAST_REQUIRE_SERVICES === '1'
if (!NGINX && !REQUIRED) console.warn('skipped: the tests behind nginx, because there is no nginx here')

describe.runIf(NGINX || REQUIRED)('[C7] behind nginx', () => {
  let folder: string
  let nginx: ChildProcess
  let socketPath: string
  let server: Listening
  const hub = new EventHub({ logger: false, heartbeatIntervalMs: false, retryMs: 0 })

  beforeAll(async () => {
    if (!NGINX) throw new Error('ENTITYCAST_REQUIRE_SERVICES=1, and there is no nginx')
    server = await listening(createServer(eventStream(hub, { authorize: () => ({ projectId: 'p1' }) })))
    folder = await mkdtemp(join(tmpdir(), 'entitycast-nginx-'))
    socketPath = join(folder, 'nginx.sock')
    const config = join(folder, 'nginx.conf')
    await writeFile(config, configuration(folder, socketPath, server.url))
    nginx = spawn(NGINX, ['-p', folder, '-c', config, '-e', 'stderr'], { stdio: ['ignore', 'ignore', 'pipe'] })
    let complaint = ''
    nginx.stderr?.setEncoding('utf8').on('data', (text) => {
      complaint += text
    })
    await vi.waitFor(
      async () => {
        if (nginx.exitCode !== null) throw new Error(`nginx has ended: ${complaint}`)
        const ready = await StreamClient.open('http://localhost/ready', { socketPath })
        expect(ready.status).toBe(204)
      },
      { timeout: 15_000 },
    )
  })

  afterAll(async () => {
    await hub.close()
    await server?.close()
    if (nginx && nginx.exitCode === null) {
      const ended = new Promise((resolve) => nginx.once('exit', resolve))
      nginx.kill('SIGTERM')
      await ended
    }
    if (folder) await rm(folder, { recursive: true })
  })

  it.each([
    ['default settings', '/default', undefined],
    ['default settings and gzip', '/default', 'gzip'],
    ['HTTP/1.1 upstream', '/keepalive', undefined],
    ['HTTP/1.1 upstream and gzip', '/keepalive', 'gzip'],
  ])('with %s each event arrives within 100 ms, before the next is published', async (_, path, encoding) => {
    const client = await StreamClient.open(`http://localhost${path}`, {
      socketPath,
      headers: encoding ? { 'accept-encoding': encoding } : {},
    })
    expect(client.status).toBe(200)
    expect(client.headers['content-encoding']).toBe(encoding)
    const bare = async () => {
      const ready = await StreamClient.open('http://localhost/ready', { socketPath })
      ready.close()
    }
    await expectPromptEvents(hub, client, bare)
    client.close()
    await vi.waitFor(() => expect(hub.stats().connections).toBe(0), { timeout: 15_000 })
  })
})

function configuration(folder: string, socketPath: string, upstream: string): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${folder}/${name};`,
  )
  return `
daemon off;
master_process off;
pid ${folder}/nginx.pid;
events {}
http {
  access_log off;
  ${temporary.join('\n  ')}
  gzip on;
  gzip_min_length 0;
  gzip_proxied any;
  gzip_types text/event-stream;
  server {
    listen unix:${socketPath};
    location = /ready { return 204; }
    location /default { proxy_pass ${upstream}; }
    location /keepalive { proxy_pass ${upstream}; proxy_http_version 1.1; proxy_set_header Connection ""; }
  }
}
`
}
