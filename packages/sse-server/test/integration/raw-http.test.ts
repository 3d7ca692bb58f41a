import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import { connect, type Socket } from 'node:net'
import { EventHub, type EventHubOptions } from '@entitycast/sse-server'
import { eventStream, leanStreams } from '@entitycast/sse-server/node'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { type Listening, listening } from './listening'
import { authorize } from './mount-suite'

const WAIT = { timeout: 15_000, interval: 5 }
const STREAM = 'GET /stream HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer good\r\n'

/** What no client library would send. */
class RawClient {
  text = ''
  closed = false

  constructor(readonly socket: Socket) {
    socket.on('data', (bytes: Buffer) => {
      this.text += bytes.toString('latin1')
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      this.closed = true
    })
  }

  send(text: string): void {
    this.socket.write(text)
  }

  /** Resolves when the text has come so many times. */
  async got(text: string, times = 1): Promise<void> {
    await vi.waitFor(() => expect(this.text.split(text).length - 1).toBe(times), WAIT)
  }
}

for (const isLean of [false, true]) {
  describe(`requests as no library sends them${isLean ? ', with leanStreams' : ''}`, () => {
    const cleanups: (() => unknown)[] = []
    const warnings: string[] = []
    const warn = ({ name, message }: Error) => warnings.push(`${name}: ${message}`)
    const unhandled: unknown[] = []
    const hear = (reason: unknown) => unhandled.push(reason)
    afterEach(async () => {
      for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
      process.off('warning', warn)
      process.off('unhandledRejection', hear)
      expect(unhandled.splice(0)).toEqual([])
      expect(warnings.splice(0)).toEqual([])
    })

    async function start(
      wrap: (stream: RequestListener) => RequestListener = (stream) => stream,
      options: EventHubOptions = {},
    ) {
      process.on('warning', warn)
      process.on('unhandledRejection', hear)
      const hub = new EventHub({ logger: false, heartbeatIntervalMs: false, ...options })
      const stream = eventStream(hub, {
        authorize: (req) => authorize((name) => req.headers[name] as string | undefined),
      })
      const server: Server = createServer(wrap(stream))
      if (isLean) leanStreams(server)
      const address: Listening = await listening(server)
      cleanups.push(async () => {
        await hub.close()
        server.closeAllConnections()
        await address.close()
      })
      const dial = async () => {
        const socket = connect(Number(new URL(address.url).port), '127.0.0.1')
        await once(socket, 'connect')
        cleanups.push(() => socket.destroy())
        return new RawClient(socket)
      }
      const publish = (id: string) => hub.project('p1').updated('document', id)
      return { hub, dial, publish, sockets: address.sockets }
    }

    it('[C9] a GET with a body, and one that never ends, streams, and its leaving is noticed', async () => {
      const { hub, dial, publish, sockets } = await start()
      const small = await dial()
      small.send(`${STREAM}Content-Length: 5\r\n\r\nhello`)
      const large = await dial()
      large.send(`${STREAM}Content-Length: 10000000\r\n\r\n`)
      const chunked = await dial()
      chunked.send(`${STREAM}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n`)
      for (const client of [small, large, chunked]) await client.got('event: connected')
      large.send('x'.repeat(1_000_000))
      chunked.send(`186a0\r\n${'x'.repeat(100_000)}\r\n`)
      await publish('d1')
      for (const client of [small, large, chunked]) await client.got('"d1"')
      for (const client of [small, large, chunked]) client.socket.end()
      for (const client of [small, large, chunked]) client.socket.destroy()
      await vi.waitFor(() => expect(hub.stats().connections).toBe(0), WAIT)
      await vi.waitFor(async () => expect(await sockets()).toBe(0), WAIT)
    })

    it('Expect: 100-continue is answered, and then streams', async () => {
      const { dial, publish } = await start()
      const client = await dial()
      client.send(`${STREAM}Expect: 100-continue\r\nContent-Length: 2\r\n\r\n`)
      await client.got('100 Continue')
      client.send('ok')
      await client.got('event: connected')
      await publish('d1')
      await client.got('"d1"')
    })

    it('[C5] a POST whose body never comes is 405 at once', async () => {
      const { dial } = await start()
      const client = await dial()
      client.send('POST /stream HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n')
      await client.got('HTTP/1.1 405')
    })

    it('[C1] a connection on which twenty requests were refused serves a stream', async () => {
      const { hub, dial, publish } = await start()
      const client = await dial()
      for (let n = 1; n <= 20; n++) {
        client.send('GET /stream HTTP/1.1\r\nHost: a\r\n\r\n')
        await client.got('HTTP/1.1 401', n)
      }
      client.send(`${STREAM}\r\n`)
      await client.got('event: connected')
      await publish('d1')
      await client.got('"d1"')
      client.socket.destroy()
      await vi.waitFor(() => expect(hub.stats().connections).toBe(0), WAIT)
    })

    it('[C9] what is pipelined behind a stream is not answered in it, and leaves nothing behind', async () => {
      const { hub, dial, publish, sockets } = await start((stream) => (req, res) => {
        if (req.url === '/other') res.end('other')
        else stream(req, res)
      })
      const client = await dial()
      const other = 'GET /other HTTP/1.1\r\nHost: a\r\n\r\n'
      client.send(`${STREAM}\r\n${other}${STREAM}\r\n${other}`)
      await client.got('event: connected')
      await publish('d1')
      await client.got('"d1"')
      client.send(other)
      await publish('d2')
      await client.got('"d2"')
      expect(client.text).not.toContain('\r\nother')
      client.socket.destroy()
      await vi.waitFor(() => expect(hub.stats().connections).toBe(0), WAIT)
      await vi.waitFor(async () => expect(await sockets()).toBe(0), WAIT)
    })

    it('[C9] a stream that is pipelined behind a slow answer comes after it', async () => {
      let answer = () => {}
      const { hub, dial, publish } = await start((stream) => (req, res) => {
        if (req.url === '/slow') answer = () => res.end('slow')
        else stream(req, res)
      })
      const client = await dial()
      client.send(`GET /slow HTTP/1.1\r\nHost: a\r\n\r\n${STREAM}\r\n`)
      await vi.waitFor(() => expect(hub.stats().connections).toBe(1), WAIT)
      await publish('d1')
      expect(client.text).toBe('')
      answer()
      await client.got('"d1"')
      expect(client.text).toMatch(/^HTTP\/1\.1 200[\s\S]*slow[\s\S]*HTTP\/1\.1 200[\s\S]*event: connected[\s\S]*"d1"/)
    })

    it('a client of HTTP/1.0 that wants to keep its connection gets the stream until its end', async () => {
      const { hub, dial, publish } = await start()
      const client = await dial()
      client.send('GET /stream HTTP/1.0\r\nConnection: keep-alive\r\nAuthorization: Bearer good\r\n\r\n')
      await client.got('event: connected')
      await publish('d1')
      await client.got('"d1"')
      expect(client.text.toLowerCase()).not.toContain('transfer-encoding')
      void hub.disconnect({ projectId: 'p1' })
      await vi.waitFor(() => expect(client.closed).toBe(true), WAIT)
      expect(client.text).toMatch(/event: closing\r?\ndata: \{"reason":"rotated"\}\n\n$/)
    })

    it('[C9] garbage, half a request, and a reset in the middle of one end that connection alone', async () => {
      const { hub, dial, publish, sockets } = await start()
      const good = await dial()
      good.send(`${STREAM}\r\n`)
      await good.got('event: connected')
      const garbage = await dial()
      garbage.send('\x16\x03\x01\x00\xa5\x01\x00\x00\xa1')
      await vi.waitFor(() => expect(garbage.closed).toBe(true), WAIT)
      const half = await dial()
      half.send(STREAM)
      half.socket.resetAndDestroy()
      const reset = await dial()
      reset.send(`${STREAM}\r\n`)
      await reset.got('event: connected')
      reset.socket.resetAndDestroy()
      await vi.waitFor(async () => expect(await sockets()).toBe(1), WAIT)
      await publish('d1')
      await good.got('"d1"')
      expect(hub.stats().connections).toBe(1)
    })

    const broken: [string, (res: Parameters<RequestListener>[1]) => void][] = [
      [
        'before the headers are out',
        (res) => {
          res.writeHead = () => {
            throw new Error('a middleware')
          }
        },
      ],
      [
        'after the headers are out',
        (res) => {
          const writeHead = res.writeHead.bind(res) as (...args: unknown[]) => typeof res
          res.writeHead = (...args: unknown[]) => {
            writeHead(...args)
            res.flushHeaders()
            throw new Error('a middleware')
          }
        },
      ],
      [
        'when headers are set',
        (res) => {
          res.setHeader = () => {
            throw new Error('a middleware')
          }
        },
      ],
      [
        'when the response ends',
        (res) => {
          res.end = () => {
            throw new Error('a middleware')
          }
        },
      ],
    ]
    it.each(broken)(
      '[S8] a middleware that throws %s ends that request, no other, and not the process',
      async (_, breaks) => {
        let broken = 0
        const { hub, dial, publish, sockets } = await start((stream) => (req, res) => {
          if (req.headers['x-broken']) {
            broken++
            breaks(res)
          }
          stream(req, res)
        })
        const good = await dial()
        good.send(`${STREAM}\r\n`)
        await good.got('event: connected')
        const clients = []
        for (const head of [STREAM, 'GET /stream HTTP/1.1\r\nHost: a\r\n']) {
          const client = await dial()
          client.send(`${head}X-Broken: 1\r\n\r\n`)
          clients.push(client)
        }
        await vi.waitFor(() => expect(broken).toBe(clients.length), WAIT)
        await publish('d1')
        await good.got('"d1"')
        await hub.revoke({ projectId: 'p1', userId: 'u1' })
        await good.got('"revoked"')
        // Either it was cut, or its middleware has not thrown in what a stream needs.
        for (const client of clients)
          await vi.waitFor(() => expect(client.closed || client.text.includes('"revoked"')).toBe(true), WAIT)
        for (const { socket } of [good, ...clients]) socket.destroy()
        await vi.waitFor(async () => expect(await sockets()).toBe(0), WAIT)
        expect(hub.stats().connections).toBe(0)
      },
    )
  })
}
