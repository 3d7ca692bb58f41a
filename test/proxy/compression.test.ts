import { spawn, spawnSync } from 'node:child_process'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import { EventSubscriber } from '@entitycast/sse-client'
import { EventHub } from '@entitycast/sse-server'
import { eventStream } from '@entitycast/sse-server/node'
import { build } from 'esbuild'
import { createParser } from 'eventsource-parser'
import type { Browser } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { median } from '../../packages/sse-server/test/integration/latency'
import { browsers } from './browsers'
import { type ProxyName, proxies, RunningProxy } from './proxies'

/*
 * A compressed stream through proxies, as every client reads it. Each event must be seen by all of them before the next is published:
 * whatever holds one back until more bytes follow never gets them, and the test times out. Whatever holds it back for a while is found by the time.
 */

const WAIT = { timeout: 30_000, interval: 5 }
const REQUIRED = process.env.ENTITYCAST_REQUIRE_SERVICES === '1'
const HAS_CURL = spawnSync('curl', ['--version']).status === 0 || REQUIRED
if (!HAS_CURL) console.warn('skipped: curl behind proxies, because there is no curl here')

/** Somebody who reads the stream. */
interface Reader {
  readonly name: string
  /** `n` of each event, in the order of arrival. */
  seen(): Promise<number[]> | number[]
  /** Where it does not come back by itself. */
  again?(): void | Promise<void>
}

const hub = new EventHub({ logger: false, limits: false, heartbeatIntervalMs: false, retryMs: 50 })
const stream = eventStream(hub, { compression: 'gzip', authorize: () => ({ projectId: 'p1' }) })
/** Of the requests for the stream. */
let asked: IncomingMessage['headers'][] = []
let script = ''
const sockets = new Set<Socket>()
const server = createServer((req, res) => {
  if (req.url?.startsWith('/api/events/stream')) {
    asked.push(req.headers)
    stream(req, res)
  } else if (req.url === '/page.js') res.setHeader('content-type', 'text/javascript').end(script)
  else
    res
      .setHeader('content-type', 'text/html')
      .end('<!doctype html><link rel="icon" href="data:,"><script type="module" src="/page.js"></script>')
})
server.on('connection', (socket) => {
  sockets.add(socket)
  socket.on('close', () => sockets.delete(socket))
})

const started: Browser[] = []
const cleanups: (() => unknown)[] = []
let port = 0

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  port = (server.address() as AddressInfo).port
  const at = (path: string) => fileURLToPath(new URL(path, import.meta.url))
  const built = await build({
    entryPoints: [at('page.ts')],
    bundle: true,
    format: 'esm',
    write: false,
    alias: {
      '@entitycast/sse-protocol': at('../../packages/sse-protocol/src/index.ts'),
      '@entitycast/sse-client': at('../../packages/sse-client/src/index.ts'),
    },
  })
  script = built.outputFiles[0]?.text ?? ''
  started.push(...(await Promise.all(browsers.map(({ start }) => start()))))
})

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
  await vi.waitFor(() => expect(hub.stats().connections).toBe(0), WAIT)
  asked = []
})

afterAll(async () => {
  await Promise.all(started.map((browser) => browser.close()))
  await hub.close()
  for (const socket of sockets) socket.destroy()
  await new Promise((resolve) => server.close(resolve))
})

/** Reads frames of a text, whose `n` and last id are kept. */
function follow() {
  const followed = { seen: [] as number[], lastEventId: '', feed: (_text: string) => {} }
  const parser = createParser({
    onEvent: ({ event, id, data }) => {
      followed.lastEventId = id ?? followed.lastEventId
      if (event === 'entity.updated') followed.seen.push(JSON.parse(data).data.n)
    },
  })
  followed.feed = (text) => parser.feed(text)
  return followed
}

function curl(url: string, compressed: boolean): Reader {
  const followed = follow()
  const run = () => {
    const resume = followed.lastEventId ? ['-H', `Last-Event-ID: ${followed.lastEventId}`] : []
    const child = spawn('curl', ['-N', '-s', ...(compressed ? ['--compressed'] : []), ...resume, url])
    child.stdout.setEncoding('utf8').on('data', followed.feed)
    cleanups.push(() => child.kill())
  }
  run()
  return { name: compressed ? 'curl --compressed' : 'curl', seen: () => followed.seen, again: run }
}

function nodeFetch(url: string, check: (headers: Headers) => void): Reader {
  const followed = follow()
  const leaving = new AbortController()
  cleanups.push(() => leaving.abort())
  const run = async () => {
    const headers = { ...(followed.lastEventId && { 'last-event-id': followed.lastEventId }) }
    const response = await fetch(url, { headers, signal: leaving.signal })
    check(response.headers)
    const decoder = new TextDecoder()
    const read = async () => {
      for await (const bytes of response.body ?? []) followed.feed(decoder.decode(bytes, { stream: true }))
    }
    read().catch(() => {})
  }
  return { name: "Node's fetch", seen: () => followed.seen, again: run }
}

function subscriber(url: string): Reader {
  const seen: number[] = []
  const updates = new EventSubscriber(url)
  updates.subscribe('document:*', ({ data }) => void seen.push((data as { n: number }).n))
  updates.onResync(() => void seen.push(Number.NaN))
  updates.onError(() => {})
  updates.connect()
  cleanups.push(() => updates.close())
  return { name: 'EventSubscriber', seen: () => seen }
}

async function browserPages(url: string): Promise<Reader[]> {
  const readers = started.map(async (browser, i) => {
    const tab = await browser.newPage()
    cleanups.push(() => tab.close())
    await tab.goto(`${url}/`)
    const read = async (kind: 'native' | 'ours'): Promise<number[]> => {
      const shown = JSON.parse(await tab.evaluate(() => JSON.stringify((globalThis as { page?: unknown }).page ?? {})))
      expect(shown.resyncs).toBe(0)
      return shown[kind]
    }
    const name = browsers[i]?.name
    return [
      { name: `EventSource of ${name}`, seen: () => read('native') },
      { name: `EventSubscriber in ${name}`, seen: () => read('ours') },
    ]
  })
  return (await Promise.all(readers)).flat()
}

async function expectAll(readers: readonly Reader[], expected: readonly number[]): Promise<void> {
  await Promise.all(
    readers.map(({ name, seen }) =>
      vi.waitFor(async () => expect([name, await seen()]).toEqual([name, expected]), WAIT),
    ),
  )
}

/** As Caddy comes it asks for gzip by itself where a client does not, and inflates: by Go's library, which waits for whole blocks. */
const EAGER = { title: 'through a Caddy that inflates', name: 'Caddy', without: 'compression off' } as const
const targets: readonly { title: string; name?: ProxyName; without?: string }[] = [
  { title: 'without a proxy' },
  ...proxies.map((name) => ({ title: `through ${name}`, name })),
  ...(proxies.includes('Caddy') ? [EAGER] : []),
]

describe.each(targets)('$title', ({ name, without }) => {
  it('[C7] every client sees each event before the next is published, and comes back to where it was', {
    timeout: 120_000,
  }, async () => {
    let url = `http://127.0.0.1:${port}`
    if (name) {
      const proxy = await RunningProxy.start(name, {
        upstreams: [port, port],
        substitutions: without ? [[without, '']] : [],
      })
      cleanups.push(() => proxy.stop())
      url = proxy.url
    }
    const path = `${url}/api/events/stream`
    const encodings: (string | null)[] = []
    const fetched = nodeFetch(path, (headers) => {
      encodings.push(headers.get('content-encoding'))
      expect(headers.get('vary')).toMatch(/accept-encoding/i)
      expect(headers.get('cache-control')).toBe('no-cache, no-transform')
    })
    await fetched.again?.()
    const readers = [fetched, subscriber(path), ...(HAS_CURL ? [curl(path, true), curl(path, false)] : [])]
    readers.push(...(await browserPages(url)))
    await vi.waitFor(() => expect(hub.stats().connections).toBe(readers.length), WAIT)

    const expected: number[] = []
    const publish = async (count: number, text: string) => {
      const published = Array.from({ length: count }, () => {
        expected.push(expected.length)
        return hub.project('p1').updated('document', `d${expected.length}`, { n: expected.length - 1, text })
      })
      await Promise.all(published)
    }
    const took: number[] = []
    const bareTook: number[] = []
    // Short ones are stored, long ones and bursts compressed.
    for (const [count, text] of [
      [1, ''],
      [1, 'Grüße, 世界 🌍 '.repeat(100)],
      [1, ''],
      [8, 'x'],
      [1, ''],
      [1, 'y'.repeat(40_000)],
      [1, ''],
      [1, ''],
    ] as const) {
      const startedAt = performance.now()
      await publish(count, text)
      await expectAll([fetched], expected)
      const cameAt = performance.now()
      // There and back without a stream: what that takes is the machine's.
      await (await fetch(url)).text()
      took.push(cameAt - startedAt)
      bareTook.push(performance.now() - cameAt)
      await expectAll(readers, expected)
    }
    // The median, so that a busy machine's hiccup is not the proxy's.
    expect(median(took) - median(bareTook)).toBeLessThan(100)
    expect(encodings).toEqual(['gzip'])
    const plain = asked.filter((headers) => !/gzip/.test(String(headers['accept-encoding'])))
    expect(plain.length).toBe(HAS_CURL && !without ? 1 : 0)

    // All streams end in this very moment, and what is published now only a replay can bring.
    asked = []
    await hub.disconnect({ projectId: 'p1' })
    expect(hub.stats().connections).toBe(0)
    await publish(8, 'away')
    await publish(1, 'y'.repeat(10_000))
    await Promise.all(readers.map(({ again }) => again?.()))
    await expectAll(readers, expected)
    expect(asked.every((headers) => headers['last-event-id'] !== undefined)).toBe(true)
    expect(hub.stats().resyncs).toEqual({})
  })
})
