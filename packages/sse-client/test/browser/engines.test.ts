import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { type EngineTab, engines, isInstalled, type RunningEngine } from './engines'
import { openSite, type Site } from './tabs-site'

interface Shown {
  rows: { id: string; n: number; version: number }[]
  counts: number[]
  resyncs: string[]
  states: string[]
  state: string
  restored: number
}

const patiently = { timeout: 60_000, interval: 50 }
async function look(tab: EngineTab): Promise<Shown> {
  const text = await tab.read()
  if (!text) throw new Error('the page is not there yet')
  return JSON.parse(text)
}

describe.each(engines)('a page in $name', { timeout: 120_000 }, (engine) => {
  const { name, needs, start } = engine
  const isMissing = !isInstalled(engine) && process.env.ENTITYCAST_REQUIRE_SERVICES !== '1'
  if (isMissing) console.warn(`engines: ${name} is skipped; it needs ${needs.join(' and ')}`)
  let running: RunningEngine
  beforeAll(async () => {
    if (!isMissing) running = await start()
  })
  afterAll(() => running?.close())

  /** A page that is live. */
  async function open() {
    const site = await openSite('engine-page.ts')
    const tab = await running.open()
    onTestFinished(async () => {
      await tab.close()
      await site.close()
    })
    await tab.goto(site.url)
    await until(tab, ({ state }) => expect(state).toBe('connected'))
    await changes(site, 3)
    await expectEqual(site, tab)
    return { site, tab }
  }

  const until = (tab: EngineTab, check: (shown: Shown) => void) =>
    vi.waitFor(async () => check(await look(tab)), patiently)

  async function changes(site: Site, count: number): Promise<void> {
    for (let i = 0; i < count; i++) await site.change()
  }

  /** The table is the database, each count came once and in order, nobody was told to load again, and there is one connection. */
  async function expectEqual(site: Site, tab: EngineTab): Promise<void> {
    const byId = (rows: Shown['rows']) => [...rows].sort((a, b) => a.id.localeCompare(b.id))
    await until(tab, ({ rows, counts, resyncs, state }) => {
      expect([state, counts.at(-1)]).toEqual(['connected', site.count])
      expect(byId(rows)).toEqual(byId(site.rows))
      expect(counts).toEqual(counts.map((_, i) => (counts[0] as number) + i))
      expect(resyncs).toEqual([])
    })
    await vi.waitFor(() => expect(site.hub.stats().connections).toBe(1), patiently)
  }

  test.skipIf(isMissing)(
    '[D3, K8] the server is gone, and connections are refused: it goes on where it was',
    async () => {
      const { site, tab } = await open()
      await site.down()
      await until(tab, ({ state }) => expect(state).toBe('reconnecting'))
      await changes(site, 5)
      await site.up()
      await expectEqual(site, tab)
      await changes(site, 2)
      await expectEqual(site, tab)
    },
  )

  test.skipIf(isMissing)(
    '[D3, K4] the server answers 503 for a while, where a native EventSource gives up',
    async () => {
      const { site, tab } = await open()
      site.answer(503)
      const { requests } = site
      await vi.waitFor(() => expect(site.requests).toBeGreaterThanOrEqual(requests + 2), patiently)
      expect((await look(tab)).state).toBe('reconnecting')
      await changes(site, 5)
      site.answer(undefined)
      await expectEqual(site, tab)
    },
  )

  test.skipIf(isMissing)('[K4] 403: it stops, and says so', async () => {
    const { site, tab } = await open()
    site.answer(403)
    await until(tab, ({ state }) => expect(state).toBe('disconnected'))
  })

  test.skipIf(isMissing)('[K6] the browser sleeps: when it wakes, it has missed nothing', async () => {
    const { site, tab } = await open()
    running.signal('SIGSTOP')
    try {
      // Longer than three heartbeats.
      const at = Date.now()
      while (Date.now() - at < 4_000) {
        await site.change()
        await new Promise((resolve) => setTimeout(resolve, 100))
      }
    } finally {
      running.signal('SIGCONT')
    }
    await expectEqual(site, tab)
    await changes(site, 2)
    await expectEqual(site, tab)
  })

  test.skipIf(isMissing)('[K6] left and come back to: it goes on where it was, with one connection', async () => {
    const { site, tab } = await open()
    await tab.goto(`${site.url}rows`)
    await vi.waitFor(() => expect(site.hub.stats().connections).toBe(0), patiently)
    await changes(site, 5)
    await tab.goBack()
    await expectEqual(site, tab)
  })
})
