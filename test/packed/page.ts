import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import express from 'express'
import { chromium, type Page } from 'playwright-core'
import { build } from 'vite'
import type { Consumer } from './consumer'

export const CHROMIUM = process.env.CHROMIUM_PATH ?? '/usr/bin/chromium'
export const hasChromium = existsSync(CHROMIUM)
if (!hasChromium) console.warn(`no browser at ${CHROMIUM}: the programs that run in a page are skipped`)

/** A program in a page of Chromium, on a server whose hub is the packed one. */
export interface OpenPage {
  readonly page: Page
  readonly project: import('@entitycast/sse-server').ProjectPublisher
  /** How many streams are open. */
  connections(): number
  /** What the page has thrown or written to its console. */
  readonly complaints: readonly string[]
  close(): Promise<void>
}

/** Bundles a compiled program with what the consumer has installed, serves it beside a stream, and opens it. */
export async function openPage(consumer: Consumer, program: string): Promise<OpenPage> {
  const dist = path.join(consumer.folder, 'dist', program)
  await build({
    root: consumer.folder,
    configFile: false,
    logLevel: 'error',
    define: { 'process.env.NODE_ENV': '"production"' },
    build: {
      outDir: dist,
      rollupOptions: {
        input: path.join(consumer.folder, 'out', `${program}.js`),
        output: { entryFileNames: 'page.js' },
      },
    },
  })
  const require = createRequire(path.join(consumer.folder, 'package.json'))
  const { EventHub }: typeof import('@entitycast/sse-server') = require('@entitycast/sse-server')
  const { eventStream }: typeof import('@entitycast/sse-server/express') = require('@entitycast/sse-server/express')
  const hub = new EventHub()
  const app = express()
  app.get(
    '/api/events/stream',
    eventStream(hub, {
      authorize: (req) => (req.get('authorization') === 'Bearer secret' ? { projectId: 'proj_123' } : null),
    }),
  )
  app.get(
    '/',
    (_req, res) =>
      void res.send(
        '<!doctype html><link rel="icon" href="data:,"><div id="root"></div><script type="module" src="/page.js"></script>',
      ),
  )
  app.use(express.static(dist))
  const server = app.listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))

  const browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'],
  })
  const page = await (await browser.newContext()).newPage()
  const complaints: string[] = []
  page.on('pageerror', (error) => complaints.push(String(error)))
  page.on('console', (message) => ['error', 'warning'].includes(message.type()) && complaints.push(message.text()))
  await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
  return {
    page,
    project: hub.project('proj_123'),
    connections: () => hub.connections().length,
    complaints,
    async close() {
      await browser.close()
      await hub.close()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
