import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Browser, chromium } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import type { DocumentRow } from '../../shared/model.js'
import { ApiClient } from './api-client.js'
import { ServerProcess } from './server-process.js'
import { type ShownDocument, Tab } from './tab.js'

const CHROMIUM = process.env.CHROMIUM_PATH ?? '/usr/bin/chromium'
const isMissing = !existsSync(CHROMIUM) && process.env.ENTITYCAST_REQUIRE_SERVICES !== '1'
if (isMissing) console.log(`skipped: nest-documents in a browser, because there is no ${CHROMIUM} (CHROMIUM_PATH)`)

const QUICK = { SSE_HEARTBEAT_INTERVAL_MS: '1000', SSE_RECONNECT_TIMEOUT_MS: '100', EMBEDDING_DELAY_MS: '40' }
/** Slow enough that a kill comes in the middle. */
const SLOW = { ...QUICK, EMBEDDING_DELAY_MS: '1500' }
const ALL = '33 of 33 chunks embedded'
const soon = { timeout: 60_000, interval: 50 }
const WORDS: Record<DocumentRow['status'], string> = {
  pending: 'Pending',
  queued: 'Queued',
  embedding: 'Embedding',
  embedded: 'Embedded',
}

describe.skipIf(isMissing)('nest-documents in Chromium', { timeout: 240_000 }, () => {
  let browser: Browser
  let folder: string

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'nest-documents-'))
    browser = await chromium.launch({
      executablePath: CHROMIUM,
      args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--no-first-run'],
    })
  })

  afterAll(async () => {
    await browser?.close()
    rmSync(folder, { recursive: true, force: true })
  })

  it('[D4] two tabs follow an ingestion live, through kill -9 and a restart, and end equal to the database without a reload; the other project’s page gets nothing', async () => {
    const dataDir = join(folder, 'killed')
    let server = await ServerProcess.start(dataDir, SLOW)
    const { url, port } = server
    const tabs: Tab[] = []
    try {
      const maya = await Tab.open(browser, url, 'user_maya')
      const tomas = await Tab.open(browser, url, 'user_tomas')
      const priya = await Tab.open(browser, url, 'user_priya')
      tabs.push(maya, tomas, priya)
      expect(await maya.documents()).toHaveLength(4)
      expect(await maya.summary()).toBe('0 of 33 chunks embedded')

      await maya.page.getByTestId('embed').click()
      for (const tab of [maya, tomas]) await underWay(tab)
      await tomas.page.locator('[data-testid="document"] .chip', { hasText: 'Embedding' }).first().waitFor()

      await server.end('SIGKILL')
      for (const tab of [maya, tomas, priya]) await tab.until('reconnecting')
      server = await ServerProcess.start(dataDir, QUICK, port)
      const late = await Tab.open(browser, url, 'user_sam')
      tabs.push(late)
      for (const tab of [maya, tomas, late]) await tab.untilSummary(ALL)

      const northwind = await ApiClient.signIn(url, 'user_maya', 'proj_northwind')
      const { documents, chunks } = await northwind.load()
      expect(documents.every(({ status }) => status === 'embedded')).toBe(true)
      for (const tab of [maya, tomas, late]) {
        await vi.waitFor(async () => expect(await tab.documents()).toEqual(documents.map(shown)), soon)
        for (const { id, title } of documents) {
          const stored = chunks.filter(({ documentId }) => documentId === id).sort((a, b) => a.ordinal - b.ordinal)
          const wanted = stored.map((chunk) => ({ id: chunk.id, status: chunk.status }))
          await vi.waitFor(async () => expect(await tab.chunks(title)).toEqual(wanted), soon)
        }
        expect(await tab.wasNotReloaded()).toBe(true)
        expect(tab.errors).toEqual([])
      }
      await maya.page.screenshot({ path: join(folder, 'after-restart.png') })

      // The fence: what the other project publishes now arrives there, so whatever was sent before it has arrived too.
      const acme = await ApiClient.signIn(url, 'user_priya', 'proj_acme')
      expect((await acme.upload('sentinel.txt', 'The sentinel of the other project.')).status).toBe(201)
      await priya.untilSummary('1 of 20 chunks embedded')
      const streamed = await priya.streamed()
      expect(streamed).toContain('sentinel.txt')
      expect(streamed).not.toContain('proj_northwind')
      for (const { id } of documents) expect(streamed).not.toContain(id)
      const own = (await acme.load()).documents.map(shown)
      await vi.waitFor(async () => expect(await priya.documents()).toEqual(own), soon)
      expect(await priya.wasNotReloaded()).toBe(true)

      // The same for the API: neither project can be asked for with the other's token.
      const foreign = await (await ApiClient.signIn(url, 'user_priya', 'proj_northwind')).request('/api/documents')
      expect(foreign.status).toBe(403)
    } finally {
      for (const tab of tabs) await tab.close()
      await server.end('SIGKILL')
    }
  })

  it('[documents] shows an upload, a bulk change and a deletion in the other tab too', async () => {
    const server = await ServerProcess.start(join(folder, 'edited'), QUICK)
    const tabs: Tab[] = []
    try {
      const maya = await Tab.open(browser, server.url, 'user_maya')
      const tomas = await Tab.open(browser, server.url, 'user_tomas')
      tabs.push(maya, tomas)
      const file = { name: 'upload.txt', mimeType: 'text/plain', buffer: Buffer.from('A text about penguins and ice.') }
      await maya.page.getByLabel('Text files to upload').setInputFiles(file)
      for (const tab of tabs) await tab.untilSummary('1 of 34 chunks embedded')
      await vi.waitFor(
        async () =>
          expect((await tomas.documents()).at(-1)).toMatchObject({ title: 'upload.txt', progress: '1/1 embedded' }),
        soon,
      )
      await tomas.page.getByTestId('activity').getByText('uploaded upload.txt').waitFor()

      await tomas.page.getByLabel('Search the embedded chunks').fill('penguins on the ice')
      await tomas.page.keyboard.press('Enter')
      await tomas.page.getByTestId('hits').getByText('upload.txt').waitFor()

      await tomas.page.getByTestId('embed').click()
      for (const tab of tabs) await tab.untilSummary('34 of 34 chunks embedded')
      await maya.page.getByTestId('reset').click()
      for (const tab of tabs) await tab.untilSummary('0 of 34 chunks embedded')
      const pending = async () =>
        (await tomas.chunks('kelp-survey-field-notes.txt')).filter(({ status }) => status === 'pending')
      await vi.waitFor(async () => expect(await pending()).toHaveLength(12), soon)

      maya.page.on('dialog', (dialog) => void dialog.accept())
      await maya.page.getByLabel('Delete upload.txt').click()
      for (const tab of tabs) await tab.untilSummary('0 of 33 chunks embedded')
      await vi.waitFor(async () => expect(await tomas.documents()).toHaveLength(4), soon)
      for (const tab of tabs) expect(tab.errors).toEqual([])
    } finally {
      for (const tab of tabs) await tab.close()
      await server.end('SIGKILL')
    }
  })

  it('[D8] goes on when the token expires: the page renews it, and the stream with it', async () => {
    const server = await ServerProcess.start(join(folder, 'expired'), { ...QUICK, ACCESS_TOKEN_TTL_S: '5' })
    const tabs: Tab[] = []
    try {
      const maya = await Tab.open(browser, server.url, 'user_maya')
      tabs.push(maya)
      const tokens = new Set<string | undefined>()
      maya.page.on('request', (request) => {
        if (new URL(request.url()).pathname === '/api/events/stream') tokens.add(request.headers().authorization)
      })
      // Each stream with another token.
      await vi.waitUntil(() => tokens.size >= 2, { timeout: 60_000 })
      const northwind = await ApiClient.signIn(server.url, 'user_maya', 'proj_northwind')
      expect((await northwind.upload('later.txt', 'After the first token.')).status).toBe(201)
      await maya.untilSummary('1 of 34 chunks embedded')
      expect(await maya.wasNotReloaded()).toBe(true)
    } finally {
      for (const tab of tabs) await tab.close()
      await server.end('SIGKILL')
    }
  })

  it('[S7] ends by itself at SIGTERM, with open streams and work under way', async () => {
    const server = await ServerProcess.start(join(folder, 'ended'), SLOW)
    const maya = await Tab.open(browser, server.url, 'user_maya')
    try {
      await maya.page.getByTestId('embed').click()
      await underWay(maya)
      await server.end('SIGTERM')
      await vi.waitUntil(async () => (await maya.streamed()).includes('"reason":"shutdown"'), soon)
    } finally {
      await maya.close()
      await server.end('SIGKILL')
    }
  })

  it('[documents] takes the picture of the README', async () => {
    const write = process.env.ENTITYCAST_SCREENSHOTS === '1'
    const path = write
      ? fileURLToPath(new URL('../../docs/screenshot.png', import.meta.url))
      : join(folder, 'picture.png')
    const server = await ServerProcess.start(join(folder, 'picture'), { ...QUICK, EMBEDDING_DELAY_MS: '300' })
    const maya = await Tab.open(browser, server.url, 'user_maya')
    try {
      const tomas = await ApiClient.signIn(server.url, 'user_tomas', 'proj_northwind')
      await tomas.upload('meeting-minutes.txt', 'Minutes.\n\nThe survey is on time. The report is due in a week.')
      await maya.page.getByRole('button', { name: 'kelp-survey-field-notes.txt', exact: true }).click()
      await maya.page.getByTestId('embed').click()
      await maya.page.locator('[data-testid="chunk"][data-status="embedded"]').nth(4).waitFor()
      await maya.page.screenshot({ path })
      expect(existsSync(path)).toBe(true)
    } finally {
      await maya.close()
      await server.end('SIGKILL')
    }
  })
})

/** Waits until something is embedded, but not everything. */
async function underWay(tab: Tab): Promise<void> {
  await vi.waitUntil(async () => /^[1-9]\d* of 33/.test(await tab.summary()), { timeout: 60_000, interval: 20 })
  expect(await tab.summary()).not.toBe(ALL)
}

/** What the page is to show of a stored document. */
function shown({ id, title, embeddedChunks, chunks, status }: DocumentRow): ShownDocument {
  return { id, title, progress: `${embeddedChunks}/${chunks} embedded`, status: WORDS[status] }
}
