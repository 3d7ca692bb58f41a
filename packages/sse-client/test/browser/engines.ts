import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createServer } from 'node:net'
import { type BrowserType, chromium, firefox } from 'playwright-core'

/** One tab, as far as the tests of all engines need it. */
export interface EngineTab {
  goto(url: string): Promise<unknown>
  goBack(): Promise<unknown>
  /** The page's `globalThis.page`, as JSON; undefined before there is one. */
  read(): Promise<string | undefined>
  /** Ends the tab. */
  close(): Promise<void>
}

/** A browser that runs. */
export interface RunningEngine {
  open(): Promise<EngineTab>
  /** Stops the browser as a machine that sleeps does, or lets it go on. */
  signal(name: 'SIGSTOP' | 'SIGCONT'): void
  close(): Promise<void>
}

export interface Engine {
  readonly name: string
  /** What has to be installed. */
  readonly needs: readonly string[]
  start(): Promise<RunningEngine>
}

const CHROMIUM = '/usr/bin/chromium'
const FIREFOX = '/usr/bin/firefox-esr'
const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--no-first-run']

export const engines: readonly Engine[] = [
  {
    name: 'Chromium',
    needs: [CHROMIUM],
    start: () => startPlaywright(chromium, { executablePath: CHROMIUM, args: FLAGS }),
  },
  {
    name: 'Firefox',
    needs: [FIREFOX],
    start: () => startPlaywright(firefox, { executablePath: FIREFOX, channel: 'moz-firefox' }),
  },
  { name: 'WebKitGTK', needs: ['/usr/bin/WebKitWebDriver', '/usr/bin/xvfb-run'], start: startWebKit },
]

export const isInstalled = ({ needs }: Engine) => needs.every((file) => existsSync(file))

async function startPlaywright(
  type: BrowserType,
  options: Parameters<BrowserType['launchServer']>[0],
): Promise<RunningEngine> {
  const server = await type.launchServer(options)
  return {
    async open() {
      const browser = await type.connect(server.wsEndpoint())
      const tab = await browser.newPage()
      return {
        goto: (url) => tab.goto(url),
        goBack: () => tab.goBack(),
        read: () => tab.evaluate(() => JSON.stringify((globalThis as { page?: unknown }).page)),
        close: () => browser.close(),
      }
    },
    signal: (name) => void process.kill(server.process().pid as number, name),
    close: () => server.close(),
  }
}

/** Debian's WebKitGTK, by the WebDriver protocol: playwright has no build for it. */
async function startWebKit(): Promise<RunningEngine> {
  const port = await freePort()
  // A group of its own: the browser is many processes, and sleep is for all of them.
  const child = spawn('xvfb-run', ['-a', 'WebKitWebDriver', `--port=${port}`], {
    detached: true,
    stdio: 'ignore',
    env: { ...process.env, WEBKIT_DISABLE_COMPOSITING_MODE: '1', NO_AT_BRIDGE: '1' },
  })
  const ended = new Promise<void>((resolve) => child.on('exit', () => resolve()))
  const send = async (method: string, path: string, body?: object): Promise<unknown> => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, {
      method,
      ...(body && { body: JSON.stringify(body), headers: { 'Content-Type': 'application/json' } }),
    })
    const { value } = (await response.json()) as { value: unknown }
    if (!response.ok) throw new Error(`${method} ${path}: ${JSON.stringify(value)}`)
    return value
  }
  for (let tries = 0; ; tries++) {
    const isUp = await send('GET', '/status').catch(() => undefined)
    if (isUp) break
    if (tries > 300) throw new Error('WebKitWebDriver does not answer')
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  const signal = (name: NodeJS.Signals) => void process.kill(-(child.pid as number), name)
  return {
    async open() {
      const alwaysMatch = { 'webkitgtk:browserOptions': { args: ['--automation'] } }
      const { sessionId } = (await send('POST', '/session', { capabilities: { alwaysMatch } })) as { sessionId: string }
      const at = `/session/${sessionId}`
      return {
        goto: (url) => send('POST', `${at}/url`, { url }),
        goBack: () => send('POST', `${at}/back`, {}),
        read: async () =>
          (await send('POST', `${at}/execute/sync`, {
            script: 'return JSON.stringify(window.page)',
            args: [],
          })) as string,
        close: async () => void (await send('DELETE', at)),
      }
    },
    signal,
    async close() {
      signal('SIGTERM')
      await ended
    },
  }
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  return typeof address === 'object' && address ? address.port : 0
}
