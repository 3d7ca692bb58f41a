import { once } from 'node:events'
import { createServer, get, type IncomingMessage } from 'node:http'
import { connect as connectHttp2 } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { EventSubscriber } from '@entitycast/sse-client'
import { EventHub } from '@entitycast/sse-server'
import { eventStream } from '@entitycast/sse-server/node'
import { createParser } from 'eventsource-parser'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { median } from '../../packages/sse-server/test/integration/latency'
import { ownPort } from '../../packages/sse-server/test/support/ports'
import { HAS_REDIS, RedisServer } from '../../packages/sse-server/test/support/redis'
import { Instances } from './instances'
import { type ProxyName, type ProxyOptions, proxies, RunningProxy } from './proxies'

/*
 * The configurations of `docs/deployment`, before two instances that share a log in Redis.
 */

const WAIT = { timeout: 30_000, interval: 5 }
const PER_IP = 8
/** How long Caddy looks for an instance where there is none. */
const BRIEFLY = ['lb_try_duration 5s', 'lb_try_duration 1s'] as const

let redis: RedisServer
let instances: Instances
let n = 0
const cleanups: (() => unknown)[] = []

beforeAll(async () => {
  if (!HAS_REDIS) return
  redis = await RedisServer.start()
  instances = await Instances.start([await ownPort(), await ownPort()], redis.port, PER_IP)
})

beforeEach(() => instances?.launch())

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

afterAll(async () => {
  await instances?.dispose()
  await redis?.end()
})

async function start(name: ProxyName, options: Omit<ProxyOptions, 'upstreams'> = {}): Promise<RunningProxy> {
  const proxy = await RunningProxy.start(name, { upstreams: instances.ports, ...options })
  cleanups.push(() => proxy.stop())
  return proxy
}

const streamOf = (proxy: RunningProxy) => `${proxy.url}/api/events/stream`

const publish = async (i = 0): Promise<number> => {
  await instances.ask(i, { do: 'publish', n: ++n })
  return n
}

/** A stream by hand, from an address of one's own. */
async function open(url: string, localAddress = '127.0.0.1', headers: Record<string, string> = {}) {
  const request = get(url, { agent: false, localAddress, headers })
  request.on('error', () => {})
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  const seen: number[] = []
  const types: string[] = []
  const parser = createParser({
    onEvent: ({ event = '', data }) => {
      types.push(event)
      if (event === 'entity.updated') seen.push(JSON.parse(data).data.n)
    },
  })
  let isOver = false
  response.setEncoding('utf8').on('data', (text) => parser.feed(text))
  response
    .on('error', () => {})
    .on('close', () => {
      isOver = true
    })
  cleanups.push(() => request.destroy())
  return {
    response,
    types,
    close: () => request.destroy(),
    get isOver() {
      return isOver
    },
    has: (number: number) => vi.waitFor(() => expect(seen.at(-1)).toBe(number), WAIT),
    is: (type: string) => vi.waitFor(() => expect(types).toContain(type), WAIT),
  }
}

/** Pages, as our client has them. */
class Pages {
  readonly #pages: { seen: number[]; resyncs: string[]; updates: EventSubscriber }[] = []

  /** `from`: the first event that they have to see. */
  constructor(
    url: string,
    count: number,
    readonly from = n + 1,
  ) {
    for (let i = 0; i < count; i++) {
      const updates = new EventSubscriber(url)
      const page = { seen: [] as number[], resyncs: [] as string[], updates }
      updates.subscribe('document:*', ({ data }) => void page.seen.push((data as { n: number }).n))
      updates.onResync(({ reason }) => void page.resyncs.push(reason))
      updates.onError(() => {})
      updates.connect()
      cleanups.push(() => updates.close())
      this.#pages.push(page)
    }
  }

  connected = () =>
    vi.waitFor(
      () => expect(this.#pages.map(({ updates }) => updates.state)).toEqual(this.#pages.map(() => 'connected')),
      WAIT,
    )

  /** Each has seen every event once and in order, and none was told to load again. */
  async areRight(): Promise<void> {
    const expected = Array.from({ length: n - this.from + 1 }, (_, i) => this.from + i)
    await vi.waitFor(() => {
      for (const { seen } of this.#pages) expect(seen).toEqual(expected)
    }, WAIT)
    for (const { resyncs } of this.#pages) expect(resyncs).toEqual([])
  }
}

describe.runIf(HAS_REDIS).each(proxies)('%s', { timeout: 120_000 }, (name) => {
  it('[C7] the first bytes come at once, and each event before the next is published', async () => {
    const proxy = await start(name)
    const stream = await open(streamOf(proxy))
    expect(stream.response.headers).toMatchObject({
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache, no-transform',
    })
    await stream.is('connected')
    const took: number[] = []
    const bareTook: number[] = []
    for (let i = 0; i < 10; i++) {
      const startedAt = performance.now()
      // From either instance.
      await stream.has(await publish(i % 2))
      const cameAt = performance.now()
      // There and back without a stream: what that takes is the machine's.
      const ready = await fetch(`${proxy.url}/ready`)
      await ready.body?.cancel()
      took.push(cameAt - startedAt)
      bareTook.push(performance.now() - cameAt)
    }
    expect(median(took) - median(bareTook)).toBeLessThan(100)
  })

  it('[C4] streams are counted by the address of the client, who cannot make one up', async () => {
    const proxy = await start(name)
    let opened = 0
    for (;;) {
      const stream = await open(streamOf(proxy), '127.0.0.2', { 'x-forwarded-for': `192.0.2.${opened}` })
      if (stream.response.statusCode === 429) {
        expect(Number(stream.response.headers['retry-after'])).toBeGreaterThan(0)
        break
      }
      expect([stream.response.statusCode, ++opened]).toEqual([200, opened])
      // At each of two instances.
      expect(opened).toBeLessThanOrEqual(PER_IP * 2)
    }
    expect(opened).toBeGreaterThanOrEqual(PER_IP)
    const other = await open(streamOf(proxy), '127.0.0.3', { 'x-forwarded-for': '127.0.0.2' })
    expect(other.response.statusCode).toBe(200)
  })

  it('[C8] over TLS the streams of a browser share one connection of HTTP/2', async () => {
    const proxy = await start(name)
    const session = connectHttp2(proxy.tlsUrl, { rejectUnauthorized: false })
    cleanups.push(() => session.destroy())
    const texts: string[] = []
    // One more than a browser opens over HTTP/1.1, and no more than the limit of an address.
    const streams = Array.from({ length: 7 }, (_, i) => {
      texts[i] = ''
      const stream = session.request({ ':path': '/api/events/stream' })
      stream.setEncoding('utf8').on('data', (text) => {
        texts[i] += text
      })
      stream.on('error', () => {})
      return stream
    })
    const answers = await Promise.all(streams.map((stream) => once(stream, 'response')))
    expect(answers.map(([headers]) => headers[':status'])).toEqual(streams.map(() => 200))
    const all = (text: string) => vi.waitFor(() => expect(texts.filter((one) => !one.includes(text))).toEqual([]), WAIT)
    await all('event: connected')
    await all(`"n":${await publish()}}`)
    await all(`"n":${await publish(1)}}`)
  })

  it('[D3] after a reload the streams go on, and come back without a loss where the old workers end', async () => {
    const proxy = await start(name, { grace: '1s' })
    const pages = new Pages(streamOf(proxy), 4)
    await pages.connected()
    await publish()
    await pages.areRight()
    const before = await openedSoFar()
    proxy.reload()
    // Until all of them have been cut off and have come back, and some more.
    await vi.waitFor(
      async () => {
        await publish()
        expect(await openedSoFar()).toBeGreaterThanOrEqual(before + 4)
      },
      { timeout: 30_000, interval: 50 },
    )
    await publish(1)
    await pages.areRight()
  })

  it('[D3] an instance is killed: its pages go on at the other, without a resync', async () => {
    const proxy = await start(name)
    const pages = new Pages(streamOf(proxy), 6)
    await pages.connected()
    await spread(6)
    await publish()
    await pages.areRight()
    await instances.kill(0)
    for (let i = 0; i < 5; i++) await publish(1)
    await vi.waitFor(async () => expect(await instances.streams()).toEqual([0, 6]), WAIT)
    await publish(1)
    await pages.areRight()
  })

  it('[S7] a draining instance sends its pages to the other; where there is none, 503 and Retry-After reach the client', async () => {
    const proxy = await start(name, name === 'Caddy' ? { substitutions: [BRIEFLY] } : {})
    const pages = new Pages(streamOf(proxy), 6)
    await pages.connected()
    await spread(6)
    await publish(1)
    await instances.ask(0, { do: 'drain', drainMs: 300 })
    await publish(1)
    await vi.waitFor(async () => expect(await instances.streams()).toEqual([0, 6]), WAIT)
    await publish(1)
    await pages.areRight()
    const isRefused = async () => {
      const refused = await open(streamOf(proxy))
      expect(refused.response.statusCode).toBe(503)
      expect(Number(refused.response.headers['retry-after'])).toBeGreaterThan(0)
    }
    await instances.ask(1, { do: 'drain', drainMs: 0 })
    // By the instance, or already by the proxy, where that has found out.
    await isRefused()
    await Promise.all([instances.kill(0), instances.kill(1)])
    // There is nobody but the proxy.
    await isRefused()
  })
})

/** So many streams are open, and each instance has some of them. */
function spread(count: number): Promise<void> {
  return vi.waitFor(async () => {
    const [a = 0, b = 0] = await instances.streams()
    expect([a + b, a > 0, b > 0]).toEqual([count, true, true])
  }, WAIT)
}

/** Streams opened at both instances since they were started. */
async function openedSoFar(): Promise<number> {
  const answers = await Promise.all([0, 1].map((i) => instances.ask(i, { do: 'stats' })))
  return answers.reduce((sum, { stats }) => sum + (stats?.opened ?? 0), 0)
}

describe('a stream on which nothing happens', () => {
  it.runIf(proxies.length > 0)(
    '[C7] outlives the idle timeout of each proxy by its heartbeats, and only by them',
    { timeout: 60_000 },
    async () => {
      // Nineteen may be late: a process that stands still for a moment is not what is tested.
      const hubs = [100, false].map(
        (heartbeatIntervalMs) =>
          new EventHub({ limits: false, logger: false, heartbeatIntervalMs: heartbeatIntervalMs as number | false }),
      )
      const [beating, silent] = hubs.map((hub) => eventStream(hub, { authorize: () => ({ projectId: 'p1' }) }))
      const server = createServer((req, res) => {
        if (req.url === '/ready') res.end()
        else if (req.url?.includes('silent')) silent?.(req, res)
        else beating?.(req, res)
      })
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      cleanups.push(async () => {
        for (const hub of hubs) await hub.close()
        server.closeAllConnections()
        await new Promise((resolve) => server.close(resolve))
      })
      const { port } = server.address() as AddressInfo
      await Promise.all(
        proxies.map(async (name) => {
          const proxy = await RunningProxy.start(name, { upstreams: [port, port], idle: '2s' })
          cleanups.push(() => proxy.stop())
          const kept = await open(streamOf(proxy))
          const cut = await open(`${streamOf(proxy)}?silent`)
          for (const stream of [kept, cut]) await stream.is('connected')
          await vi.waitFor(() => expect([name, cut.isOver]).toEqual([name, true]), WAIT)
          // Twice as long, at least.
          await vi.waitFor(
            () => expect(kept.types.filter((type) => type === 'heartbeat').length).toBeGreaterThan(40),
            WAIT,
          )
          expect([name, kept.isOver]).toEqual([name, false])
        }),
      )
    },
  )
})
