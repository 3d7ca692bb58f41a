import { once } from 'node:events'
import { applyEntityEvent, EventSubscriber } from '@entitycast/sse-client'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { eventually, TicketServer } from '../ticket-server'

interface Ticket {
  id: string
  title: string
  done: boolean
  version: number
}

let server: TicketServer
const pages: Page[] = []

beforeEach(async () => {
  server = await TicketServer.start()
})
afterEach(async () => {
  for (const page of pages.splice(0)) page.updates.close()
  await server?.end()
})

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
    page.updates = new EventSubscriber(`${server.url}/api/events`, {
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

  /**
   * Pages whose streams are from these workers, one for each. The port deals connections in turn: those that came from another worker stay
   * open until all are found, so that nothing takes up a turn that was one of theirs.
   */
  static async at(workers: readonly number[]): Promise<Page[]> {
    const found: (Page | undefined)[] = workers.map(() => undefined)
    const others: Page[] = []
    const dealt: number[] = []
    while (found.includes(undefined)) {
      expect(dealt.length, `dealt ${dealt}, where ${workers} were wanted`).toBeLessThan(workers.length * 10)
      const page = await Page.open()
      dealt.push(page.worker)
      const place = workers.findIndex((pid, i) => pid === page.worker && !found[i])
      if (place < 0) others.push(page)
      else found[place] = page
    }
    for (const page of others) page.updates.close()
    return found.filter((page) => page !== undefined)
  }
}

async function load(): Promise<{ cursor: string; tickets: Ticket[] }> {
  return (await fetch(`${server.url}/api/tickets`)).json() as Promise<{ cursor: string; tickets: Ticket[] }>
}

async function add(title: string): Promise<Ticket> {
  const response = await fetch(`${server.url}/api/tickets`, { method: 'POST', body: JSON.stringify({ title }) })
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
    const all = await Page.at(server.workers())
    const tickets: Ticket[] = []
    for (let n = 0; n < 20; n++) tickets.push(await add(`ticket ${n}`))
    for (const { id } of tickets.slice(0, 5)) await fetch(`${server.url}/api/tickets/${id}/done`, { method: 'POST' })
    await showSame(all)
    for (const { tickets: rows, resyncs } of all) {
      expect(rows).toHaveLength(20)
      expect(rows.filter(({ done }) => done)).toHaveLength(5)
      expect(resyncs).toBe(0)
    }
  }, 120_000)

  it('[cluster] a worker that is killed: its pages go on at another one, without loading again', async () => {
    const [first = 0, second = 0] = server.workers()
    const all = await Page.at([first, second])
    await add('before')
    await showSame(all)
    await server.kill(first)
    await eventually(async () => expect(await add('meanwhile').catch(() => undefined)).toBeDefined())
    await eventually(() => {
      expect(all[0]?.updates.state).toBe('connected')
      expect(all[0]?.worker).not.toBe(first)
    })
    await add('after')
    await showSame(all)
    expect(all.map(({ resyncs }) => resyncs)).toEqual([0, 0])
    await eventually(() => expect(server.workers()).toHaveLength(2))
  }, 120_000)

  it('[cluster] all workers are replaced while tickets are added: nothing is lost, and no page loads again', async () => {
    const before = server.workers()
    const all = await Page.at([...before, ...before])
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
    server.primary.kill('SIGHUP')
    await eventually(() => expect(server.printed).toContain('all workers are new'))
    isOver = true
    await Promise.all(writers)
    expect(server.workers().filter((pid) => before.includes(pid))).toEqual([])
    await eventually(() => {
      for (const { updates, worker } of all) {
        expect(updates.state).toBe('connected')
        expect(before).not.toContain(worker)
      }
    })
    await showSame(all)
    expect(accepted.length).toBeGreaterThan(20)
    for (const { tickets, resyncs } of all) {
      const shown = new Set(tickets.map(({ id }) => id))
      expect(accepted.filter((id) => !shown.has(id))).toEqual([])
      expect(resyncs).toBe(0)
    }
  }, 120_000)

  it('[cluster] SIGTERM ends the workers and then the primary, by itself', async () => {
    await Promise.all([Page.open(), Page.open()])
    const exit = once(server.primary, 'exit')
    server.primary.kill('SIGTERM')
    expect(await exit).toEqual([0, null])
    expect(server.workers()).toEqual([])
  }, 120_000)

  it('[cluster] nothing of the disk is served but the page', async () => {
    for (const path of [
      '/package.json',
      '/../package.json',
      '/%2e%2e/package.json',
      '/server/main.js',
      '/data/tickets.db',
    ]) {
      expect((await fetch(`${server.url}${path}`)).status, path).toBe(404)
    }
  })

  it('[cluster] a worker that dies while all are replaced does not stop that', async () => {
    const before = server.workers()
    server.primary.kill('SIGHUP')
    process.kill(before[0] as number, 'SIGKILL')
    await eventually(() => expect(server.printed).toContain('all workers are new'))
    await eventually(() => expect(server.workers()).toHaveLength(2))
    expect(server.workers().filter((pid) => before.includes(pid))).toEqual([])
  }, 120_000)

  it('[cluster] SIGTERM ends it also while a worker that died is about to be replaced', async () => {
    const [pid = 0] = server.workers()
    const exit = once(server.primary, 'exit')
    await server.kill(pid)
    server.primary.kill('SIGTERM')
    expect(await exit).toEqual([0, null])
  }, 120_000)
})
