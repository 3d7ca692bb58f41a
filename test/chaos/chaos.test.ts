import net from 'node:net'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { TcpProxy } from '../support/tcp-proxy'
import { LivePage, tableText } from './live-page'
import { ServerProcess } from './server-process'

const WAIT = { timeout: 60_000, interval: 50 }

describe('a server under load, and everything that goes wrong', { timeout: 150_000 }, () => {
  let server: ServerProcess
  let proxy: TcpProxy
  let pages: LivePage[] = []
  const sockets = new Set<net.Socket>()

  beforeEach(async () => {
    server = new ServerProcess()
    await server.start()
    proxy = new TcpProxy(() => server.port)
    await proxy.listen()
  })

  afterEach(async () => {
    for (const page of pages) page.close()
    for (const socket of sockets) socket.destroy()
    sockets.clear()
    pages = []
    await proxy.close()
    await server.dispose()
  })

  async function open(count: number, through: 'proxy' | 'server' = 'server'): Promise<LivePage[]> {
    const url = () => (through === 'proxy' ? `http://127.0.0.1:${proxy.port}` : server.url)
    const opened = Array.from({ length: count }, (_, i) => new LivePage(url, `page-${i}`))
    pages.push(...opened)
    await Promise.all(opened.map((page) => page.open()))
    await vi.waitFor(() => expect(opened.every(({ connected }) => connected)).toBe(true), WAIT)
    return opened
  }

  /** A stream that somebody else has opened, and reads or does not. */
  function rawStream(): net.Socket {
    const socket = net.connect(server.port, '127.0.0.1')
    socket.on('error', () => {})
    socket.write('GET /stream HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n')
    sockets.add(socket)
    return socket
  }

  /** The load ends, and then every page shows what the server has. */
  async function expectEqual(): Promise<void> {
    await server.ask({ load: false })
    const response = await fetch(`${server.url}/table`)
    const { rows } = (await response.json()) as { rows: Parameters<typeof tableText>[0] }
    const truth = tableText(rows)
    expect(rows.length).toBeGreaterThan(10)
    await vi.waitFor(() => {
      for (const page of pages) expect(page.shown).toBe(truth)
    }, WAIT)
    expect(pages.flatMap(({ backwards }) => backwards)).toEqual([])
  }

  it('[D4 B4] kill -9 and a new start: a new log, one resync, and every page is right', async () => {
    await server.ask({ load: true })
    await open(20)
    await server.kill()
    await server.start()
    await server.ask({ load: true })
    await vi.waitFor(() => expect(pages.every(({ connected }) => connected)).toBe(true), WAIT)
    await expectEqual()
    for (const page of pages) expect(page.resyncs).toEqual(['epoch'])
  })

  it('[S7] SIGTERM with 1,000 streams: the process ends by itself with code 0, and the pages go on with the next one', async () => {
    await server.ask({ load: true })
    await open(50)
    const closed = Array.from({ length: 950 }, () => {
      const socket = rawStream()
      socket.resume()
      return new Promise((resolve) => socket.once('close', resolve))
    })
    await vi.waitFor(async () => expect((await server.ask({ stats: true })).stats?.connections).toBe(1_000), WAIT)
    const { code } = await server.end()
    expect(code).toBe(0)
    await Promise.all(closed)
    await server.start()
    await server.ask({ load: true })
    await vi.waitFor(() => expect(pages.every(({ connected }) => connected)).toBe(true), WAIT)
    await expectEqual()
  })

  it('[D3 K1] a network that is slow, that brings bytes one at a time, and that cuts in mid-frame', async () => {
    // The log keeps 1,000: whoever is away for less than ten seconds finds all of it there, however busy the machine is.
    await server.ask({ load: true, everyMs: 10 })
    await open(10, 'proxy')
    for (const page of pages) page.isHasty = true
    /** Every page has lost its stream by that, and has another one. */
    const suffer = async (cut: () => void) => {
      const before = pages.map(({ connected, losses }) => (connected ? losses : losses - 1))
      cut()
      await vi.waitFor(() => {
        expect(pages.filter(({ losses }, i) => losses === before[i])).toEqual([])
        expect(pages.every(({ connected }) => connected)).toBe(true)
      }, WAIT)
    }
    proxy.options = { latencyMs: 60, singleBytes: false }
    await suffer(() => proxy.cut())
    proxy.options = { latencyMs: 0, singleBytes: true }
    for (let round = 0; round < 5; round++) await suffer(() => proxy.cutInside())
    await expectEqual()
    // The log kept everything that was missed meanwhile: nobody had to load again.
    expect(pages.flatMap(({ resyncs }) => resyncs)).toEqual([])
  })

  it.each(['vanish', 'halfOpen'] as const)(
    '[D9 K6] a peer that is gone without a word (%s) is noticed, and the page goes on',
    async (fault) => {
      await server.ask({ load: true })
      await open(10, 'proxy')
      proxy.blackHole = true
      proxy[fault]()
      // Nobody is told: only the missing heartbeat says it, and then every new connection is swallowed too.
      await vi.waitFor(() => expect(pages.some(({ connected }) => connected)).toBe(false), WAIT)
      proxy.blackHole = false
      proxy.cut()
      await vi.waitFor(() => expect(pages.every(({ connected }) => connected)).toBe(true), WAIT)
      await expectEqual()
    },
  )

  it('[S2 S4 D6] a client that reads 100 bytes a second falls behind and nobody else does; when it reads again it is told', async () => {
    await open(5)
    const slow = rawStream()
    slow.pause()
    const trickle = setInterval(() => slow.read(100), 1_000)
    try {
      const before = (await server.ask({ stats: true })).memory as number
      const { stats, memory } = await server.ask({ flood: 4_000 })
      expect(stats?.lagging).toBeGreaterThanOrEqual(1)
      // 16 MB were published; what waits for the slow one is in the log, which holds 1 MiB.
      expect((memory as number) - before).toBeLessThan(150_000_000)
      await expectEqual()
      // Everybody else has everything; the slow one has what its socket held.
      await vi.waitFor(async () => expect((await server.ask({ stats: true })).stats?.lagging).toBe(1), WAIT)
    } finally {
      clearInterval(trickle)
    }
    let tail = ''
    slow.on('data', (bytes) => {
      tail = `${tail.slice(-200_000)}${bytes}`
    })
    slow.resume()
    await vi.waitFor(() => expect(tail).toContain('event: resync'), WAIT)
    expect(tail.slice(tail.lastIndexOf('event: resync'))).toContain('"reason":"overflow"')
  })

  it('[S6] a process that was stopped for 20 s goes on: nobody is thrown out for it, and every page is right', async () => {
    await server.ask({ load: true })
    await open(10)
    server.signal('SIGSTOP')
    await vi.waitFor(() => expect(pages.some(({ connected }) => connected)).toBe(false), WAIT)
    // This is the fault itself: time in which the process does not run.
    await new Promise((resolve) => setTimeout(resolve, 20_000))
    server.signal('SIGCONT')
    await vi.waitFor(() => expect(pages.every(({ connected }) => connected)).toBe(true), WAIT)
    await expectEqual()
    const { stats } = await server.ask({ stats: true })
    expect(Object.keys(stats?.closed ?? {}).filter((reason) => reason !== 'peer')).toEqual([])
  })
})
