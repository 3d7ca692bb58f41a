import { EventHub } from '@entitycast/sse-server'
import { eventStats, eventStream } from '@entitycast/sse-server/fetch'
import { Hono } from 'hono'
import { describe, expect, it, vi } from 'vitest'
import { fetchServer } from './fetch-server'
import { listening } from './listening'
import { authorize, GOOD, mountSuite, type SuiteOptions } from './mount-suite'

/** A busy machine may need it. */
const WAIT = { timeout: 15_000 }

const options = ({ authorize, ...rest }: SuiteOptions) => ({
  ...rest,
  clientIp: () => '192.0.2.1',
  authorize: (request: Request) => authorize((name) => request.headers.get(name) ?? undefined),
})

mountSuite({
  name: 'fetch',
  methods: ['HEAD', 'OPTIONS', 'POST'],
  refuses: 'mount',
  serve: (hub, suite) => {
    const stream = eventStream(hub, options(suite))
    const stats = eventStats(hub)
    return listening(fetchServer((request) => (new URL(request.url).pathname === '/stats' ? stats : stream)(request)))
  },
})

mountSuite({
  name: 'fetch (Hono)',
  methods: ['HEAD', 'OPTIONS', 'POST'],
  refuses: 'mount',
  serve: (hub, suite) => {
    const app = new Hono()
    const stream = eventStream(hub, options(suite))
    const stats = eventStats(hub)
    app.all('/stream', (c) => stream(c.req.raw))
    app.get('/stats', (c) => stats(c.req.raw))
    return listening(fetchServer((request) => app.fetch(request)))
  },
})

it.each([
  ['the context of Hono', { req: { raw: new Request('http://localhost/stream'), method: 'GET', url: '/stream' } }],
  [
    'the event of SvelteKit',
    { request: new Request('http://localhost/stream'), url: new URL('http://localhost/stream') },
  ],
  ['nothing', undefined],
])('[C1] %s in place of a request is refused to the caller, who is told what to write', async (_, given) => {
  const hub = new EventHub({ logger: false })
  const stream = eventStream(hub, options({ authorize }))
  await expect(stream(given as never)).rejects.toThrow('({ request }) => stream(request) in SvelteKit')
  await hub.close()
})

describe('the body of a fetch response', () => {
  const open = async (hub: EventHub, signal?: AbortSignal) => {
    const stream = eventStream(hub, options({ authorize }))
    return stream(new Request('http://localhost/stream', { headers: GOOD, ...(signal && { signal }) }))
  }

  it('[C9] a cancelled body ends the connection', async () => {
    const hub = new EventHub({ logger: false })
    const response = await open(hub)
    expect(hub.stats().connections).toBe(1)
    await response.body!.cancel()
    expect(hub.stats()).toMatchObject({ connections: 0, closed: { peer: 1 } })
    await hub.close()
  })

  it('[C9] an aborted request ends the connection, read or not, and is no error that a server would log', async () => {
    const hub = new EventHub({ logger: false })
    const left = new AbortController()
    const response = await open(hub, left.signal)
    left.abort()
    expect(hub.stats().connections).toBe(0)
    expect(await response.text()).toBe('')
    await hub.close()
  })

  it('[C9] a request that was aborted before is not opened', async () => {
    const hub = new EventHub({ logger: false })
    const response = await open(hub, AbortSignal.abort())
    expect(response.status).toBe(499)
    expect(hub.stats().opened).toBe(0)
    await hub.close()
  })

  it('[S7] what was written before the end is still read', async () => {
    const hub = new EventHub({ logger: false })
    const response = await open(hub)
    await hub.project('p1').updated('document', 'd1')
    await vi.waitFor(() => expect(hub.stats().writes).toBe(2), WAIT)
    const closed = hub.close()
    const text = await response.text()
    expect(text.match(/^event: .*$/gm)).toEqual(['event: connected', 'event: entity.updated', 'event: closing'])
    await closed
  })
})
