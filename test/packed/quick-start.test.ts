import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { type Browser, chromium } from 'playwright-core'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { type Consumer, consumer } from './consumer'
import { CHROMIUM, hasChromium } from './page'

const FILES = ['server.mjs', 'index.html']
const source = (file: string) => readFileSync(fileURLToPath(new URL(`quick-start/${file}`, import.meta.url)), 'utf8')

describe.skipIf(!hasChromium)("[docs] the README's quick start, as it stands", () => {
  const started: ChildProcess[] = []
  let browser: Browser | undefined

  afterEach(async () => {
    for (const child of started.splice(0)) child.kill('SIGKILL')
    await browser?.close()
  })

  async function start(folder: Consumer, port = '0'): Promise<{ child: ChildProcess; address: string }> {
    const child = spawn(process.execPath, ['server.mjs'], {
      cwd: folder.folder,
      env: { ...process.env, PORT: port },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    started.push(child)
    const [line] = await once(child.stdout!, 'data')
    return { child, address: String(line).trim() }
  }

  it('[docs] two pages follow each other, and end up right when the server was killed and the database has changed meanwhile', async () => {
    const folder = await consumer('quick-start', { express: '5.3.0' })
    for (const file of FILES) folder.write(file, source(file))
    const { child, address } = await start(folder)
    browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', '--disable-gpu'] })
    const context = await browser.newContext()
    const pages = [await context.newPage(), await context.newPage()]
    for (const page of pages) await page.goto(address)
    const shown = () => Promise.all(pages.map((page) => page.innerText('body')))
    const allSay = (text: string) =>
      vi.waitFor(async () => expect(await shown()).toEqual(pages.map(() => expect.stringContaining(text))), 30_000)
    await allSay('Connection: connected')
    await pages[0]!.click('button')
    await pages[1]!.click('button')
    await allSay('Contract: 2 pages read')

    child.kill('SIGKILL')
    await allSay('Connection: reconnecting')
    folder.write('documents.json', JSON.stringify([{ id: 'doc_1', title: 'Contract', pages: 7, version: 9 }]))
    await start(folder, new URL(address).port)
    await allSay('Contract: 7 pages read')
    await allSay('Connection: connected')
    await pages[1]!.click('button')
    await allSay('Contract: 8 pages read')
  })
})
