import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { type BrowserContext, type BrowserType, chromium, firefox } from 'playwright-core'
import { ownPort } from '../../../sse-server/test/support/ports'

/** One tab, as far as the tests of all engines need it. */
export interface EngineTab {
  goto(url: string): Promise<unknown>
  goBack(): Promise<unknown>
  reload(): Promise<unknown>
  /** The page's `globalThis.page`, as JSON; undefined before there is one. */
  read(): Promise<string | undefined>
  /** Ends the tab. */
  close(): Promise<void>
}

/** What one person has open. */
export interface EngineWindow {
  /** Another tab in it. */
  open(): Promise<EngineTab>
  close(): Promise<void>
}

/** A browser that runs. */
export interface RunningEngine {
  /** Another person, without any tab. */
  window(): Promise<EngineWindow>
  /** Stops the browser as a machine that sleeps does, or lets it go on. */
  signal(name: 'SIGSTOP' | 'SIGCONT'): void
  close(): Promise<void>
}

export interface Engine {
  readonly name: string
  /** What has to be installed. */
  readonly needs: readonly string[]
  /**
   * Whether a page with an open stream goes into the back/forward cache. Firefox looks for requests before it tells the page that it is
   * left: ours is closed too late, and the page is loaded anew.
   */
  readonly cachesStreams: boolean
  /** The cases of the standard in which the engine's own EventSource finds something else. */
  readonly differsIn: readonly string[]
  start(): Promise<RunningEngine>
}

const CHROMIUM = '/usr/bin/chromium'
const FIREFOX = '/usr/bin/firefox-esr'
const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--no-first-run']

export const engines: readonly Engine[] = [
  {
    name: 'Chromium',
    needs: [CHROMIUM],
    cachesStreams: true,
    differsIn: [],
    start: () =>
      startPlaywright(chromium, {
        executablePath: CHROMIUM,
        args: FLAGS,
        // What people have, and playwright takes away.
        ignoreDefaultArgs: ['--disable-back-forward-cache'],
      }),
  },
  {
    name: 'Firefox',
    needs: [FIREFOX],
    cachesStreams: false,
    differsIn: [
      // The id of a block without data is dropped.
      'no data, no event',
      'an id without data counts',
      // A block with NULL in its id is dropped, and NULL in data is.
      'an id with NULL is ignored',
      'and leaves the one before it in its block',
      'NULL in data and names is text',
    ],
    start: () =>
      startPlaywright(firefox, {
        executablePath: FIREFOX,
        channel: 'moz-firefox',
      }),
  },
  {
    name: 'WebKitGTK',
    needs: ['/usr/bin/WebKitWebDriver', '/usr/bin/Xvfb'],
    cachesStreams: true,
    differsIn: [],
    start: startWebKit,
  },
]

export const isInstalled = ({ needs }: Engine) => needs.every((file) => existsSync(file))

async function startPlaywright(
  type: BrowserType,
  options: Parameters<BrowserType['launchServer']>[0],
): Promise<RunningEngine> {
  const server = await type.launchServer(options)
  return {
    async window() {
      const browser = await type.connect(server.wsEndpoint())
      const context = await browser.newContext()
      return { open: () => openPlaywrightTab(context), close: () => browser.close() }
    },
    signal: (name) => void process.kill(server.process().pid as number, name),
    close: () => server.close(),
  }
}

async function openPlaywrightTab(context: BrowserContext): Promise<EngineTab> {
  const tab = await context.newPage()
  return {
    goto: (url) => tab.goto(url),
    // A page from the back/forward cache does not load.
    goBack: async () => void tab.goBack({ waitUntil: 'commit' }).catch(() => {}),
    reload: () => tab.reload(),
    read: () => tab.evaluate(() => JSON.stringify((globalThis as { page?: unknown }).page)),
    close: () => tab.close(),
  }
}

/** Debian's WebKitGTK, by the WebDriver protocol: playwright has no build for it. */
async function startWebKit(): Promise<RunningEngine> {
  const port = await ownPort()
  const screen = await startScreen()
  // A group of its own: the browser is many processes, and sleep is for all of them.
  const child = spawn('WebKitWebDriver', [`--port=${port}`], {
    detached: true,
    stdio: 'ignore',
    env: { ...process.env, DISPLAY: screen.display, WEBKIT_DISABLE_COMPOSITING_MODE: '1', NO_AT_BRIDGE: '1' },
  })
  const ended = new Promise<void>((resolve) => child.on('exit', () => resolve()))
  const send: Send = async (method, path, body) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, {
      method,
      signal: AbortSignal.timeout(path.endsWith(READ) ? READ_MS : COMMAND_MS),
      ...(body && { body: JSON.stringify(body), headers: { 'Content-Type': 'application/json' } }),
    })
    const { value } = (await response.json()) as { value: unknown }
    if (!response.ok) throw new Error(`${method} ${path}: ${JSON.stringify(value)}`)
    return value
  }
  for (let tries = 0; ; tries++) {
    const isUp = await send('GET', '/status').catch(() => undefined)
    if (isUp) break
    if (child.exitCode !== null) throw new Error(`WebKitWebDriver has ended with ${child.exitCode}`)
    if (tries > 300) throw new Error('WebKitWebDriver does not answer')
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  const signal = (name: NodeJS.Signals) => void process.kill(-(child.pid as number), name)
  return {
    window: () => openWebKitWindow(send),
    signal,
    async close() {
      signal('SIGTERM')
      await ended
      screen.close()
    },
  }
}

/** A screen that nobody sees. It chooses its number itself, and says it when it is there: whoever chooses for it may choose what another has chosen. */
async function startScreen(): Promise<{ readonly display: string; close(): void }> {
  const child = spawn('Xvfb', ['-displayfd', '3', '-screen', '0', '1280x1024x24', '-nolisten', 'tcp'], {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
  })
  const number = await new Promise<string>((resolve, reject) => {
    child.stdio[3]?.once('data', (said) => resolve(String(said).trim()))
    child.once('error', reject)
    child.once('exit', (code) => reject(new Error(`Xvfb has ended with ${code}`)))
  })
  return { display: `:${number}`, close: () => void child.kill() }
}

const READ = '/execute/sync'
/** An answer that is lost is asked for again, by whoever waits for what it says. */
const READ_MS = 15_000
/** What else is told is told once. */
const COMMAND_MS = 60_000

type Send = (method: string, path: string, body?: object) => Promise<unknown>

/** A session: WebDriver has one tab at a time to talk to, and no session without a tab. */
async function openWebKitWindow(send: Send): Promise<EngineWindow> {
  const alwaysMatch = { 'webkitgtk:browserOptions': { args: ['--automation'] } }
  const { sessionId } = (await send('POST', '/session', { capabilities: { alwaysMatch } })) as { sessionId: string }
  const at = `/session/${sessionId}`
  let unused = (await send('GET', `${at}/window`)) as string | undefined
  let turn: Promise<unknown> = Promise.resolve()
  return {
    async open() {
      const handle = unused ?? ((await send('POST', `${at}/window/new`, { type: 'tab' })) as { handle: string }).handle
      unused = undefined
      const tell = (method: string, path: string, body?: object): Promise<unknown> => {
        const mine = turn.then(async () => {
          await send('POST', `${at}/window`, { handle })
          return send(method, `${at}${path}`, body)
        })
        turn = mine.catch(() => {})
        return mine
      }
      const script = 'return JSON.stringify(window.page)'
      return {
        goto: (url) => tell('POST', '/url', { url }),
        goBack: () => tell('POST', '/back', {}),
        reload: () => tell('POST', '/refresh', {}),
        read: async () => (await tell('POST', READ, { script, args: [] })) as string,
        close: async () => void (await tell('DELETE', '/window')),
      }
    },
    close: async () => void (await send('DELETE', at)),
  }
}
