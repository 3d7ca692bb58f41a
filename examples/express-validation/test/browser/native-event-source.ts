import type { BrowserContext, Page } from 'playwright-core'

export interface NativeEvent {
  type: string
  lastEventId: string
  // biome-ignore lint/suspicious/noExplicitAny: events of every type, looked at by the tests
  data: any
}

/**
 * The browser's own `EventSource`, untouched, in a page that has none of our code: a document of the same origin, with the cookie.
 */
export class NativeEventSource {
  private constructor(readonly page: Page) {}

  static async open(context: BrowserContext, url: string): Promise<NativeEventSource> {
    const page = await context.newPage()
    await page.goto(`${url}/api/tenants`)
    await page.evaluate(() => {
      const events: object[] = []
      const source = new EventSource('/api/sse?channels=validation,notifications')
      for (const type of ['connected', 'resync', 'closing', 'entity.updated', 'submission:approved']) {
        source.addEventListener(type, ({ lastEventId, data }) =>
          events.push({ type, lastEventId, data: JSON.parse(data) }),
        )
      }
      Object.assign(window, { events, source })
    })
    return new NativeEventSource(page)
  }

  events(): Promise<NativeEvent[]> {
    return this.page.evaluate(() => (window as unknown as { events: NativeEvent[] }).events)
  }
}
