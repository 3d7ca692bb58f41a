import type { Browser, Page } from 'playwright-core'
import { vi } from 'vitest'

declare global {
  interface Window {
    /** Set by the test after the page was loaded: gone after a reload. */
    marker?: string
    /** Every byte of every event stream that the page has opened. */
    streamed?: string
  }
}

export interface ShownDocument {
  id: string
  title: string
  progress: string
  status: string
}

/** One tab with the example's page in it, and what a person sees there. */
export class Tab {
  private constructor(
    readonly page: Page,
    readonly errors: string[],
  ) {}

  /** A tab of its own (its own sessionStorage) in which this person has signed in. */
  static async open(browser: Browser, url: string, personId: string): Promise<Tab> {
    const context = await browser.newContext({ viewport: { width: 1320, height: 900 } })
    const page = await context.newPage()
    const errors: string[] = []
    page.on('pageerror', (error) => errors.push(String(error)))
    await page.addInitScript(recordStreams)
    await page.goto(url)
    await page.getByTestId(`sign-in-${personId}`).click()
    const tab = new Tab(page, errors)
    await tab.until('connected')
    await page.evaluate(() => {
      window.marker = 'the same page'
    })
    return tab
  }

  /** Waits for a state of the connection indicator. */
  async until(state: 'connected' | 'reconnecting'): Promise<void> {
    await this.page.locator(`[data-testid="connection"][data-state="${state}"]`).waitFor({ timeout: 90_000 })
  }

  /** Waits until the line over the table says so. */
  async untilSummary(text: string): Promise<void> {
    await vi.waitUntil(async () => (await this.summary()) === text, { timeout: 90_000, interval: 50 })
  }

  summary(): Promise<string> {
    return this.page.getByTestId('summary').innerText()
  }

  documents(): Promise<ShownDocument[]> {
    return this.page.getByTestId('document').evaluateAll((rows) =>
      rows.map((row) => ({
        id: row.getAttribute('data-id') ?? '',
        title: row.querySelector('.title')?.textContent ?? '',
        progress: row.querySelector('[data-testid="progress"]')?.textContent ?? '',
        status: row.querySelector('.chip')?.textContent ?? '',
      })),
    )
  }

  /** Opens a document and reads its chunks: id and status. */
  async chunks(title: string): Promise<{ id: string; status: string }[]> {
    const panel = this.page.getByRole('region', { name: `Chunks of ${title}` })
    if (!(await panel.isVisible())) await this.page.getByRole('button', { name: title, exact: true }).click()
    return panel
      .getByTestId('chunk')
      .evaluateAll((rows) =>
        rows.map((row) => ({ id: row.getAttribute('data-id') ?? '', status: row.getAttribute('data-status') ?? '' })),
      )
  }

  /** Whether it is still the page that was opened. */
  async wasNotReloaded(): Promise<boolean> {
    return (await this.page.evaluate(() => window.marker)) === 'the same page'
  }

  streamed(): Promise<string> {
    return this.page.evaluate(() => window.streamed ?? '')
  }

  close(): Promise<void> {
    return this.page.context().close()
  }
}

/** Runs in the page, before it: keeps a copy of what its event streams bring. */
function recordStreams(): void {
  const original = window.fetch
  window.streamed = ''
  window.fetch = async (...args) => {
    const response = await original(...args)
    if (response.headers.get('content-type')?.startsWith('text/event-stream')) {
      const copy = response.clone().body?.pipeThrough(new TextDecoderStream()).getReader()
      const record = async () => {
        for (let part = await copy?.read(); part && !part.done; part = await copy?.read()) window.streamed += part.value
      }
      record().catch(() => {})
    }
    return response
  }
}
