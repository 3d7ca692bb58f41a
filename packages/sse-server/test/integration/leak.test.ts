import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { Child } from '../support/child'
import type { ServerFigures } from '../support/server-process'
import type { SwarmMessage } from '../support/swarm'

const VISITS = 10_000
const AT_ONCE = 100
const MB = 1_000_000

describe('ten thousand visits', () => {
  let server: Child
  let swarm: Child
  beforeAll(async () => {
    ;[server, swarm] = await Promise.all([Child.start('server-process'), Child.start('swarm')])
  }, 60_000)
  afterAll(() => Promise.all([server?.stop(), swarm?.stop()]))

  it('[C9] half of them cut off in a replay or before they are authorized: registry, listeners, timers, sockets and heap are where they were', async () => {
    // No feed is let go as idle meanwhile: what stays the same must be the same.
    const idle = await server.ask<ServerFigures>({ do: 'start', options: { limits: false } })
    const { port } = idle
    const first = await server.ask<ServerFigures>({ do: 'publish', count: 1, bytes: 10 })
    await server.ask({ do: 'publish', count: 100, bytes: 3_000 })
    const visits = async (count: number) => {
      const visit = (path: string, leave: 'connected' | 'asked' | 'reading', share: number): SwarmMessage => ({
        do: 'visit',
        port,
        count: count * share,
        atOnce: AT_ONCE,
        path,
        leave,
      })
      await swarm.ask(visit('/', 'connected', 0.5))
      await swarm.ask(visit(`/?lastEventId=${first.cursor}`, 'reading', 0.25))
      await swarm.ask(visit('/?hold', 'asked', 0.25))
    }
    /** The figures when the last of them has gone. */
    const settled = () =>
      vi.waitFor(
        async () => {
          const figures = await server.ask<ServerFigures>({ do: 'figures' })
          expect(figures.stats.connections).toBe(0)
          // Also the look at the system's tables that was under way is over.
          expect(figures.resources).toEqual(idle.resources)
          return figures
        },
        { timeout: 20_000, interval: 100 },
      )
    // Code is compiled and pools are filled by the first ones.
    await visits(2_000)
    const before = await settled()
    await visits(VISITS)
    const after = await settled()

    expect(after.stats.opened - before.stats.opened).toBe(VISITS * 0.75)
    expect(after.stats).toMatchObject({ connections: 0, lagging: 0, projects: 1 })
    expect(after.timers).toBe(before.timers)
    expect(after.listeners).toBe(before.listeners)
    expect(after.unhandled).toBe(0)
    const grown = (after.memory.heapUsed - before.memory.heapUsed) / MB
    console.log(`heapUsed after ${VISITS} visits: ${grown.toFixed(2)} MB more than before`)
    // 100 bytes for each would be 1 MB.
    expect(grown).toBeLessThan(1)
    expect((after.memory.external - before.memory.external) / MB).toBeLessThan(2)

    const closed = await server.ask<ServerFigures>({ do: 'close' })
    expect(closed.timers).toBe(0)
  }, 180_000)

  it('[D6] a project holds what its retention says, and not what it held before, however large its events are', async () => {
    const own = await Promise.all([Child.start('server-process'), Child.start('swarm')])
    const [quiet, reader] = own
    try {
      const { port } = await quiet.ask<ServerFigures>({ do: 'start', options: { limits: false } })
      await reader.ask({ do: 'open', port, count: 1 })
      await quiet.ask({ do: 'publish', count: 20, bytes: 60_000 })
      const before = await quiet.ask<ServerFigures>({ do: 'figures' })
      const { offset } = await quiet.ask<ServerFigures>({ do: 'publish', count: 400, bytes: 60_000 })
      await reader.ask({ do: 'reach', offset })
      const after = await quiet.ask<ServerFigures>({ do: 'figures' })
      const held = ({ memory }: ServerFigures) => (memory.heapUsed + memory.external) / MB
      expect(after.stats.retainedBytes).toBeLessThanOrEqual(1_048_576)
      // The window itself is there before: what is compared is what 24 MB that went through it left behind.
      expect(held(after) - held(before)).toBeLessThan(4)
    } finally {
      await Promise.all(own.map((child) => child.stop()))
    }
  }, 60_000)
})
