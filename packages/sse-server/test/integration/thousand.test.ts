import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { Child } from '../support/child'
import type { ServerFigures } from '../support/server-process'
import type { SwarmReport } from '../support/swarm'

const CONNECTIONS = 1_000
const EVENTS = 1_000

describe('a thousand connections', () => {
  let server: Child
  let swarm: Child
  beforeAll(async () => {
    ;[server, swarm] = await Promise.all([Child.start('server-process'), Child.start('swarm')])
  }, 60_000)
  afterAll(() => Promise.all([server?.stop(), swarm?.stop()]))

  it('[D1 D2] in one process all get a thousand events each, in order, none twice; after them nothing is left', async () => {
    const before = await server.ask<ServerFigures>({ do: 'start', options: { limits: false } })
    const { port } = before
    await swarm.ask<SwarmReport>({ do: 'open', port, count: CONNECTIONS })
    const open = await server.ask<ServerFigures>({ do: 'figures' })
    expect(open.stats).toMatchObject({ connections: CONNECTIONS, opened: CONNECTIONS })
    expect(open.timers).toBe(1)

    const published = await server.ask<ServerFigures>({ do: 'publish', count: EVENTS, bytes: 100 })
    const seen = await swarm.ask<SwarmReport>({ do: 'reach', offset: published.offset })
    expect(seen).toMatchObject({
      readers: CONNECTIONS,
      ids: CONNECTIONS * EVENTS,
      fewest: EVENTS,
      resyncs: 0,
      ended: 0,
    })
    expect(seen.faults).toEqual([])

    await swarm.ask({ do: 'close' })
    const after = await vi.waitFor(
      async () => {
        const figures = await server.ask<ServerFigures>({ do: 'figures' })
        expect(figures.stats.connections).toBe(0)
        // Also the look at the system's tables that was under way is over.
        expect(figures.resources).toEqual(before.resources)
        return figures
      },
      { timeout: 20_000, interval: 200 },
    )
    expect(after.stats).toMatchObject({ lagging: 0, closed: { peer: CONNECTIONS }, resyncs: {} })
    expect(after.listeners).toBe(before.listeners)

    const closed = await server.ask<ServerFigures>({ do: 'close' })
    expect(closed.timers).toBe(0)
    expect(closed.stats.projects).toBe(0)
    expect(closed.resources.TCPServerWrap ?? 0).toBe(0)
    expect(closed.unhandled).toBe(0)
  }, 120_000)
})
