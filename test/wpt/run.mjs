/**
 * Runs the web platform tests of EventSource in Chromium and Firefox, in pages and in workers, with the browser's own class and with ours,
 * and says where one of them fails. The tests are not part of this repository: take them from https://github.com/web-platform-tests/wpt.
 *
 * `node test/wpt/run.mjs <folder of wpt> [part of a file's name]`, after `npm run build`. The browsers are those of Debian.
 */
import { readdirSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { chromium, firefox } from 'playwright-core'
import { openSite } from './site.mjs'

const [folder, part = ''] = process.argv.slice(2)
if (!folder) throw new Error('which folder? node test/wpt/run.mjs <folder of wpt>')

const STATUS = ['passed', 'failed', 'timed out', 'not run', 'not implemented']
/** Bound to a site or to helpers of the suite that are not served here, or of what is no standard yet. */
const LEFT_OUT = /bfcache|from-readable-stream|shared|idlharness/
const BROWSERS = [
  { name: 'Chromium', type: chromium, options: { executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] } },
  { name: 'Firefox', type: firefox, options: { executablePath: '/usr/bin/firefox-esr', channel: 'moz-firefox' } },
]
const AT_ONCE = 4
const PATIENCE_MS = 40_000

const tests = readdirSync(path.join(folder, 'eventsource'))
  .filter((file) => /\.(?:any|window)\.js$|\.html?$/.test(file) && file.includes(part) && !LEFT_OUT.test(file))
  .flatMap((file) => {
    const page = file.replace(/\.js$/, '.html')
    return file.endsWith('.any.js') ? [page, page.replace('.any.', '.any.worker.')] : [page]
  })
const bundle = await build({
  stdin: {
    contents: `import { EventSource } from '@entitycast/sse-client/event-source'
      Object.defineProperty(globalThis, 'EventSource', { value: EventSource, writable: true, configurable: true })`,
    resolveDir: fileURLToPath(new URL('../..', import.meta.url)),
  },
  bundle: true,
  format: 'iife',
  write: false,
})
const site = await openSite(folder, bundle.outputFiles[0]?.text ?? '')
const counts = new Map()
for (const { name, type, options } of BROWSERS) {
  const browser = await type.launch(options)
  for (const impl of ['own', 'ours']) {
    const left = [...tests]
    await Promise.all(Array.from({ length: AT_ONCE }, () => work(browser, `${name}, ${impl}`, impl, left)))
  }
  await browser.close()
}
site.close()
console.table(Object.fromEntries(counts))

/** @param {import('playwright-core').Browser} browser @param {string} who @param {string} impl @param {string[]} left */
async function work(browser, who, impl, left) {
  for (let test = left.shift(); test; test = left.shift()) {
    const context = await browser.newContext()
    // One that is loaded by the test, as a frame is, gets the same class.
    await context.addCookies([{ name: 'impl', value: impl, domain: 'web.localhost', path: '/' }])
    const tab = await context.newPage()
    await tab.goto(`${site.url}/eventsource/${test}?impl=${impl}`, { waitUntil: 'commit' })
    const results = await resultsOf(tab)
    for (const { name, status, message } of results ?? [{ name: '', status: 2, message: null }]) {
      const of = counts.get(who) ?? { passed: 0, others: 0 }
      counts.set(who, of)
      of[status === 0 ? 'passed' : 'others']++
      if (status !== 0) console.log(`${who}: ${test}, ${name}: ${STATUS[status]} ${(message ?? '').split('\n')[0]}`)
    }
    await context.close()
  }
}

/** @param {import('playwright-core').Page} tab @returns {Promise<{ name: string, status: number, message: string | null }[] | undefined>} */
async function resultsOf(tab) {
  const read = () => tab.evaluate(() => Reflect.get(globalThis, 'page'))
  for (const endsAt = Date.now() + PATIENCE_MS; Date.now() < endsAt; ) {
    const results = await read().catch(() => undefined)
    if (results) return results
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  return undefined
}
