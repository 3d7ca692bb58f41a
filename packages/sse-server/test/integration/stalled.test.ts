import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { Child } from '../support/child'
import type { ServerFigures } from '../support/server-process'
import type { SwarmReport } from '../support/swarm'

const READING = 150
const STALLED = 50
/** 25 MB for each connection. */
const EVENT_BYTES = 10_000
const EVENTS = 2_500
/** Published before the readers are waited for: more than that would not test who reads nothing, but who reads slowly. */
const AT_ONCE = 50
const MB = 1_000_000

describe('clients that never read', () => {
  let server: Child
  let swarm: Child
  beforeAll(async () => {
    ;[server, swarm] = await Promise.all([Child.start('server-process'), Child.start('swarm')])
  }, 60_000)
  afterAll(() => Promise.all([server?.stop(), swarm?.stop()]))

  /** Publishes as fast as those take it who read. The result is the time it took, in milliseconds. */
  async function publish(events: number): Promise<number> {
    const startedAt = performance.now()
    for (let n = 0; n < events; n += AT_ONCE) {
      const { offset } = await server.ask<ServerFigures>({ do: 'publish', count: AT_ONCE, bytes: EVENT_BYTES })
      await swarm.ask({ do: 'reach', offset })
    }
    return performance.now() - startedAt
  }

  it('[S2 D6] cost the server less than 0.2 MB each, are closed, and hold up nobody: 25 MB for each of 200, of whom 50 never read', async () => {
    const options = { limits: false, stallTimeoutMs: 600_000 }
    const { port } = await server.ask<ServerFigures>({ do: 'start', options })
    await swarm.ask({ do: 'open', port, count: READING })
    // The same without them: what the process takes for its own work is there before it is compared.
    const aloneMs = await publish(EVENTS)
    const before = await server.ask<ServerFigures>({ do: 'figures' })

    await swarm.ask({ do: 'open', port, count: STALLED, reads: false })
    const withStalledMs = await publish(EVENTS)
    const after = await server.ask<ServerFigures>({ do: 'figures' })

    const seen = await swarm.ask<SwarmReport>({ do: 'report' })
    // What was handed over and nobody has read is in the buffers of the kernel, which are not this process's.
    const kernel = (after.stats.bytesWritten - seen.bytes) / MB / STALLED
    expect(seen).toMatchObject({
      readers: READING,
      fewest: 2 * EVENTS,
      ids: READING * 2 * EVENTS,
      resyncs: 0,
      ended: 0,
    })
    expect(seen.faults).toEqual([])
    expect(after.stats).toMatchObject({ connections: READING + STALLED, lagging: STALLED, resyncs: {} })

    const grown = (kind: keyof ServerFigures['memory']) => (after.memory[kind] - before.memory[kind]) / MB / STALLED
    const figures = {
      rss: grown('rss'),
      heapUsed: grown('heapUsed'),
      external: grown('external'),
      held: grown('heapUsed') + grown('external'),
    }
    console.log(
      `MB for each stalled connection: ${Object.entries(figures)
        .map(([name, mb]) => `${name} ${mb.toFixed(3)}`)
        .join(', ')};`,
      `the kernel holds ${kernel.toFixed(1)} MB for each;`,
      `25 MB to each of ${READING} readers: ${Math.round(aloneMs)} ms alone, ${Math.round(withStalledMs)} ms beside them`,
    )
    expect(figures.held).toBeLessThan(0.2)
    expect(figures.rss).toBeLessThan(0.2)
  }, 180_000)

  it('[L3] are closed after the stall timeout, and the readers stay', async () => {
    const own = await Promise.all([Child.start('server-process'), Child.start('swarm')])
    const [slowServer, slowSwarm] = own
    try {
      const { port } = await slowServer.ask<ServerFigures>({
        do: 'start',
        options: { limits: false, stallTimeoutMs: 2_000 },
      })
      await slowSwarm.ask({ do: 'open', port, count: 10 })
      await slowSwarm.ask({ do: 'open', port, count: 10, reads: false })
      // The kernel takes some megabytes for each before the socket is full.
      for (let n = 0; n < 1_500; n += AT_ONCE) {
        const { offset } = await slowServer.ask<ServerFigures>({ do: 'publish', count: AT_ONCE, bytes: EVENT_BYTES })
        await slowSwarm.ask({ do: 'reach', offset })
      }
      await vi.waitFor(
        async () => {
          const { stats } = await slowServer.ask<ServerFigures>({ do: 'figures' })
          expect(stats).toMatchObject({ connections: 10, lagging: 0, closed: { slow: 10 } })
        },
        { timeout: 30_000, interval: 200 },
      )
      const { offset } = await slowServer.ask<ServerFigures>({ do: 'publish', count: 1, bytes: 10 })
      expect(await slowSwarm.ask<SwarmReport>({ do: 'reach', offset })).toMatchObject({
        readers: 10,
        faults: [],
        resyncs: 0,
      })
    } finally {
      await Promise.all(own.map((child) => child.stop()))
    }
  }, 120_000)
})
