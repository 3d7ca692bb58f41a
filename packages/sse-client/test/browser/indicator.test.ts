import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { openSite, type Site } from './tabs-site'

const CHROMIUM = '/usr/bin/chromium'
const isMissing = !existsSync(CHROMIUM) && process.env.ENTITYCAST_REQUIRE_SERVICES !== '1'
if (isMissing) console.warn(`indicator: skipped, because there is no ${CHROMIUM}`)
/** `npm run screenshots` writes the pictures of docs/bindings.md anew. */
const picture = (name: string) =>
  fileURLToPath(new URL(`../../../../docs/images/connection-${name}.png`, import.meta.url))

describe.skipIf(isMissing)(
  'the indicator of docs/bindings.md says what is so, in Chromium',
  { timeout: 60_000 },
  () => {
    let browser: Browser
    beforeAll(async () => {
      browser = await chromium.launch({
        executablePath: CHROMIUM,
        args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--no-first-run'],
      })
    })
    afterAll(() => browser?.close())

    async function open(prepare: (site: Site) => void = () => {}, query = '') {
      const site = await openSite('indicator.tsx')
      prepare(site)
      const context = await browser.newContext({ viewport: { width: 360, height: 80 } })
      onTestFinished(async () => {
        await context.close()
        await site.close()
      })
      return { site, context, page: await openTab(context, site, query) }
    }

    async function openTab(context: BrowserContext, site: Site, query = ''): Promise<Page> {
      const page = await context.newPage()
      await page.goto(site.url + query)
      return page
    }

    /** Waits until the indicator says this, and takes its picture where pictures are wanted. */
    async function says(page: Page, text: RegExp, name: string): Promise<void> {
      const indicator = page.getByRole('status').filter({ hasText: text })
      await indicator.waitFor()
      if (process.env.ENTITYCAST_SCREENSHOTS) await indicator.screenshot({ path: picture(name) })
    }

    test('[K4] connecting: the server has not answered yet', async () => {
      const { page } = await open((site) => site.answer('nothing'))
      await says(page, /^Connecting…$/, 'connecting')
    })

    test('[D3] connected, and connected over another tab', async () => {
      const { site, context, page } = await open()
      await says(page, /^Live$/, 'connected')
      const second = await openTab(context, site)
      await says(second, /^Live · over another tab$/, 'follower')
      await vi.waitFor(() => expect(site.hub.stats().connections).toBe(1), { timeout: 30_000 })
    })

    test('[K4] reconnecting: how long it is until the next attempt, and not to wait for it', async () => {
      const { site, page } = await open()
      await says(page, /^Live$/, 'connected')
      site.answer(503, { 'Retry-After': '25' })
      await says(page, /^Reconnecting in 2\d snow$/, 'reconnecting')
      const seconds = async () => Number(/\d+/.exec(await page.getByRole('status').innerText())?.[0])
      const first = await seconds()
      await vi.waitFor(async () => expect(await seconds()).toBeLessThan(first), { timeout: 30_000 })
      site.answer(undefined)
      await page.getByRole('button').click()
      await says(page, /^Live$/, 'connected')
    })

    test('[D4] resyncing: until the data was loaded again', async () => {
      const { page } = await open(undefined, '?since=other.1')
      await says(page, /^Loading again…$/, 'resyncing')
      await page.evaluate(() => (globalThis as unknown as { loaded(): void }).loaded())
      await says(page, /^Live$/, 'connected')
    })

    test('[K4] disconnected: refused, and why', async () => {
      const { site, page } = await open((site) => site.answer(403))
      await says(page, /^Not live · not allowedagain$/, 'disconnected')
      site.answer(undefined)
      await page.getByRole('button').click()
      await says(page, /^Live$/, 'connected')
    })

    test('[K6] offline, and back', async () => {
      const { site, context, page } = await open()
      await says(page, /^Live$/, 'connected')
      await context.setOffline(true)
      site.cut()
      await says(page, /^Offline/, 'offline')
      await context.setOffline(false)
      await says(page, /^Live$/, 'connected')
    })
  },
)
