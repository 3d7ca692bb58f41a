import { existsSync } from 'node:fs'
import type { BrowserContext, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { CHROMIUM, setLifecycle, startChromium } from './chromium-process'
import { openSite, type Site } from './tabs-site'

const isMissing = !existsSync(CHROMIUM) && process.env.ENTITYCAST_REQUIRE_SERVICES !== '1'
if (isMissing) console.warn(`tabs: skipped, because there is no ${CHROMIUM}`)

const TABS = 20
/** The leading tab keeps 1,000 blocks for the others: one that is frozen for a minute misses fewer of them. */
const SLOWLY_MS = 150
const patiently = { timeout: 60_000, interval: 100 }

interface Shown {
  rows: { id: string; n: number; version: number }[]
  counts: number[]
  resyncs: string[]
  role: string
  state: string
}

const look = (tab: Page): Promise<Shown> =>
  tab.evaluate(() => {
    const { tabs } = globalThis as unknown as { tabs: Shown & { role(): string; state(): string } }
    const { rows, counts, resyncs } = tabs
    return { rows, counts, resyncs, role: tabs.role(), state: tabs.state() }
  })

describe.skipIf(isMissing)('one connection for all tabs, in Chromium over HTTP/1.1', { timeout: 180_000 }, () => {
  let chromium: Awaited<ReturnType<typeof startChromium>>
  beforeAll(async () => {
    chromium = await startChromium()
  })
  afterAll(() => chromium?.close())

  /** A site, a person with this many tabs of it, and a database that never stops changing while the test wants it to. */
  async function open(count: number, paceMs = 20) {
    const site = await openSite()
    const { context } = chromium
    let isBusy = true
    const work = (async () => {
      while (isBusy) {
        await site.change()
        await new Promise((resolve) => setTimeout(resolve, paceMs))
      }
    })()
    const rest = async () => {
      isBusy = false
      await work
    }
    onTestFinished(async () => {
      await rest()
      for (const page of context.pages()) if (page.url().startsWith(site.url)) await page.close()
      await site.close()
    })
    const tabs: Page[] = []
    for (let i = 0; i < count; i++) tabs.push(await openTab(context, site))
    await all(tabs, ({ state }) => expect(state).toBe('connected'))
    await vi.waitFor(() => expect(site.hub.stats().connections).toBe(Math.min(count, 1)), patiently)
    return { site, context, tabs, rest }
  }

  async function openTab(
    context: BrowserContext,
    site: Site,
    prepare?: (tab: Page) => Promise<unknown>,
  ): Promise<Page> {
    const tab = await context.newPage()
    await prepare?.(tab)
    await tab.goto(site.url)
    await tab.waitForFunction(() => (globalThis as unknown as { tabs?: { state(): string } }).tabs?.state() !== 'none')
    return tab
  }

  async function all(tabs: readonly Page[], check: (shown: Shown) => void): Promise<void> {
    for (const tab of tabs) await vi.waitFor(async () => check(await look(tab)), patiently)
  }

  async function leaderOf(tabs: readonly Page[]): Promise<Page> {
    const find = async () => {
      for (const tab of tabs) if ((await look(tab)).role === 'leader') return tab
      throw new Error('no tab leads')
    }
    return vi.waitFor(find, patiently)
  }

  /** Every table is the database, every count came once and in order, and one connection is held. Who may load again has loaded anew anyway. */
  async function expectEqual(site: Site, tabs: readonly Page[], mayLoadAgain?: Page): Promise<void> {
    const byId = (rows: Shown['rows']) => [...rows].sort((a, b) => a.id.localeCompare(b.id))
    await all(tabs, ({ rows, counts }) => {
      expect(counts.at(-1)).toBe(site.count)
      expect(byId(rows)).toEqual(byId(site.rows))
      expect(
        counts.flatMap((now, i) => (i === 0 || now === (counts[i - 1] as number) + 1 ? [] : [[counts[i - 1], now]])),
      ).toEqual([])
    })
    await all(
      tabs.filter((tab) => tab !== mayLoadAgain),
      ({ resyncs }) => expect(resyncs).toEqual([]),
    )
    await vi.waitFor(() => expect(site.hub.stats().connections).toBe(1), patiently)
  }

  test(`[D2] ${TABS} tabs: one connection at the server, all tables equal; also when the leading tab is closed, and when it is reloaded, in mid-stream`, async () => {
    const { site, tabs, rest } = await open(TABS)
    expect(site.askers).toBe(1)
    await vi.waitFor(() => expect(site.hub.stats().connections).toBe(1), patiently)

    const closed = await leaderOf(tabs)
    await closed.close()
    const left = tabs.filter((tab) => tab !== closed)
    const reloaded = await leaderOf(left)
    const before = (await look(reloaded)).counts.at(-1) ?? 0
    await all(left, ({ counts }) => expect(counts.at(-1)).toBeGreaterThan(before + 10))

    await reloaded.reload()
    await all(left, ({ counts, state }) => {
      expect(state).toBe('connected')
      expect(counts.at(-1)).toBeGreaterThan(before + 60)
    })
    await rest()
    // It has loaded what the new leader is still catching up with, in a page that cannot be divided.
    await expectEqual(site, left, reloaded)
  })

  test('[D9] the leading tab is frozen in mid-stream, and says so: another one takes over at once; when it wakes, all are equal', async () => {
    const { site, tabs, rest } = await open(4, SLOWLY_MS)
    const frozen = await leaderOf(tabs)
    await setLifecycle(frozen, 'frozen')
    const left = tabs.filter((tab) => tab !== frozen)
    await leaderOf(left)
    const { count } = site
    await all(left, ({ counts }) => expect(counts.at(-1)).toBeGreaterThan(count + 20))
    await vi.waitFor(() => expect(site.hub.stats().connections).toBe(1), patiently)
    await setLifecycle(frozen, 'active')
    await rest()
    await expectEqual(site, tabs)
  })

  test('[D9] the leading tab is frozen in mid-stream without a word: it is replaced, and follows when it wakes', async () => {
    const { site, context, rest } = await open(0, SLOWLY_MS)
    // The first one that connects leads.
    const deaf = await openTab(context, site, (tab) =>
      tab.addInitScript(() => {
        for (const type of ['freeze', 'resume', 'visibilitychange']) {
          globalThis.addEventListener(type, (event) => event.stopImmediatePropagation(), true)
        }
      }),
    )
    await all([deaf], ({ role, state }) => expect([role, state]).toEqual(['leader', 'connected']))
    const left = [await openTab(context, site), await openTab(context, site)]
    await all(left, ({ role, state }) => expect([role, state]).toEqual(['follower', 'connected']))
    await setLifecycle(deaf, 'frozen')
    await leaderOf(left)
    const { count } = site
    await all(left, ({ counts, state }) => {
      expect(state).toBe('connected')
      expect(counts.at(-1)).toBeGreaterThan(count + 20)
    })
    await setLifecycle(deaf, 'active')
    await all([deaf], ({ role }) => expect(role).toBe('follower'))
    await rest()
    await expectEqual(site, [deaf, ...left])
  })

  test('[P8] another user in the same browser has a connection of their own', async () => {
    const { site, context } = await open(2)
    const other = await context.newPage()
    await other.goto(`${site.url}?identity=u2`)
    await all([other], ({ role, state }) => expect([role, state]).toEqual(['leader', 'connected']))
    await vi.waitFor(() => expect(site.hub.stats().connections).toBe(2), patiently)
  })
})
