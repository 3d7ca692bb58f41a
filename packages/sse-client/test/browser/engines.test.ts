import { afterAll, describe, expect, test, vi } from 'vitest'
import { CASES } from '../bindings/event-source-cases'
import { type Engine, type EngineTab, type EngineWindow, engines, isInstalled, type RunningEngine } from './engines'
import { openSite, type Site, type SitePage } from './tabs-site'

interface Shown {
  rows: { id: string; n: number; version: number }[]
  counts: number[]
  resyncs: string[]
  errors: string[]
  state: string
  role: string
  restored: number
}

/** What a scenario is played with. */
interface Stage {
  readonly engine: Engine
  readonly browser: RunningEngine
  readonly window: EngineWindow
  readonly site: Site
}

const TABS = 20
const patiently = { timeout: 60_000, interval: 50 }
const running = new Map<string, Promise<RunningEngine>>()
const turns = new Map<string, Promise<unknown>>()

/** The same in each engine. Engines play beside one another, since they mostly wait; in each there is one scenario at a time. */
function inEach(
  sentence: string,
  page: SitePage,
  play: (stage: Stage) => Promise<void>,
  among: readonly Engine[] = engines,
): void {
  for (const engine of among) {
    const { name, needs } = engine
    const isMissing = !isInstalled(engine) && process.env.ENTITYCAST_REQUIRE_SERVICES !== '1'
    if (isMissing) console.warn(`engines: ${name} is skipped; it needs ${needs.join(' and ')}`)
    test.skipIf(isMissing).concurrent(`${sentence}: ${name}`, () => {
      const mine = (turns.get(name) ?? Promise.resolve()).then(async () => {
        if (!running.has(name)) running.set(name, engine.start())
        const started = (await running.get(name)) as RunningEngine
        const site = await openSite(page)
        const window = await started.window()
        try {
          await play({ engine, browser: started, window, site })
        } finally {
          await window.close()
          await site.close()
        }
      })
      turns.set(
        name,
        mine.catch(() => {}),
      )
      return mine
    })
  }
}

async function look(tab: EngineTab): Promise<Shown> {
  const text = await tab.read()
  if (!text) throw new Error('the page is not there yet')
  return JSON.parse(text)
}

const until = (tab: EngineTab, check: (shown: Shown) => void) =>
  vi.waitFor(async () => check(await look(tab)), patiently)

async function changes(site: Site, count: number): Promise<void> {
  for (let i = 0; i < count; i++) await site.change()
}

/** A page that is live. */
async function openPage({ window, site }: Stage): Promise<EngineTab> {
  const tab = await window.open()
  await tab.goto(site.url)
  await until(tab, ({ state }) => expect(state).toBe('connected'))
  await changes(site, 3)
  await expectEqual(site, [tab])
  return tab
}

/**
 * The table is the database, each count came once and in order, nobody was told to load again, and there is one connection. Who may load again
 * has loaded anew anyway.
 */
async function expectEqual(site: Site, tabs: readonly EngineTab[], mayLoadAgain?: EngineTab): Promise<void> {
  const byId = (rows: Shown['rows']) => [...rows].sort((a, b) => a.id.localeCompare(b.id))
  for (const tab of tabs) {
    await until(tab, ({ rows, counts, resyncs, errors, state }) => {
      expect([state, counts.at(-1)]).toEqual(['connected', site.count])
      expect(byId(rows)).toEqual(byId(site.rows))
      expect(counts).toEqual(counts.map((_, i) => (counts[0] as number) + i))
      expect([tab === mayLoadAgain ? [] : resyncs, errors]).toEqual([[], []])
    })
  }
  await vi.waitFor(() => expect(site.hub.stats().connections).toBe(1), patiently)
}

/** The tab that leads, before all others. */
function leaderFirst(tabs: readonly EngineTab[]): Promise<[EngineTab, ...EngineTab[]]> {
  return vi.waitFor(async () => {
    for (const tab of tabs) if ((await look(tab)).role === 'leader') return [tab, ...tabs.filter((one) => one !== tab)]
    throw new Error('no tab leads')
  }, patiently)
}

/** Each tab has been given what has changed since now. */
async function expectToGoOn(site: Site, tabs: readonly EngineTab[]): Promise<void> {
  const { count } = site
  for (const tab of tabs) await until(tab, ({ counts }) => expect(counts.at(-1)).toBeGreaterThan(count + 3))
}

/** Changes of the database that do not stop until it may rest. Ten a second: what a frozen tab misses on a busy machine is still kept. */
function keepBusy(site: Site): { rest(): Promise<void> } {
  let isBusy = true
  const work = (async () => {
    while (isBusy) {
      await site.change()
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  })()
  return {
    rest() {
      isBusy = false
      return work
    },
  }
}

describe('pages in Chromium, Firefox and WebKitGTK', { timeout: 120_000 }, () => {
  afterAll(async () => {
    for (const started of running.values()) await (await started).close()
  })

  inEach(
    '[D3, K8] the server is gone, and connections are refused: it goes on where it was',
    'engine-page.ts',
    async (stage) => {
      const { site } = stage
      const tab = await openPage(stage)
      await site.down()
      await until(tab, ({ state }) => expect(state).toBe('reconnecting'))
      await changes(site, 5)
      await site.up()
      await expectEqual(site, [tab])
      await changes(site, 2)
      await expectEqual(site, [tab])
    },
  )

  inEach(
    '[D3, K4] the server answers 503 for a while, where a native EventSource gives up',
    'engine-page.ts',
    async (stage) => {
      const { site } = stage
      const tab = await openPage(stage)
      site.answer(503)
      const { requests } = site
      await vi.waitFor(() => expect(site.requests).toBeGreaterThanOrEqual(requests + 2), patiently)
      expect((await look(tab)).state).toBe('reconnecting')
      await changes(site, 5)
      site.answer(undefined)
      await expectEqual(site, [tab])
    },
  )

  inEach('[D3, K8] in a worker: live, and after a cut it goes on where it was', 'worker-page.ts', async (stage) => {
    const { site } = stage
    const tab = await openPage(stage)
    site.cut()
    await changes(site, 5)
    await expectEqual(site, [tab])
  })

  inEach('[K4] 403: it stops, and says so', 'engine-page.ts', async (stage) => {
    const tab = await openPage(stage)
    stage.site.answer(403)
    await until(tab, ({ state }) => expect(state).toBe('disconnected'))
  })

  inEach('[K6] the browser sleeps: when it wakes, it has missed nothing', 'engine-page.ts', async (stage) => {
    const { browser, site } = stage
    const tab = await openPage(stage)
    browser.signal('SIGSTOP')
    try {
      // Longer than three heartbeats.
      const at = Date.now()
      while (Date.now() - at < 4_000) {
        await site.change()
        await new Promise((resolve) => setTimeout(resolve, 100))
      }
    } finally {
      browser.signal('SIGCONT')
    }
    await expectEqual(site, [tab])
    await changes(site, 2)
    await expectEqual(site, [tab])
  })

  inEach(
    '[K6 C9] left and come back to, from the back/forward cache where it is there: it goes on where it was, with one connection',
    'engine-page.ts',
    async (stage) => {
      const { engine, site } = stage
      const tab = await openPage(stage)
      await tab.goto(`${site.url}page.js`)
      await vi.waitFor(() => expect(site.hub.stats().connections).toBe(0), patiently)
      await changes(site, 5)
      await tab.goBack()
      await until(tab, ({ restored }) => expect(restored).toBe(engine.cachesStreams ? 1 : 0))
      await expectEqual(site, [tab])
    },
  )

  inEach(
    `[D2] ${TABS} tabs over HTTP/1.1 share one connection, also when the leading one is closed, reloaded, or frozen without a word, in mid-stream`,
    'tabs-page.ts',
    async ({ window, site }) => {
      const tabs: EngineTab[] = []
      for (let i = 0; i < TABS; i++) {
        const tab = await window.open()
        tabs.push(tab)
        await tab.goto(site.url)
      }
      await Promise.all(tabs.map((tab) => until(tab, ({ state }) => expect(state).toBe('connected'))))
      await expectEqual(site, tabs)
      expect(site.askers).toBe(1)

      const busy = keepBusy(site)
      try {
        const [closed, ...left] = await leaderFirst(tabs)
        await closed.close()
        const [reloaded, ...others] = await leaderFirst(left)
        await expectToGoOn(site, left)
        await reloaded.reload()
        // One of the others, unless they took that one for silent meanwhile on a busy machine: then it may be any of them.
        const [frozen] = await leaderFirst(left)
        await expectToGoOn(site, others)
        await site.freezeLeader()
        await vi.waitFor(() => expect(site.frozen).toBe(1), patiently)
        const awake = left.filter((tab) => tab !== frozen)
        await leaderFirst(awake)
        await expectToGoOn(site, awake)
        site.thaw()
        await busy.rest()
        await expectEqual(site, left, reloaded)
      } finally {
        await busy.rest()
      }
    },
    // Chromium's tabs are in tabs.test.ts, where they are frozen by the browser.
    engines.filter(({ name }) => name !== 'Chromium'),
  )

  inEach(
    '[W1] ours finds in each stream what the standard says; its own EventSource does, but where it is known not to',
    'cases-page.ts',
    async ({ engine, window, site }) => {
      const tab = await window.open()
      await tab.goto(site.url)
      const read = async () => JSON.parse((await tab.read()) ?? '{}')
      await vi.waitFor(async () => expect((await read()).isDone).toBe(true), patiently)
      const { native, ours } = await read()
      const expected = CASES.map(({ expected }) => expected)
      expect(ours).toEqual(expected)
      const differing = CASES.filter((_, i) => JSON.stringify(native[i]) !== JSON.stringify(expected[i]))
      expect(differing.map(({ name }) => name)).toEqual(engine.differsIn)
    },
  )
})
