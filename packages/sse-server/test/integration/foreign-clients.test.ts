import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { createServer, type Server } from 'node:http'
import { EventHub } from '@entitycast/sse-server'
import { eventStream } from '@entitycast/sse-server/node'
import { fetchEventSource } from '@microsoft/fetch-event-source'
import { EventSource } from 'eventsource'
import { createEventSource } from 'eventsource-client'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type Listening, listening } from './listening'

/*
 * Clients that know nothing of this library read the stream, and those that resume do resume: the server cuts the connection, events are
 * published while the client is away, and none is lost or doubled.
 */

const WAIT = { timeout: 15_000 }
const CURL = spawnSync('curl', ['--version']).status === 0
const REQUIRED = process.env.ENTITYCAST_REQUIRE_SERVICES === '1'
if (!CURL && !REQUIRED) console.warn('skipped: the tests with curl, because there is no curl here')

let hub: EventHub
let http: Server
let server: Listening
const cleanups: (() => unknown)[] = []

beforeEach(async () => {
  hub = new EventHub({ logger: false, retryMs: 100 })
  http = createServer(
    eventStream(hub, {
      authorize: (req) => (req.headers.authorization === 'Bearer good' ? { projectId: 'p1' } : null),
    }),
  )
  server = await listening(http)
})

afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup()
  await hub.close()
  http.closeAllConnections()
  await server.close()
})

const headers = { authorization: 'Bearer good' }

interface Recording {
  /** `n` of each entity event, in the order of arrival. */
  readonly seen: number[]
  readonly ids: string[]
}

function record(recording: Recording, event: string | undefined, id: string | undefined, data: string): void {
  if (event !== 'entity.updated') return
  recording.seen.push(JSON.parse(data).data.n)
  recording.ids.push(id ?? '')
}

const publish = (n: number) => hub.project('p1').updated('document', `d${n}`, { n })

/** Cuts every connection, publishes while nobody is there, and expects it all to arrive once. */
async function expectResume(recording: Recording): Promise<void> {
  await vi.waitFor(() => expect(hub.stats().connections).toBe(1), WAIT)
  for (const n of [1, 2, 3]) await publish(n)
  await vi.waitFor(() => expect(recording.seen).toEqual([1, 2, 3]), WAIT)
  http.closeAllConnections()
  await vi.waitFor(() => expect(hub.stats().connections).toBe(0), WAIT)
  for (const n of [4, 5, 6]) await publish(n)
  await vi.waitFor(() => expect(hub.stats().connections).toBe(1), WAIT)
  await publish(7)
  await vi.waitFor(() => expect(recording.seen.at(-1)).toBe(7), WAIT)
  expect(recording.seen).toEqual([1, 2, 3, 4, 5, 6, 7])
  expect(hub.stats()).toMatchObject({ opened: 2, resyncs: {} })
}

describe('clients that know nothing of this library', () => {
  it.runIf(CURL || REQUIRED)(
    'curl -N prints events as they come, and resumes by a header or by the query',
    async () => {
      const curl = (...args: string[]) => {
        const child: ChildProcess = spawn('curl', ['-N', '-s', '-H', 'Authorization: Bearer good', ...args])
        cleanups.push(() => child.kill())
        const output = { text: '' }
        child.stdout?.setEncoding('utf8').on('data', (text) => {
          output.text += text
        })
        return { child, has: (text: string) => vi.waitFor(() => expect(output.text).toContain(text), WAIT), output }
      }
      const first = curl(server.url)
      await first.has('event: connected')
      const cursor = await publish(1)
      await first.has(`id: ${cursor}`)
      first.child.kill()
      await vi.waitFor(() => expect(hub.stats().connections).toBe(0), WAIT)
      await publish(2)
      for (const args of [['-H', `Last-Event-ID: ${cursor}`, server.url], [`${server.url}/?lastEventId=${cursor}`]]) {
        const again = curl(...args)
        await again.has('"n":2')
        expect(again.output.text).not.toContain('"n":1')
        expect(again.output.text).toContain('"resume":"replayed"')
      }
    },
  )

  it('eventsource', async () => {
    const recording: Recording = { seen: [], ids: [] }
    const source = new EventSource(server.url, {
      fetch: (url, init) => fetch(url, { ...init, headers: { ...init.headers, ...headers } }),
    })
    cleanups.push(() => source.close())
    source.addEventListener('entity.updated', (event) => record(recording, event.type, event.lastEventId, event.data))
    await expectResume(recording)
  })

  it('eventsource-client', async () => {
    const recording: Recording = { seen: [], ids: [] }
    const source = createEventSource({
      url: server.url,
      headers,
      onMessage: ({ event, id, data }) => record(recording, event, id, data),
    })
    cleanups.push(() => source.close())
    await expectResume(recording)
  })

  it('@microsoft/fetch-event-source', async () => {
    const recording: Recording = { seen: [], ids: [] }
    const leaving = new AbortController()
    cleanups.push(() => leaving.abort())
    // It is written for browsers: `window` is where it takes its timers from, and it watches whether the page is hidden.
    vi.stubGlobal('window', globalThis)
    vi.stubGlobal('document', new EventTarget())
    cleanups.push(() => vi.unstubAllGlobals())
    const done = fetchEventSource(server.url, {
      headers,
      fetch,
      signal: leaving.signal,
      openWhenHidden: true,
      onmessage: ({ event, id, data }) => record(recording, event, id, data),
    })
    cleanups.push(() => done)
    await expectResume(recording)
  })
})
