import type { Browser, BrowserContext, Locator, Page } from 'playwright-core'

declare global {
  interface Window {
    /** Set once by the tests: gone after a reload. */
    sameDocument?: boolean
    /** Every toast that was ever shown: they go away by themselves, and a busy machine may look late. */
    everToasted: string[]
    /** Every text that was on the page since the board was first shown. */
    everShown: string
  }
}

/** A person with a browser of their own: a context with its own cookies, and one tab that shows the board. */
export class BoardTab {
  /** The stream requests that the tab has made. */
  readonly streams: string[] = []
  readonly pageErrors: string[] = []

  private constructor(
    readonly context: BrowserContext,
    readonly page: Page,
  ) {
    page.on('request', (request) => {
      if (new URL(request.url()).pathname === '/api/sse') this.streams.push(request.url())
    })
    page.on('pageerror', (error) => this.pageErrors.push(String(error)))
  }

  static async signIn(browser: Browser, url: string, tenant: string, user: string): Promise<BoardTab> {
    const context = await browser.newContext()
    const page = await context.newPage()
    const tab = new BoardTab(context, page)
    await page.addInitScript(() => {
      window.everShown = ''
      window.everToasted = []
      new MutationObserver((changes) => {
        for (const { target, addedNodes } of changes) {
          window.everShown += `${target.nodeType === Node.TEXT_NODE ? target.textContent : ''}\n`
          for (const node of addedNodes) {
            window.everShown += `${node.textContent}\n`
            if (node instanceof HTMLLIElement && node.closest('[aria-live]')) window.everToasted.push(node.innerText)
          }
        }
      }).observe(document, { subtree: true, childList: true, characterData: true })
    })
    await page.goto(url)
    await tab.fillSignIn(tenant, user)
    return tab
  }

  async fillSignIn(tenant: string, user: string): Promise<void> {
    const { page } = this
    await page.getByRole('radio', { name: tenant }).check()
    await page.getByRole('radio', { name: user }).check()
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.getByRole('table').waitFor()
    await page.evaluate(() => {
      window.sameDocument = true
      // What the sign-in page says does not count.
      window.everShown = document.body.innerText
    })
  }

  /** The row of a submission. */
  row(id: string): Locator {
    return this.page.locator(`tr[data-id="${id}"]`)
  }

  async open(id: string): Promise<void> {
    await this.row(id).getByRole('button').click()
    await this.drawer.waitFor()
  }

  get drawer(): Locator {
    return this.page.getByRole('complementary')
  }

  /** Resolves when a toast with this text was shown. */
  async toasted(text: string): Promise<void> {
    await this.page.waitForFunction((wanted) => window.everToasted.some((toast) => toast.includes(wanted)), text)
  }

  indicator(text: string): Locator {
    return this.page.getByRole('status').getByText(text, { exact: true })
  }

  everShown = (): Promise<string> => this.page.evaluate(() => window.everShown)

  /** Whether the tab was never reloaded. */
  sameDocument = (): Promise<boolean> => this.page.evaluate(() => window.sameDocument === true)

  /** What this person does with the API, with the cookie of the tab. */
  async approve(url: string, id: string): Promise<void> {
    const response = await this.context.request.post(`${url}/api/submissions/${id}/decision`, {
      data: { decision: 'approved', version: 1 },
    })
    if (!response.ok()) throw new Error(`${response.status()} ${await response.text()}`)
  }

  close = (): Promise<void> => this.context.close()
}
