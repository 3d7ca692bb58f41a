import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { tableText } from '../chaos/live-page'
import { type Broker, Fleet, longestPause } from './fleet'

const PAGES = 300
/** Long beside the moments in which a busy machine lets a process wait: those bring together whoever was due in them. */
const DRAIN_MS = 8_000
const WAIT = { timeout: 90_000, interval: 100 }

export interface FleetSuite {
  start(): Promise<Broker & { end(): Promise<void> }>
  /** Why pages must load again after the broker was killed and started again, each once. Empty: they need not. */
  killed: string[]
  wiped: string[]
  partitionMs: number
}

/** Three hubs at one broker, 300 pages, publishers at each hub, and everything that goes wrong in a cluster. */
export function describeFleet(name: string, suite: FleetSuite): void {
  describe(`three hubs and ${PAGES} pages over ${name}`, { timeout: 400_000 }, () => {
    let broker: Awaited<ReturnType<FleetSuite['start']>>
    let fleet: Fleet

    beforeAll(async () => {
      broker = await suite.start()
      fleet = await Fleet.start(broker, DRAIN_MS)
      fleet.startLoad()
      await fleet.open(PAGES)
      await allConnected()
    }, 240_000)

    afterAll(async () => {
      await fleet?.end()
      await broker?.end()
    })

    const allConnected = () => vi.waitFor(() => expect(fleet.connected).toBe(PAGES), WAIT)

    /** Does harm under load; then every page shows what the database has, no tick is missing or doubled, and was told `resyncs`. */
    async function harm(resyncs: string[], act: () => Promise<void>): Promise<void> {
      for (const page of fleet.pages) page.resyncs.length = 0
      const before = fleet.ticks
      await act()
      await allConnected()
      // Life goes on: at least so many are counted after the fault.
      const after = fleet.ticks
      await vi.waitFor(() => expect(fleet.ticks).toBeGreaterThan(after + 20), WAIT)
      await fleet.quiet()
      const truth = tableText([...fleet.rows.values()])
      await vi.waitFor(() => {
        for (const page of fleet.pages) {
          expect(page.shown).toBe(truth)
          expect(page.ticks.at(-1)).toBe(fleet.ticks)
        }
      }, WAIT)
      expect(fleet.ticks).toBeGreaterThan(before + 20)
      expect(fleet.oddities).toEqual([])
      expect(fleet.pages.flatMap(({ backwards }) => backwards)).toEqual([])
      for (const page of fleet.pages) expect(page.resyncs).toEqual(resyncs)
      fleet.startLoad()
    }

    it('[D3 B1] a hub is killed: its pages resume at the others, and none has to load again', async () => {
      await harm([], async () => {
        await fleet.hubs[0]!.end('SIGKILL')
        await vi.waitFor(() => expect(fleet.connected).toBe(PAGES), WAIT)
        await fleet.hubs[0]!.start()
      })
    })

    it('[D3 S7] a rolling deploy under load: no event is lost, no page loads again, and those that come back are spread', async () => {
      await harm([], async () => {
        for (const hub of fleet.hubs) {
          fleet.connects.length = 0
          const windowMs = DRAIN_MS / 10
          const startedAt = performance.now()
          let drainedMs = 0
          const pauseMs = await longestPause(hub, async () => {
            expect(await hub.end('SIGTERM')).toBe(0)
            drainedMs = performance.now() - startedAt
            await allConnected()
          })
          const { length } = fleet.connects
          const busiest = most(fleet.connects, windowMs)
          console.log(
            `${name}: drained in ${Math.round(drainedMs)} ms; ${length} streams asked for, at most ${busiest} in ${windowMs} ms; longest pause ${Math.round(pauseMs)} ms`,
          )
          await hub.start()
          // A tenth would be even, and all at once is what must not be. A pause of the machine brings together whoever was due in it.
          const share = (4 * (windowMs + pauseMs)) / DRAIN_MS
          expect(busiest).toBeLessThan(Math.max(30, length * share))
        }
      })
    })

    it('[B1] the broker is killed, and starts again', async () => {
      await harm(suite.killed, async () => {
        await broker.kill()
        await broker.restart()
        await serving()
      })
    })

    it('[B4] the broker is wiped', async () => {
      await harm(suite.wiped, async () => {
        await broker.wipe()
        await vi.waitFor(() => {
          for (const page of fleet.pages) expect(page.resyncs).toEqual(suite.wiped)
        }, WAIT)
      })
    })

    it(`[B1 D4] one hub is cut off from the broker for ${suite.partitionMs / 1_000} s: its pages are late, and then told everything`, async () => {
      await harm([], async () => {
        const [{ proxy }] = fleet.hubs as [Fleet['hubs'][0]]
        proxy.blackHole = true
        proxy.vanish()
        // This is the fault itself: so long nothing passes.
        await new Promise((resolve) => setTimeout(resolve, suite.partitionMs))
        proxy.blackHole = false
        proxy.cut()
        await serving()
      })
    })

    it('[B1 D4] the way to the broker flaps every second', async () => {
      await harm([], async () => {
        for (let second = 0; second < 8; second++) {
          for (const { proxy } of fleet.hubs) proxy.cut()
          await new Promise((resolve) => setTimeout(resolve, 1_000))
        }
        await serving()
      })
    })

    /** Every hub reaches its log again. */
    async function serving(): Promise<void> {
      await vi.waitFor(async () => {
        for (const hub of fleet.hubs) expect((await hub.ask({ stats: true })).stats?.degraded).toBe(false)
      }, WAIT)
    }
  })
}

/** The largest number of these times in any window of such a length. */
function most(times: readonly number[], windowMs: number): number {
  return Math.max(0, ...times.map((from) => times.filter((at) => at >= from && at < from + windowMs).length))
}
