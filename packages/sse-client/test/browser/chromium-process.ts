import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type BrowserContext, chromium } from 'playwright-core'

export const CHROMIUM = '/usr/bin/chromium'

/** A Chromium whose tabs can be hidden and frozen. One that playwright starts pretends that every tab is looked at. */
export async function startChromium(): Promise<{ context: BrowserContext; close(): Promise<void> }> {
  const profile = mkdtempSync(path.join(tmpdir(), 'entitycast-chromium-'))
  const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-background-networking', '--no-first-run']
  const child = spawn(CHROMIUM, [...flags, '--remote-debugging-port=0', `--user-data-dir=${profile}`, 'about:blank'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const ended = new Promise<void>((resolve) => child.on('exit', () => resolve()))
  const address = await new Promise<string>((resolve, reject) => {
    let printed = ''
    child.stderr.on('data', (chunk) => {
      printed += chunk
      const [found] = /ws:\S+/.exec(printed) ?? []
      if (found) resolve(found)
    })
    child.on('error', reject)
    child.on('exit', (code) => reject(new Error(`Chromium ended with ${code}: ${printed}`)))
  })
  const browser = await chromium.connectOverCDP(address, { noDefaults: true })
  return {
    context: browser.contexts()[0] as BrowserContext,
    async close() {
      const session = await browser.newBrowserCDPSession()
      await session.send('Browser.close').catch(() => {})
      await ended
      rmSync(profile, { recursive: true, force: true, maxRetries: 10 })
    },
  }
}

/** What the browser does with a tab that nobody has looked at for long. */
export async function setLifecycle(tab: import('playwright-core').Page, state: 'frozen' | 'active'): Promise<void> {
  const session = await tab.context().newCDPSession(tab)
  await session.send('Page.setWebLifecycleState', { state })
  await session.detach()
}
