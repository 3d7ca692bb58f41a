import { existsSync } from 'node:fs'
import { type Browser, chromium, firefox } from 'playwright-core'

const REQUIRED = process.env.ENTITYCAST_REQUIRE_SERVICES === '1'
const CHROMIUM = '/usr/bin/chromium'
const FIREFOX = '/usr/bin/firefox-esr'
const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--no-first-run']

/** The system's own browsers, with their own `EventSource`. */
export const browsers: readonly { name: string; start(): Promise<Browser> }[] = [
  {
    name: 'Chromium',
    binary: CHROMIUM,
    start: () => chromium.launch({ executablePath: CHROMIUM, args: FLAGS }),
  },
  {
    name: 'Firefox',
    binary: FIREFOX,
    start: () => firefox.launch({ executablePath: FIREFOX, channel: 'moz-firefox' }),
  },
].filter(({ name, binary }) => {
  if (existsSync(binary) || REQUIRED) return true
  console.warn(`skipped: ${name} behind proxies, because there is no ${binary} here`)
  return false
})
