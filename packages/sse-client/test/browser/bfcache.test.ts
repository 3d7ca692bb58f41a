import { existsSync } from 'node:fs'
import { expect, onTestFinished, test, vi } from 'vitest'
import { CHROMIUM, startChromium } from './chromium-process'
import { openSite } from './tabs-site'

const isMissing = !existsSync(CHROMIUM) && process.env.ENTITYCAST_REQUIRE_SERVICES !== '1'
if (isMissing) console.warn(`bfcache: skipped, because there is no ${CHROMIUM}`)

const patiently = { timeout: 30_000, interval: 50 }

interface Shown {
  counts: number[]
  resyncs: string[]
  state: string
  restored: number
}

test.skipIf(isMissing)(
  '[K6] an open stream does not keep the page out of the back/forward cache; restored, it goes on where it was',
  async () => {
    const site = await openSite('engine-page.ts')
    const { context, close } = await startChromium()
    onTestFinished(async () => {
      await close()
      await site.close()
    })
    const tab = await context.newPage()
    const look = () =>
      tab.evaluate(() => JSON.parse(JSON.stringify((globalThis as unknown as { page: Shown }).page)) as Shown)
    await tab.goto(site.url)
    await vi.waitFor(async () => expect((await look()).state).toBe('connected'), patiently)
    await site.change()
    await vi.waitFor(async () => expect((await look()).counts).toEqual([0, 1]), patiently)

    await tab.goto(`${site.url}rows`)
    await vi.waitFor(() => expect(site.hub.stats().connections).toBe(0), patiently)
    await site.change()
    await tab.goBack({ waitUntil: 'commit' })
    await vi.waitFor(
      async () =>
        expect(await look()).toMatchObject({ counts: [0, 1, 2], resyncs: [], state: 'connected', restored: 1 }),
      patiently,
    )
    expect(site.hub.stats().connections).toBe(1)
  },
)
