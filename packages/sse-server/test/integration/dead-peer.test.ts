import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Child } from '../support/child'
import { Networks, noNetworks, serverAt } from '../support/networks'
import type { Opening, VanishingClientsReport } from '../support/vanishing-clients'
import type { VanishingServerReport } from '../support/vanishing-server'

/*
 * Peers who vanish for good or for a moment: their network's cable is pulled, and no packet says so.
 */

const HEARTBEAT_MS = 1_000
/** What a look may come late. Without a look at the kernel's tables it would be a quarter of an hour. */
const MARGIN = 0.5
const WAIT = { timeout: 60_000, interval: 20 }

if (noNetworks !== undefined) console.warn(`skipped: the tests of vanished peers: ${noNetworks}`)

describe.skipIf(noNetworks !== undefined)('a peer that the network has swallowed', { timeout: 120_000 }, () => {
  let networks: Networks
  let server: Child
  const clients: Child[] = []
  beforeEach(async () => {
    networks = await Networks.make(2)
    server = await Child.start('vanishing-server', networks.in())
    for (const cable of [0, 1]) clients.push(await Child.start('vanishing-clients', networks.in(cable)))
  }, 60_000)
  afterEach(async () => {
    await Promise.all([server, ...clients.splice(0)].map((child) => child?.stop()))
    await networks?.remove()
  })

  const report = () => server.ask<VanishingServerReport>({ do: 'report' })
  const atCable = async (cable: number) => (await at(cable).ask<VanishingClientsReport>({ do: 'report' })).streams
  const at = (cable: number) => clients[cable] as Child

  const start = (heartbeatMs: number) => server.ask({ do: 'start', heartbeatMs })

  /** One stream of each kind at the end of a cable, their users named after it. */
  async function openAll(cable: number): Promise<string[]> {
    const { ports } = await report()
    const { four, six } = serverAt(cable)
    const streams: Opening[] = [
      { user: `four-${cable}`, host: four, port: ports.four, over: 'http' },
      { user: `mapped-${cable}`, host: four, port: ports.dual, over: 'http' },
      { user: `six-${cable}`, host: six, port: ports.dual, over: 'http' },
      { user: `tls-${cable}`, host: four, port: ports.tls, over: 'tls' },
      { user: `http2-${cable}`, host: six, port: ports.http2, over: 'http2' },
    ]
    await at(cable).ask({ do: 'open', streams })
    return streams.map(({ user }) => user)
  }

  it('[D9] is noticed by the server within three heartbeats, over IPv4, IPv6, TLS and HTTP/2, and nobody else is', async () => {
    await start(HEARTBEAT_MS)
    const gone = await openAll(0)
    const here = await openAll(1)
    expect((await report()).users.sort()).toEqual([...gone, ...here].sort())
    await networks.pull(0)
    const { beats: pulledAt } = await report()
    await vi.waitFor(async () => expect((await report()).users.sort()).toEqual(here.sort()), WAIT)
    const { leftAt, stats } = await report()
    const took = Object.values(leftAt).map((at) => at - pulledAt)
    console.log(`noticed after ${took.map((beats) => beats.toFixed(2)).join(', ')} heartbeats`)
    expect(Object.keys(leftAt).sort()).toEqual(gone.sort())
    expect(Math.max(...took)).toBeLessThan(3 + MARGIN)
    expect(stats.closed).toEqual({ peer: gone.length })
    for (const stream of Object.values(await atCable(1))) expect(stream.ended).toBe(false)
  })

  it('[D9] is told from one that is stopped: its system answers, also when it has no room left', async () => {
    await start(HEARTBEAT_MS)
    await openAll(0)
    const stopped = await openAll(1)
    at(1).process.kill('SIGSTOP')
    try {
      // Until the stopped ones hold all they can, and the server's own system too. The others catch up between two bursts.
      await vi.waitFor(
        async () => {
          const { lagging } = await report()
          if (lagging !== stopped.length) await server.ask({ do: 'publish', count: 100 })
          expect(lagging).toBe(stopped.length)
        },
        { ...WAIT, interval: 200 },
      )
      await networks.pull(0)
      await vi.waitFor(async () => expect((await report()).users.sort()).toEqual(stopped.sort()), WAIT)
    } finally {
      at(1).process.kill('SIGCONT')
    }
    await vi.waitFor(async () => expect((await report()).lagging).toBe(0), WAIT)
    for (const stream of Object.values(await atCable(1))) expect(stream.ended).toBe(false)
  })

  it('[D9] is not given up for what had to be sent again: the stream goes on', async () => {
    await start(3 * HEARTBEAT_MS)
    const users = await openAll(0)
    await vi.waitFor(async () => expect((await report()).unacknowledged).toBe(0), WAIT)
    await networks.pull(0)
    const before = await atCable(0)
    await server.ask({ do: 'publish', count: 1 })
    await vi.waitFor(async () => expect((await report()).retried).toBe(users.length), WAIT)
    await networks.plug(0)
    await server.ask({ do: 'publish', count: 1 })
    await vi.waitFor(async () => {
      const now = await atCable(0)
      for (const user of users) expect(now[user]?.frames).toBeGreaterThanOrEqual((before[user]?.frames ?? 0) + 2)
    }, WAIT)
    expect(await report()).toMatchObject({ leftAt: {}, stats: { closed: {} } })
  })
})
