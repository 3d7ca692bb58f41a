/**
 * Measures ours and the named peers against the hostile servers, 10 s each, and writes the table of docs/hostile-servers.md.
 *
 *     npx tsx --tsconfig test/tsconfig.json test/hostile/compare.ts
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { chromium } from 'playwright-core'
import { clients, type Running } from './clients'
import { type Served, serve, servers } from './servers'

const RUN_MS = 10_000
const FILE = fileURLToPath(new URL('../../docs/hostile-servers.md', import.meta.url))

interface Result {
  client: string
  server: string
  requests: number
  state: string
  told: string
  cursor: string
}

const wait = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))
/** What a client lets fall on the floor belongs to it: one runs at a time. */
let unhandled = 0
process.on('unhandledRejection', () => unhandled++)
process.on('uncaughtException', () => unhandled++)

const results: Result[] = []
for (const { name, start } of clients) {
  const served = await Promise.all(servers.map((server) => serve(server)))
  unhandled = 0
  const running = served.map(({ url }) => start(url))
  await wait(RUN_MS)
  results.push(...read(name, served, running))
  for (const one of running) one.close()
  await Promise.all(served.map((one) => one.close()))
  await wait(100)
  console.log(`${name}: ${unhandled} unhandled`)
}
for (const name of ['fetch-event-source', 'EventSource of Chromium']) results.push(...(await runInPage(name)))
write()
// Not every peer lets a process go.
process.exit()

function read(
  client: string,
  served: readonly Served[],
  running: readonly Pick<Running, 'state' | 'told'>[],
): Result[] {
  return servers.map(({ name }, i) => ({
    client,
    server: name,
    requests: served[i]?.requests.length ?? 0,
    state: running[i]?.state() ?? '',
    told: [...(running[i]?.told ?? [])].map(([what, times]) => (times > 1 ? `${what} × ${times}` : what)).join('; '),
    cursor: served[i]?.requests.at(-1)?.lastEventId ?? '',
  }))
}

/** In a page of Chromium, on another origin. */
async function runInPage(client: string): Promise<Result[]> {
  const cors = { 'Access-Control-Allow-Origin': '*', 'Access-Control-Allow-Headers': '*' }
  const served = await Promise.all(servers.map((server) => serve(server, cors)))
  const entry = fileURLToPath(new URL('page-clients.ts', import.meta.url))
  const { outputFiles } = await build({ entryPoints: [entry], bundle: true, format: 'iife', write: false })
  const blank = createServer((_, response) => {
    response.writeHead(200, { 'Content-Type': 'text/html' }).end('<!doctype html>')
  })
  await new Promise<void>((resolve) => blank.listen(0, '127.0.0.1', resolve))
  const browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'],
  })
  const page = await browser.newPage()
  let unhandled = 0
  page.on('pageerror', () => unhandled++)
  await page.goto(`http://127.0.0.1:${(blank.address() as AddressInfo).port}/`)
  await page.evaluate(outputFiles[0]?.text ?? '')
  type Handle = { run(client: string, urls: string[]): void; seen: { state: string; told: Record<string, number> }[] }
  await page.evaluate(([name, urls]) => (globalThis as unknown as Handle).run(name, urls), [
    client,
    served.map(({ url }) => url),
  ] as const)
  await wait(RUN_MS)
  const seen = await page.evaluate(() => (globalThis as unknown as Handle).seen.map((one) => ({ ...one })))
  const found = read(
    client,
    served,
    seen.map(({ state, told }) => ({ state: () => state, told: new Map(Object.entries(told)) })),
  )
  console.log(`${client}: ${unhandled} unhandled`)
  await browser.close()
  await Promise.all(served.map((one) => one.close()))
  await new Promise((resolve) => blank.close(resolve))
  return found
}

function write(): void {
  const lines = [
    '| server | client | requests in 10 s | state shown | the application is told | last `Last-Event-ID` |',
    '| --- | --- | ---: | --- | --- | --- |',
  ]
  for (const { name } of servers) {
    for (const [i, result] of results.filter(({ server }) => server === name).entries()) {
      const { client, requests, state, told, cursor } = result
      const cell = (text: string) => text.replaceAll('|', '\\|').replaceAll('\n', ' ')
      lines.push(
        `| ${i === 0 ? `**${name}**` : ''} | ${client} | ${requests.toLocaleString('en')} | ${state} | ${cell(told) || '*nothing*'} | ${cell(cursor)} |`,
      )
    }
  }
  const text = readFileSync(FILE, 'utf8')
  const [head, , tail] = text.split(/<!-- \/?measured -->/)
  writeFileSync(FILE, `${head}<!-- measured -->\n\n${lines.join('\n')}\n\n<!-- /measured -->${tail}`)
}
