import { existsSync } from 'node:fs'
import { type Browser, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { eventually, TicketServer } from '../ticket-server'

const CHROMIUM = '/usr/bin/chromium'
const isRequired = process.env.ENTITYCAST_REQUIRE_SERVICES === '1'
const isMissing = !existsSync(CHROMIUM)
if (isMissing && !isRequired) console.warn(`cluster: skipped, because there is no ${CHROMIUM}`)
if (!existsSync(new URL('../../dist/page.js', import.meta.url))) {
  throw new Error('not built; run: npx turbo run build --filter=@entitycast-example/cluster')
}

describe.skipIf(isMissing && !isRequired)('tickets in Chromium', { timeout: 120_000 }, () => {
  let browser: Browser
  let server: TicketServer
  const errors: string[] = []
  beforeAll(async () => {
    server = await TicketServer.start()
    browser = await chromium.launch({
      executablePath: CHROMIUM,
      args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--no-first-run'],
    })
  })
  afterAll(async () => {
    await browser?.close()
    await server?.end()
  })

  const footer = (page: Page) => page.getByRole('status').innerText()
  const workerOf = async (page: Page) => Number(/worker (\d+)/.exec(await footer(page))?.[1])

  /** A window whose stream is from this worker. */
  async function open(worker: number): Promise<Page> {
    const page = await browser.newPage()
    page.on('pageerror', ({ message }) => errors.push(message))
    onTestFinished(() => page.close())
    for (let tries = 0; ; tries++) {
      await page.goto(server.url)
      await eventually(async () => expect(await footer(page)).toMatch(/^connected/))
      const dealt = await workerOf(page)
      if (dealt === worker) return page
      expect(tries, `dealt ${dealt}, where ${worker} was wanted`).toBeLessThan(10)
      // However many connections a page takes up, an even number or an odd one: the next page or the one after it is dealt the other worker.
      if (tries % 2 === 1) await server.takeTurn()
    }
  }

  it('[cluster] two windows at different workers show the same tickets, also after one of the workers was killed', async () => {
    const [first = 0, second = 0] = server.workers()
    const [one, two] = [await open(first), await open(second)]
    await one.getByRole('textbox').fill('Water the plants')
    await one.getByRole('button', { name: 'Add' }).click()
    await two.getByText('Water the plants').waitFor()
    await server.kill(first)
    await two.getByRole('button', { name: 'Done' }).click()
    await one.locator('li.done').waitFor()
    await eventually(async () => expect(await footer(one)).toMatch(/^connected, .*; loaded again 0 times$/))
    expect(await workerOf(one)).not.toBe(first)
    expect(errors).toEqual([])
  })
})
