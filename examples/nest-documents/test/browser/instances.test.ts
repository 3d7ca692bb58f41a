import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { type Browser, chromium } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { MISSING, TwoInstances } from '../../../../test/support/two-instances'
import { ApiClient } from './api-client.js'
import { Tab } from './tab.js'

const MAIN = fileURLToPath(new URL('../../dist/server/main.js', import.meta.url))
const CHROMIUM = process.env.CHROMIUM_PATH ?? '/usr/bin/chromium'
const missing = [...MISSING, ...(existsSync(CHROMIUM) ? [] : [CHROMIUM])]
const isSkipped = missing.length > 0 && process.env.ENTITYCAST_REQUIRE_SERVICES !== '1'
if (isSkipped) console.log(`skipped: nest-documents on two instances, because there is no ${missing.join(', ')}`)

const QUICK = { SSE_HEARTBEAT_INTERVAL_MS: '1000', SSE_RECONNECT_TIMEOUT_MS: '100', EMBEDDING_DELAY_MS: '60' }
const soon = { timeout: 60_000, interval: 50 }

describe.skipIf(isSkipped)('nest-documents on two instances behind nginx, with REDIS_URL', { timeout: 240_000 }, () => {
  let browser: Browser
  beforeAll(async () => {
    browser = await chromium.launch({
      executablePath: CHROMIUM,
      args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--no-first-run'],
    })
  })
  afterAll(() => browser?.close())

  async function start(): Promise<TwoInstances> {
    const instances = await TwoInstances.start(MAIN, QUICK)
    onTestFinished(() => instances.dispose())
    return instances
  }

  it('[D3 B1] a page that is moved from one instance to the other, by a kill and by a deploy in the middle of the work, goes on where it was: nothing is loaded again', async () => {
    const instances = await start()
    const tabs = await Promise.all(
      ['user_maya', 'user_tomas'].map(async (person) => {
        const tab = await Tab.open(browser, instances.url, person)
        onTestFinished(() => tab.close())
        const seen = { loads: 0, streams: 0 }
        tab.page.on('request', (request) => {
          const { pathname } = new URL(request.url())
          if (pathname === '/api/documents' && request.method() === 'GET') seen.loads++
          if (pathname === '/api/events/stream') seen.streams++
        })
        return { tab, seen }
      }),
    )
    const api = await ApiClient.signIn(instances.url, 'user_maya', 'proj_northwind')
    // For a moment nginx may know of no instance that answers: 502, and nothing was stored.
    const upload = (title: string) =>
      vi.waitFor(async () => expect((await api.upload(title, 'A short text.')).status).toBe(201), soon)

    // Each page is on one of them, so it is moved by one of the two kills.
    await instances.end('a', 'SIGKILL')
    await upload('one.txt')
    for (const { tab } of tabs) await tab.untilSummary('1 of 34 chunks embedded')
    await instances.launch('a')
    await instances.end('b', 'SIGKILL')
    await upload('two.txt')
    for (const { tab } of tabs) await tab.untilSummary('2 of 35 chunks embedded')
    for (const { seen } of tabs) expect(seen.streams).toBeGreaterThan(0)

    // A deploy: one after the other, while both of them work.
    await instances.launch('b')
    await tabs[0]!.tab.page.getByTestId('embed').click()
    for (const name of ['a', 'b'] as const) {
      await underWay(tabs[1]!.tab)
      await instances.end(name, 'SIGTERM')
      await instances.launch(name)
    }
    const { documents } = await finished(api)
    for (const { tab, seen } of tabs) {
      await vi.waitFor(async () => expect(await progressOf(tab)).toEqual(documents), soon)
      expect(seen.loads).toBe(0)
      expect(await tab.wasNotReloaded()).toBe(true)
      expect(tab.errors).toEqual([])
    }
  })

  it('[D4 B1] an instance that is killed in the middle of its work: the other one does the rest, and every page ends equal to the database', async () => {
    const instances = await start()
    const tab = await Tab.open(browser, instances.url, 'user_maya')
    onTestFinished(() => tab.close())
    await tab.page.getByTestId('embed').click()
    await underWay(tab)
    await instances.end('a', 'SIGKILL')
    const api = await ApiClient.signIn(instances.url, 'user_maya', 'proj_northwind')
    const { documents, chunks } = await finished(api)
    await vi.waitFor(async () => expect(await progressOf(tab)).toEqual(documents), soon)
    const title = 'kelp-survey-field-notes.txt'
    const { id } = (await tab.documents()).find((document) => document.title === title)!
    const stored = chunks.filter(({ documentId }) => documentId === id).sort((a, b) => a.ordinal - b.ordinal)
    await vi.waitFor(
      async () =>
        expect(await tab.chunks(title)).toEqual(stored.map((chunk) => ({ id: chunk.id, status: chunk.status }))),
      soon,
    )
    expect(await tab.wasNotReloaded()).toBe(true)
  })
})

/** Waits until something is being embedded. Where all of it is done meanwhile, it is done again: how long an instance takes to start is the machine's. */
async function underWay(tab: Tab): Promise<void> {
  await vi.waitFor(async () => {
    const all = (await tab.documents()).map(({ status }) => status)
    if (all.every((status) => status === 'Embedded')) {
      await tab.page.getByTestId('reset').click()
      await tab.page.getByTestId('embed').click()
    }
    expect(all).toContain('Embedding')
  }, soon)
}

/** What the database has when everything is embedded. */
async function finished(api: ApiClient) {
  const loaded = await vi.waitFor(async () => {
    const loaded = await api.load()
    expect(loaded.documents.map(({ status }) => status)).toEqual(loaded.documents.map(() => 'embedded'))
    return loaded
  }, soon)
  const documents = loaded.documents.map(({ title, embeddedChunks, chunks }) => `${title} ${embeddedChunks}/${chunks}`)
  return { documents, chunks: loaded.chunks }
}

async function progressOf(tab: Tab): Promise<string[]> {
  return (await tab.documents()).map(({ title, progress }) => `${title} ${progress.replace(' embedded', '')}`)
}
