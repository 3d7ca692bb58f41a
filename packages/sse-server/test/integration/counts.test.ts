import { createHook } from 'node:async_hooks'
import { once } from 'node:events'
import { createServer, get, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { type Chunk, EventHub, MemoryAdapter } from '@entitycast/sse-server'
import { eventStream } from '@entitycast/sse-server/node'
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { systemClock } from '../../src/seams/system'
import { CountingClock } from '../support/counting-clock'
import { testHub } from '../support/hub'
import { RecordingSink } from '../support/recording-sink'
import { open } from '../support/stream'

const encoded = vi.hoisted(() => ({ events: 0, frames: 0 }))
vi.mock('@entitycast/sse-protocol', async (original) => {
  const protocol = await original<typeof import('@entitycast/sse-protocol')>()
  return {
    ...protocol,
    encodeEvent: (...args: Parameters<typeof protocol.encodeEvent>) => {
      encoded.events++
      return protocol.encodeEvent(...args)
    },
    encodeFrame: (...args: Parameters<typeof protocol.encodeFrame>) => {
      encoded.frames++
      return protocol.encodeFrame(...args)
    },
  }
})

/*
 * What each event and each connection costs, in counts. Times are for the benchmark: they depend on the machine.
 */

const CONNECTIONS = 200

describe('what is done for each event and each connection', () => {
  let hub: EventHub
  let clock: CountingClock
  let server: Server
  let sockets: Socket[]
  let responses: IncomingMessage[]
  let received: string[]
  /** Writes on the server's sockets since the last reset. */
  let writes: number

  beforeEach(async () => {
    clock = new CountingClock()
    // What the log does in its own time is not counted.
    const adapter = new MemoryAdapter()
    // Heartbeats would be counted too, where opening so many takes a while.
    hub = new EventHub({ limits: false, logger: false, heartbeatIntervalMs: 300_000, ports: { clock }, adapter })
    server = createServer(eventStream(hub, { authorize: () => ({ projectId: 'p' }) }))
    sockets = []
    server.on('connection', (socket: Socket) => {
      sockets.push(socket)
      const { write } = socket
      socket.write = (...args: unknown[]) => {
        writes++
        return Reflect.apply(write, socket, args)
      }
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    responses = []
    received = []
    for (let n = 0; n < CONNECTIONS; n++) {
      const request = get({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', agent: false })
      const [response] = (await once(request, 'response')) as [IncomingMessage]
      response.setEncoding('utf8')
      received[n] = ''
      response.on('data', (text: string) => {
        received[n] += text
      })
      response.on('error', () => {})
      responses.push(response)
    }
    await everyoneHas('event: connected')
    writes = 0
    encoded.events = 0
    encoded.frames = 0
  })

  afterEach(async () => {
    for (const response of responses) response.destroy()
    await hub.close()
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })

  const everyoneHas = (text: string) =>
    vi.waitFor(() => expect(received.filter((one) => !one.includes(text))).toEqual([]), {
      timeout: 15_000,
      interval: 5,
    })

  function publish(count: number): Promise<unknown> {
    const published = []
    for (let n = 0; n < count; n++) published.push(hub.project('p').updated('document', `d${n}`, { n }))
    return Promise.all(published)
  }

  const listenersOf = (emitter: NodeJS.EventEmitter) =>
    emitter.eventNames().reduce((sum, name) => sum + emitter.listenerCount(name), 0)

  it('[D1] an event is encoded once, however many connections there are', async () => {
    await publish(1)
    await everyoneHas('"id":"d0"')
    expect(encoded).toEqual({ events: 1, frames: 1 })
  })

  it('[D1] sixteen events of one turn are one write for each connection', async () => {
    await publish(16)
    await everyoneHas('"id":"d15"')
    expect(writes).toBe(CONNECTIONS)
    expect(encoded).toEqual({ events: 16, frames: 16 })
    expect(hub.stats().writes).toBe(CONNECTIONS * 2)
  })

  it('[D1] sixteen events of sixteen turns are at most sixteen writes for each connection, and fewer where a round takes long', async () => {
    for (let n = 0; n < 16; n++) {
      await hub.project('p').updated('document', `turn${n}`)
      await new Promise((resolve) => setImmediate(resolve))
    }
    await everyoneHas('"id":"turn15"')
    expect(writes % CONNECTIONS).toBe(0)
    expect(writes).toBeLessThanOrEqual(16 * CONNECTIONS)
    expect(encoded.frames).toBe(16)
  })

  it('[D6] a thousand events leave no listener and no timer behind, and one timer serves all connections', async () => {
    const before = sockets.map(listenersOf)
    expect(clock.timers).toBe(1)
    const deferred = clock.deferred
    for (let n = 0; n < 10; n++) {
      await publish(100)
      await new Promise((resolve) => setImmediate(resolve))
    }
    await everyoneHas('"n":99')
    expect(sockets.map(listenersOf)).toEqual(before)
    // A pause between two rounds is a timer too, and is over soon.
    await vi.waitFor(() => expect(clock.timers).toBe(1), { timeout: 15_000 })
    // Two a turn: one writes to the connections, one lets publishers go on.
    expect(clock.deferred - deferred).toBeLessThanOrEqual(2 * 10 + 2)
    expect(listenersOf(process)).toBeLessThan(50)
  })

  it('[D6] an event makes promises and timers for itself, and none for a connection', async () => {
    const made: Record<string, number> = { PROMISE: 0, Timeout: 0, Immediate: 0 }
    const { stackTraceLimit } = Error
    Error.stackTraceLimit = 50
    onTestFinished(() => {
      Error.stackTraceLimit = stackTraceLimit
    })
    const hook = createHook({
      init: (_id, type) => {
        // What vitest does meanwhile, when it tells of its tests, is nobody's event; what we do is, though vitest calls the test.
        const stack = type === 'Timeout' ? String(new Error().stack) : ''
        if (/node_modules.vitest/.test(stack) && !/sse-server.src/.test(stack)) return
        if (type in made) made[type] = (made[type] as number) + 1
      },
    })
    // The clients are in this process too: what reading makes is not counted.
    for (const response of responses) response.pause()
    hook.enable()
    for (let n = 0; n < 10; n++) void hub.project('p').updated('document', `quiet${n}`)
    let waited = 0
    while (writes < CONNECTIONS) {
      waited++
      await new Promise((resolve) => setImmediate(resolve))
    }
    hook.disable()
    for (const response of responses) response.resume()
    await everyoneHas('"id":"quiet9"')
    expect(writes).toBe(CONNECTIONS)
    expect(made.Timeout).toBeLessThanOrEqual(2)
    // Waiting is one of each, and a promise for its own result.
    expect(made.Immediate as number).toBeLessThanOrEqual(waited + 10)
    expect(made.PROMISE as number).toBeLessThan(waited * 3 + CONNECTIONS)
  })

  it('[W3] on the wire are the frames and nothing else: one chunk for all of a turn, and less than 80 bytes around each event', async () => {
    const before = sockets.map(({ bytesWritten }) => bytesWritten)
    const texts = received.map((text) => text.length)
    await publish(16)
    await everyoneHas('"id":"d15"')
    const frames = (received[0] as string).slice(texts[0])
    // The length of the chunk in hex, and two line ends (RFC 9112, section 7.1).
    const chunk = frames.length + frames.length.toString(16).length + 4
    expect(sockets.map(({ bytesWritten }, n) => bytesWritten - (before[n] as number))).toEqual(sockets.map(() => chunk))
    const events = [...frames.matchAll(/^data: (.*)$/gm)].map(([, data]) => (data as string).length)
    expect(events).toHaveLength(16)
    const around = frames.length - events.reduce((sum, length) => sum + length, 0)
    expect(around / 16).toBeLessThan(80)
  })

  it('[W1] opening a stream takes less than 600 bytes, headers and greeting together', async () => {
    const opened = sockets.length
    const request = get({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', agent: false })
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    responses.push(response)
    response.setEncoding('utf8')
    const [hello] = (await once(response, 'data')) as [string]
    expect(hello).toContain('event: connected')
    expect((sockets[opened] as Socket).bytesWritten).toBeLessThan(600)
  })

  it('[W15] a heartbeat is encoded once for all connections at one place', async () => {
    // In virtual time: with the machine's own, more than one place in time would be theirs where opening so many takes a while.
    const { hub: quick, clock } = testHub({ limits: false, heartbeatIntervalMs: 100 })
    const streams = await Promise.all(Array.from({ length: 50 }, () => open(quick, { projectId: 'p' })))
    encoded.frames = 0
    await clock.advance(350)
    expect(streams.map(({ collector }) => collector.of('heartbeat').length)).toEqual(streams.map(() => 3))
    expect(encoded.frames).toBe(3)
    await quick.close()
  })
})

describe('what connections share', () => {
  /** A socket that keeps the very chunks that it was given. */
  class ChunkSink extends RecordingSink {
    readonly chunks: Chunk[] = []

    override write(chunk: Chunk): boolean {
      this.chunks.push(chunk)
      return super.write(chunk)
    }
  }

  async function chunksOf(
    hub: EventHub,
    grants: { projectId: string; userId?: string; channels?: string[] }[],
    cursor?: string,
  ) {
    const sinks = grants.map(() => new ChunkSink())
    for (const [i, grant] of grants.entries())
      await open(hub, grant, { sink: sinks[i] as ChunkSink, lastEventId: cursor })
    return sinks
  }

  const settled = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)))

  it('[D6] all with the same channels are given the very same chunk, whoever they are', async () => {
    const hub = new EventHub({ limits: false, logger: false })
    const sinks = await chunksOf(hub, [
      { projectId: 'p' },
      { projectId: 'p', userId: 'u1' },
      { projectId: 'p', channels: ['a', 'default'] },
      { projectId: 'p', channels: ['default', 'a', 'a'] },
    ])
    await hub.project('p').updated('document', 'd')
    await settled()
    const [all, user, some, others] = sinks.map(({ chunks }) => chunks.at(-1))
    expect(all).toBe(user)
    expect(some).toBe(others)
    await hub.close()
  })

  it('[D6] a page of the past is made once for all who come back to one place', async () => {
    // Pages are let go of with the hub's rounds, a second apart: here none comes while they connect, however long that takes.
    const clock = { ...systemClock, after: () => () => {} }
    const hub = new EventHub({ limits: false, logger: false, ports: { clock } })
    const cursor = await hub.cursor('p')
    for (let n = 0; n < 100; n++) await hub.project('p').updated('document', `d${n}`)
    encoded.frames = 0
    const sinks = await chunksOf(
      hub,
      Array.from({ length: 100 }, (_, n) => ({ projectId: 'p', userId: `u${n}` })),
      cursor,
    )
    await settled()
    const pages = new Set(sinks.map(({ chunks }) => chunks[1]))
    // The first who comes is alone, and its page is not kept.
    expect(pages.size).toBeLessThanOrEqual(2)
    expect(encoded.frames).toBeLessThanOrEqual(100 + 2 * 100)
    await hub.close()
  })

  it('[W1] the first frame is encoded once for all who come to one place, and each has its own id in it', async () => {
    const hub = new EventHub({ limits: false, logger: false })
    const projectId = 'p {"connectionId":"conn_"}'
    const first = await open(hub, { projectId })
    encoded.frames = 0
    const others = await Promise.all(Array.from({ length: 50 }, () => open(hub, { projectId })))
    expect(encoded.frames).toBe(0)
    const ids = hub.connections().map(({ connectionId }) => connectionId)
    expect([first, ...others].map(({ connected }) => connected.connectionId)).toEqual(ids)
    expect(new Set(ids).size).toBe(51)
    expect(others.map(({ connected }) => ({ ...connected, connectionId: '' }))).toEqual(
      others.map(() => ({ ...first.connected, connectionId: '' })),
    )
    await hub.project(projectId).updated('document', 'd')
    const later = await open(hub, { projectId })
    expect(later.lastEventId).toBe(await hub.cursor(projectId))
    const expiring = await open(hub, { projectId, expiresAt: Date.now() + 60_000 })
    expect(expiring.connected.expiresInMs).toBeGreaterThan(0)
    expect((await open(hub, { projectId })).connected.expiresInMs).toBeUndefined()
    await hub.close()
  })

  it('[D6] a frame for some users is encoded once too', async () => {
    const hub = new EventHub({ limits: false, logger: false })
    await chunksOf(
      hub,
      Array.from({ length: 50 }, (_, n) => ({ projectId: 'p', userId: `u${n}` })),
    )
    encoded.frames = 0
    await hub
      .project('p')
      .updated('document', 'd', {}, { audience: { users: Array.from({ length: 50 }, (_, n) => `u${n}`) } })
    await settled()
    expect(encoded.frames).toBe(1)
    await hub.close()
  })
})
