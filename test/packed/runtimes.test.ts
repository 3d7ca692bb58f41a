import { spawn, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { EventHub } from '@entitycast/sse-server'
import { eventStream } from '@entitycast/sse-server/node'
import { beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { consumer } from './consumer'

const root = (file: string) => fileURLToPath(new URL(`../../node_modules/${file}`, import.meta.url))

/** What npm has put there, without a script; elsewhere, what people have installed themselves. */
function installed(file: string, command: string): string {
  return process.platform === 'linux' && process.arch === 'x64' ? root(file) : command
}

const RUNTIMES = [
  { name: 'Node', command: process.execPath, args: [] },
  {
    name: 'Deno',
    command: installed('@deno/linux-x64-glibc/deno', 'deno'),
    args: ['run', '--no-lock', '--node-modules-dir=manual', '--allow-net=127.0.0.1', '--allow-read', '--allow-env'],
  },
  { name: 'Bun', command: installed('@oven/bun-linux-x64/bin/bun', 'bun'), args: ['--no-install'] },
]

/** A server of ours that may be gone for a while: it keeps its port, so that nobody else gets it, and cuts whoever connects. */
async function start() {
  const hub = new EventHub()
  const authorize = (request: { headers: { authorization?: string } }) =>
    request.headers.authorization === 'nobody' ? null : { projectId: 'p', channels: 'all' as const }
  const stream = eventStream(hub, { authorize })
  let isDown = false
  let requests = 0
  const server = createServer((request, response) => {
    requests++
    if (request.url === '/moved') response.writeHead(307, { Location: '/events' }).end()
    else stream(request, response)
  })
  server.on('connection', (socket) => isDown && socket.destroy())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  onTestFinished(async () => {
    await hub.close()
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  return {
    project: hub.project('p'),
    down() {
      isDown = true
      server.closeAllConnections()
    },
    up() {
      isDown = false
    },
    isFollowed: (count = 1) => vi.waitFor(() => expect(hub.stats().connections).toBe(count), PATIENTLY),
    at: (path: string) => `http://127.0.0.1:${port}${path}`,
    requests: () => requests,
  }
}

const PATIENTLY = { timeout: 60_000, interval: 20 }

let folder = ''

beforeAll(async () => {
  const bare = await consumer('bare')
  bare.write('program.mjs', readFileSync(fileURLToPath(new URL('runtimes/program.mjs', import.meta.url)), 'utf8'))
  folder = bare.folder
})

describe.each(RUNTIMES)('[packed] the client in $name', ({ name, command, args }) => {
  /** A program that runs in the folder of a project that has installed the tarballs, and whatever it says. */
  function run(what: string, url = '') {
    const env = {
      PATH: process.env.PATH,
      HOME: folder,
      DENO_DIR: `${folder}/deno`,
      DENO_NO_UPDATE_CHECK: '1',
    }
    const child = spawn(command, [...args, 'program.mjs', what, url], { cwd: folder, env })
    let out = ''
    let err = ''
    child.stdout.on('data', (text) => {
      out += text
    })
    child.stderr.on('data', (text) => {
      err += text
    })
    // Where it cannot be run at all, that is how it ended.
    child.on('error', (error) => {
      err += error.message
    })
    onTestFinished(() => void child.kill('SIGKILL'))
    const lines = () => out.split('\n').slice(0, -1)
    return {
      lines,
      says: (line: string) => vi.waitFor(() => expect(lines(), `${what}: ${err}`).toContain(line), PATIENTLY),
      /** How it ended, by itself. */
      ended: new Promise<{ code: number | null; err: string }>((resolve) => {
        child.once('close', (code) => resolve({ code, err }))
      }),
    }
  }
  const well = { code: 0, err: '' }

  it(`${name} is there`, () => {
    const { status, error } = spawnSync(command, ['--version'])
    const why = `${command} does not run: npm ci brings ${name} on Linux (x64, glibc), elsewhere install it`
    expect(status, `${why}; ${error?.message ?? ''}`).toBe(0)
  })

  it('[K8] importing it reads no global of the platform, and adds none', async () => {
    const program = run('touch')
    expect([await program.ended, program.lines()]).toEqual([well, ['read  added 0']])
  })

  it('[D3] over fetch, over node:http and in a worker: live, on again at its cursor when the server was gone, and close() lets the process end', async () => {
    const { project, up, down, isFollowed, at } = await start()
    const programs = ['follow', 'follow-node', 'worker'].map((what) => run(what, at('/events')))
    const allSay = (line: string) => Promise.all(programs.map((program) => program.says(line)))
    await allSay('connected')
    await isFollowed(programs.length)
    await project.updated('document', 'a', { n: 1 })
    await allSay('document a {"n":1}')
    down()
    await allSay('reconnecting')
    await project.updated('document', 'b', { n: 2 })
    up()
    await allSay('document b {"n":2}')
    await project.updated('document', 'c', { n: 3 })
    await project.emit('program:close', null)
    for (const program of programs) {
      expect(await program.ended).toEqual(well)
      const said = program.lines().filter((line) => !/^(?:NETWORK|STREAM_ENDED|reconn|conn)/.test(line))
      expect(said).toEqual(['document a {"n":1}', 'document b {"n":2}', 'document c {"n":3}', 'disconnected'])
    }
  })

  it('[A4] 401, twice: it is told, it stops, and the process ends', async () => {
    const { at, requests } = await start()
    const program = run('refused', at('/events'))
    expect(await program.ended).toEqual(well)
    expect(program.lines()).toEqual(['connecting', 'reconnecting', 'UNAUTHORIZED 401', 'disconnected'])
    expect(requests()).toBe(2)
  })

  it('[keepProcessAlive] false: it ends with its stream open', async () => {
    const { at } = await start()
    const program = run('leave', at('/events'))
    expect(await program.ended).toEqual(well)
    expect(program.lines()).toEqual(['connecting', 'connected'])
  })

  it('[W1] its EventSource: a redirect is followed, and events come', async () => {
    const { project, isFollowed, at } = await start()
    const program = run('source', at('/moved'))
    await isFollowed()
    await program.says('open')
    await project.emit('program:close', null)
    expect([await program.ended, program.lines()]).toEqual([
      well,
      ['open', `program:close true ${new URL(at('/')).origin}`],
    ])
  })
})
