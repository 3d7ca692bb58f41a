import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { applyEntityEvent, EventSubscriber } from '@entitycast/sse-client'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'

interface Ticket {
  id: string
  title: string
  done: boolean
  version: number
}

const MAIN = fileURLToPath(new URL('../../server/main.js', import.meta.url))
const eventually = <Result>(check: () => Result | Promise<Result>): Promise<Result> =>
  vi.waitFor(check, { timeout: 20_000, interval: 20 })

let folder: string
let server: ReturnType<typeof spawn>
let url = ''
let printed = ''
const pages: Page[] = []

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tickets-'))
  printed = ''
  server = spawn(process.execPath, [MAIN], {
    env: { PATH: process.env.PATH, PORT: '0', DATABASE: join(folder, 'data.db'), DRAIN_MS: '200' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  for (const output of [server.stdout, server.stderr]) output?.on('data', (text) => (printed += text))
  await eventually(() => expect(workers(), printed).toHaveLength(2))
  url = /http:\/\/[\d.:]+/.exec(printed)?.[0] ?? ''
})

afterEach(async () => {
  for (const page of pages.splice(0)) page.updates.close()
  if (server.exitCode === null && server.signalCode === null) {
    server.kill('SIGKILL')
    await once(server, 'exit')
  }
  await rm(folder, { recursive: true, force: true })
})

/** Those that have begun, without those that have ended. */
function workers(): number[] {
  const all = (pattern: RegExp) => [...printed.matchAll(pattern)].map(([, pid]) => Number(pid))
  const ended = all(/worker (\d+) has ended/g)
  return all(/worker (\d+) serves/g).filter((pid) => !ended.includes(pid))
}

/** A page as `web/page.js` has it. */
class Page {
  tickets: Ticket[] = []
  worker = 0
  resyncs = 0
  updates!: EventSubscriber

  static async open(): Promise<Page> {
    const page = new Page()
    pages.push(page)
    const { cursor, tickets } = await load()
    page.tickets = tickets
    page.updates = new EventSubscriber(`${url}/api/events`, {
      since: cursor,
      fetch: async (address, init) => {
        const response = await fetch(address, init)
        page.worker = Number(response.headers.get('x-worker'))
        return response
      },
    })
    page.updates.subscribe('ticket:*', (event) => {
      page.tickets = applyEntityEvent(page.tickets, event)
    })
    page.updates.onResync(async () => {
      page.resyncs++
      page.tickets = (await load()).tickets
    })
    // Doors that are shut for a moment are what these tests are about.
    page.updates.onError(() => {})
    page.updates.connect()
    await eventually(() => expect(page.updates.state).toBe('connected'))
    return page
  }

  /** One whose stream is from this worker. */
  static async at(worker: number): Promise<Page> {
    return eventually(async () => {
      const page = await Page.open()
      if (page.worker !== worker) page.updates.close()
      expect(page.worker).toBe(worker)
      return page
    })
  }
}

async function load(): Promise<{ cursor: string; tickets: Ticket[] }> {
  return (await fetch(`${url}/api/tickets`)).json() as Promise<{ cursor: string; tickets: Ticket[] }>
}

async function add(title: string): Promise<Ticket> {
  const response = await fetch(`${url}/api/tickets`, { method: 'POST', body: JSON.stringify({ title }) })
  expect(response.status).toBe(201)
  return (await response.json()) as Ticket
}

const byId = (tickets: readonly Ticket[]) => [...tickets].sort((a, b) => a.id.localeCompare(b.id))

async function showSame(all: readonly Page[]): Promise<void> {
  await eventually(async () => {
    const { tickets } = await load()
    for (const page of all) expect(byId(page.tickets)).toEqual(byId(tickets))
  })
}

describe('two workers behind one port', () => {
  it('[cluster] pages at different workers show the same rows', async () => {
    const all = await Promise.all(workers().map((pid) => Page.at(pid)))
    const tickets: Ticket[] = []
    for (let n = 0; n < 20; n++) tickets.push(await add(`ticket ${n}`))
    for (const { id } of tickets.slice(0, 5)) await fetch(`${url}/api/tickets/${id}/done`, { method: 'POST' })
    await showSame(all)
    for (const { tickets: rows, resyncs } of all) {
      expect(rows).toHaveLength(20)
      expect(rows.filter(({ done }) => done)).toHaveLength(5)
      expect(resyncs).toBe(0)
    }
  }, 60_000)

  it('[cluster] a worker that is killed: its pages go on at another one, without loading again', async () => {
    const [first = 0, second = 0] = workers()
    const all = await Promise.all([Page.at(first), Page.at(second)])
    await add('before')
    await showSame(all)
    process.kill(first, 'SIGKILL')
    await eventually(async () => expect(await add('meanwhile').catch(() => undefined)).toBeDefined())
    await eventually(() => {
      expect(all[0]?.updates.state).toBe('connected')
      expect(all[0]?.worker).not.toBe(first)
    })
    await add('after')
    await showSame(all)
    expect(all.map(({ resyncs }) => resyncs)).toEqual([0, 0])
    await eventually(() => expect(workers()).toHaveLength(2))
  }, 60_000)

  it('[cluster] all workers are replaced while tickets are added: nothing is lost, and no page loads again', async () => {
    const before = workers()
    const all = await Promise.all([...before, ...before].map((pid) => Page.at(pid)))
    const accepted: string[] = []
    let isOver = false
    const writers = Array.from({ length: 4 }, async (_, writer) => {
      // A request that met a closed door was not accepted.
      for (let n = 0; !isOver; n++)
        await add(`${writer}.${n}`).then(
          ({ id }) => accepted.push(id),
          () => {},
        )
    })
    server.kill('SIGHUP')
    await eventually(() => expect(printed).toContain('all workers are new'))
    isOver = true
    await Promise.all(writers)
    expect(workers().filter((pid) => before.includes(pid))).toEqual([])
    await showSame(all)
    expect(accepted.length).toBeGreaterThan(20)
    for (const { tickets, resyncs, worker } of all) {
      const shown = new Set(tickets.map(({ id }) => id))
      expect(accepted.filter((id) => !shown.has(id))).toEqual([])
      expect(resyncs).toBe(0)
      expect(before).not.toContain(worker)
    }
  }, 60_000)

  it('[cluster] SIGTERM ends the workers and then the primary, by itself', async () => {
    await Promise.all([Page.open(), Page.open()])
    const exit = once(server, 'exit')
    server.kill('SIGTERM')
    expect(await exit).toEqual([0, null])
    expect(workers()).toEqual([])
  }, 60_000)

  it('[cluster] the page and its modules are served, and nothing else of the disk', async () => {
    const get = async (path: string) => (await fetch(`${url}${path}`)).status
    const page = await (await fetch(url)).text()
    expect(page).toContain('importmap')
    for (const path of ['/page.js', '/sse-client/index.js', '/sse-protocol/index.js']) expect(await get(path)).toBe(200)
    for (const path of [
      '/../package.json',
      '/%2e%2e/package.json',
      '/web/page.js',
      '/..js',
      '/sse-client/../main.js',
    ]) {
      expect(await get(path), path).toBe(404)
    }
  })
})
