import net from 'node:net'
import { expect, it, onTestFinished, vi } from 'vitest'
import { LivePage } from './live-page'
import { ServerProcess } from './server-process'

const STREAMS = 5_000
const PAGES = 300
const DRAIN_MS = 8_000
/** Thousands of heartbeats would have the machine busy, and nothing here is about them. */
const HEARTBEAT_MS = 10_000
const WAIT = { timeout: 60_000, interval: 200 }

/** How many of the times fall into each tenth of the drain as it was; the last one takes what comes after it, too. */
function tenths(times: readonly number[], drainedMs: number): number[] {
  const counts = Array.from({ length: 10 }, () => 0)
  for (const time of times) {
    const tenth = Math.min(9, Math.floor((time / drainedMs) * 10))
    counts[tenth] = (counts[tenth] ?? 0) + 1
  }
  return counts
}

it('[S7 A5] 5,000 streams close in the drain time, and our clients come back spread over it', async () => {
  const server = new ServerProcess(DRAIN_MS, HEARTBEAT_MS)
  const pages = Array.from({ length: PAGES }, (_, i) => new LivePage(() => server.url, `page-${i}`))
  const sockets: net.Socket[] = []
  onTestFinished(async () => {
    for (const page of pages) page.close()
    for (const socket of sockets) socket.destroy()
    await server.dispose()
  })
  await server.start()
  await Promise.all(pages.map((page) => page.open()))
  let startedAt = 0
  const ends: Promise<number>[] = []
  for (let i = 0; i < STREAMS - PAGES; i++) {
    const socket = net.connect(server.port, '127.0.0.1')
    socket.on('error', () => {})
    socket.resume()
    socket.write('GET /stream HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n')
    sockets.push(socket)
    ends.push(
      new Promise((resolve) => {
        socket.once('close', () => resolve(performance.now() - startedAt))
      }),
    )
    // A listener takes so many at a time.
    if (i % 200 === 0) await new Promise((resolve) => socket.once('data', resolve))
  }
  await vi.waitFor(async () => expect((await server.ask({ stats: true })).stats?.connections).toBe(STREAMS), WAIT)

  startedAt = performance.now()
  const { code, answer } = await server.end()
  expect(code).toBe(0)
  const drainedMs = answer.drainedMs as number
  const closes = tenths(await Promise.all(ends), drainedMs)
  const returns = tenths(Object.values(answer.returns ?? {}), drainedMs)
  console.log(`drained in ${Math.round(drainedMs)} ms; closes by tenth: ${closes}; returns by tenth: ${returns}`)
  // Not before the time is up, and a second later at most everyone is gone; the rest is for a busy machine.
  expect(drainedMs).toBeGreaterThan(DRAIN_MS * 0.8)
  expect(drainedMs).toBeLessThan(DRAIN_MS + 15_000)
  // Even would be a tenth each. Whoever is ended at the very end may come back when nobody listens any more.
  expect(Math.max(...closes)).toBeLessThan((STREAMS - PAGES) * 0.3)
  expect(Object.keys(answer.returns ?? {}).length).toBeGreaterThan(PAGES * 0.7)
  expect(Math.max(...returns)).toBeLessThan(PAGES * 0.3)
  expect(returns.filter((count) => count > 0).length).toBeGreaterThanOrEqual(8)
}, 150_000)
