import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { type Browser, chromium } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { MISSING, TwoInstances } from '../../../../test/support/two-instances'
import { BoardTab } from './board-tab'

const MAIN = fileURLToPath(new URL('../../dist/server/main.js', import.meta.url))
const CHROMIUM = '/usr/bin/chromium'
const missing = [...MISSING, ...(existsSync(CHROMIUM) ? [] : [CHROMIUM])]
const isSkipped = missing.length > 0 && process.env.ENTITYCAST_REQUIRE_SERVICES !== '1'
if (isSkipped) console.warn(`express-validation on two instances: skipped, because there is no ${missing.join(', ')}`)

const soon = { timeout: 60_000, interval: 50 }

describe.skipIf(isSkipped)(
  'the validation board on two instances behind nginx, with REDIS_URL',
  { timeout: 120_000 },
  () => {
    let browser: Browser
    beforeAll(async () => {
      browser = await chromium.launch({
        executablePath: CHROMIUM,
        args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--no-first-run'],
      })
    })
    afterAll(() => browser?.close())

    it('[D3 B1] boards that are moved from one instance to the other miss nothing and load nothing again; locks hold at both', async () => {
      const instances = await TwoInstances.start(MAIN, { DRAIN_MS: '200', REMINDER_INTERVAL_MS: '0' })
      onTestFinished(() => instances.dispose())
      const boards = []
      for (const user of ['Dana Whitfield', 'Kim Osei', 'Lee Tran']) {
        const tab = await BoardTab.signIn(browser, instances.url, 'Harbor Bank', user)
        onTestFinished(() => tab.close())
        await tab.indicator('Live').waitFor()
        const seen = { loads: 0 }
        tab.page.on('request', (request) => {
          if (request.url().endsWith('/api/bootstrap')) seen.loads++
        })
        boards.push({ tab, seen })
      }
      const [dana, kim, lee] = boards.map(({ tab }) => tab) as [BoardTab, BoardTab, BoardTab]
      // For a moment nginx may know of no instance that answers: 502, and nothing was stored.
      const approve = (id: string) => vi.waitFor(() => dana.approve(instances.url, id), soon)

      // Each board is on one of them, so it is moved by one of the two kills.
      await instances.end('a', 'SIGKILL')
      await approve('harbor-bank-1042')
      for (const { tab } of boards) await tab.row('harbor-bank-1042').getByText('Approved').waitFor()
      await instances.launch('a')
      await instances.end('b', 'SIGKILL')
      await approve('harbor-bank-1043')
      for (const { tab } of boards) await tab.row('harbor-bank-1043').getByText('Approved').waitFor()
      await instances.launch('b')

      await kim.open('harbor-bank-1044')
      for (const tab of [dana, lee]) await tab.row('harbor-bank-1044').getByText('Kim is reviewing…').waitFor()
      // Whichever instance is asked, it knows of the lock: four requests reach both of them.
      for (let request = 0; request < 4; request++) {
        const answer = await lee.context.request.put(`${instances.url}/api/submissions/harbor-bank-1044/lock`, {
          data: { holder: 'another drawer' },
        })
        expect(answer.status()).toBe(423)
      }
      for (const { tab, seen } of boards) {
        expect(seen.loads).toBe(0)
        expect(await tab.sameDocument()).toBe(true)
        expect(tab.pageErrors).toEqual([])
      }
    })
  },
)
