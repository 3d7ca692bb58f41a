import { constants, createGunzip, inflateRawSync } from 'node:zlib'
import { Chunk, EventHub, type Grant, GZIP_HEADER, serveStream } from '@entitycast/sse-server'
import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { testHub } from '../support/hub'
import { RecordingSink } from '../support/recording-sink'
import { open } from '../support/stream'
import '../../../sse-protocol/test/property/replay'

/** Inflates one piece as if nothing had been before it. */
const inflate = (piece: Buffer) => inflateRawSync(piece, { finishFlush: constants.Z_SYNC_FLUSH }).toString()

/** A socket that takes compressed chunks and keeps them. */
class GzipSink extends RecordingSink {
  readonly compressed = true
  readonly chunks: Chunk[] = []

  override write(chunk: Chunk): boolean {
    this.chunks.push(chunk)
    return super.write(chunk)
  }
}

interface Asked {
  status: number
  headers: Readonly<Record<string, string>>
  gzip: boolean | undefined
}

async function ask(
  accepted: string | undefined,
  options: { compression?: 'gzip' | false; cors?: { origins: string[] }; method?: string; grant?: Grant | null } = {},
): Promise<Asked> {
  const { compression, cors, method = 'GET', grant = { projectId: 'p' } } = options
  const hub = new EventHub({ logger: false })
  const asked: Asked = { status: 0, headers: {}, gzip: undefined }
  await serveStream(
    hub,
    { authorize: () => grant, compression, cors },
    undefined,
    { method, url: '/', header: (name) => (name === 'accept-encoding' ? accepted : undefined) },
    {
      gone: false,
      answer: (status, headers) => void Object.assign(asked, { status, headers }),
      open: (headers, gzip) => {
        Object.assign(asked, { status: 200, headers, gzip })
        return new RecordingSink()
      },
    },
  )
  await hub.close()
  return asked
}

describe('who gets gzip', () => {
  it.each([
    ['gzip', true],
    ['gzip, deflate, br, zstd', true],
    ['GZIP;Q=0.5', true],
    ['x-gzip', true],
    ['*', true],
    ['br, *;q=0.1', true],
    ['gzip;q=0.5, identity;q=0.5', true],
    ['gzip; q=0.001', true],
    [undefined, false],
    ['', false],
    ['identity', false],
    ['br', false],
    ['gzip;q=0', false],
    ['gzip;q=0.000, *', false],
    ['*;q=0', false],
    ['gzip;q=0.5, identity', false],
    ['gzip;q=much', false],
    ['gzip;q=-1', false],
    ['gzip;q=2', false],
    ['gzipped', false],
  ])('Accept-Encoding: %s → %s', async (accepted, expected) => {
    expect((await ask(accepted, { compression: 'gzip' })).gzip).toBe(expected)
  })

  it('nobody, where it is not switched on', async () => {
    for (const compression of [undefined, false] as const) {
      const { gzip, headers } = await ask('gzip', { compression })
      expect(gzip).toBe(false)
      expect(headers).not.toHaveProperty('vary')
    }
  })

  it('nobody who is refused or asks by HEAD; caches are told that the stream varies', async () => {
    expect(await ask('gzip', { compression: 'gzip', grant: null })).toMatchObject({ status: 401, gzip: undefined })
    const head = await ask('gzip', { compression: 'gzip', method: 'HEAD' })
    expect(head).toMatchObject({ status: 200, gzip: undefined, headers: { vary: 'Accept-Encoding' } })
    expect(head.headers).not.toHaveProperty('content-encoding')
    const plain = await ask(undefined, { compression: 'gzip', cors: { origins: ['https://a.example'] } })
    expect(plain.headers).toMatchObject({ vary: 'Origin, Accept-Encoding', 'cache-control': 'no-cache, no-transform' })
  })

  it('what is no such option is refused, with what it must be', async () => {
    const { status, gzip } = await ask('gzip', { compression: true as unknown as 'gzip' })
    expect([status, gzip]).toEqual([500, undefined])
  })
})

describe('a piece of the stream', () => {
  it('pieces are whole by themselves, and one after the other they are one gzip stream, read as it comes', async () => {
    const texts = fc.array(
      fc.record({
        text: fc.oneof(
          fc.string({ unit: 'binary', minLength: 1, maxLength: 2_000 }),
          fc.tuple(fc.string({ minLength: 1 }), fc.integer({ min: 1, max: 4_000 })).map(([s, n]) => s.repeat(n)),
        ),
        compressible: fc.boolean(),
      }),
      { minLength: 1, maxLength: 6 },
    )
    await fc.assert(
      fc.asyncProperty(texts, async (parts) => {
        const gunzip = createGunzip()
        let read = ''
        gunzip.setEncoding('utf8').on('data', (text) => {
          read += text
        })
        gunzip.write(GZIP_HEADER)
        let written = ''
        for (const { text, compressible } of parts) {
          const chunk = new Chunk(text, compressible)
          written += text
          expect(inflate(chunk.deflated)).toBe(text)
          expect(chunk.framedDeflated.toString('latin1')).toBe(
            `${chunk.deflated.length.toString(16)}\r\n${chunk.deflated.toString('latin1')}\r\n`,
          )
          // Only when this one has been read does the next follow.
          await new Promise((resolve) => gunzip.write(chunk.deflated, resolve))
          expect(read).toBe(written)
        }
        gunzip.destroy()
      }),
      { numRuns: 100 },
    )
  })

  it('ends in an empty block, small or large, compressed or stored', () => {
    for (const text of ['a', 'a'.repeat(10_000), 'a'.repeat(200_000)]) {
      for (const compressible of [true, false]) {
        const { deflated } = new Chunk(text, compressible)
        expect([...deflated.subarray(-4)]).toEqual([0, 0, 0xff, 0xff])
        expect(inflate(deflated)).toBe(text)
      }
    }
  })

  it('where compressing does not pay, ten bytes are the price', () => {
    const random = Array.from({ length: 3_000 }, (_, i) =>
      String.fromCharCode(33 + ((i * i * 7_919 + i * 104_729) % 90)),
    )
    for (const text of ['event: heartbeat\ndata: {}\n\n', random.join('')]) {
      const { deflated, byteLength } = new Chunk(text, false)
      expect(deflated.length).toBe(byteLength + 10)
      expect(new Chunk(text).deflated.length).toBeLessThanOrEqual(byteLength + 10)
    }
  })
})

describe('what is not compressed', () => {
  it('[8] a chunk with an event for some users only: the length of what they get tells nothing but the length of the text', async () => {
    const { hub, clock } = testHub({ limits: false })
    const [sink, other] = [new GzipSink(), new GzipSink()]
    await open(hub, { projectId: 'p', userId: 'u1' }, { sink })
    await open(hub, { projectId: 'p', userId: 'u2' }, { sink: other })
    const text = 'the same words '.repeat(100)
    void hub.project('p').updated('document', 'd1', { text })
    void hub.project('p').updated('document', 'd2', { text }, { audience: { users: ['u1'] } })
    await clock.advance(100)
    const [mixed, everyones] = [sink.chunks.at(-1) as Chunk, other.chunks.at(-1) as Chunk]
    expect(mixed.text).toContain('"id":"d2"')
    expect(mixed.deflated.length).toBe(mixed.byteLength + 10)
    expect(everyones.text).not.toContain('"id":"d2"')
    expect(everyones.deflated.length).toBeLessThan(everyones.byteLength / 5)
    await hub.close()
  })

  it('[8] the greeting, which names the connection, however long it is', async () => {
    const { hub } = testHub({ limits: false })
    const sink = new GzipSink()
    await open(hub, { projectId: 'p'.repeat(128) }, { sink })
    const hello = sink.chunks[0] as Chunk
    expect(hello.byteLength).toBeGreaterThan(256)
    expect(hello.deflated.length).toBe(hello.byteLength + 10)
    await hub.close()
  })

  it('[8] nor when it is replayed, merged with others', async () => {
    const { hub, clock } = testHub({ limits: false })
    const cursor = await hub.cursor('p')
    const text = 'the same words '.repeat(100)
    for (const audience of [undefined, { users: ['u1'] }]) {
      void hub.project('p').updated('document', 'd1', { text }, { ...(audience && { audience }) })
    }
    await clock.advance(100)
    const sink = new GzipSink()
    await open(hub, { projectId: 'p', userId: 'u1' }, { sink, lastEventId: cursor })
    const page = sink.chunks.at(-1) as Chunk
    expect(page.text).toContain('"id":"d1"')
    expect(page.deflated.length).toBe(page.byteLength + 10)
    await hub.close()
  })
})

describe('what a hub counts and keeps', () => {
  it('stats() counts the bytes that go out', async () => {
    const { hub, clock } = testHub({ limits: false })
    const [plain, gzip] = [new RecordingSink(), new GzipSink()]
    await open(hub, { projectId: 'p' }, { sink: plain })
    const before = hub.stats().bytesWritten
    await open(hub, { projectId: 'p' }, { sink: gzip })
    await clock.advance(1)
    const hello = gzip.chunks[0] as Chunk
    expect(hub.stats().bytesWritten - before).toBe(hello.deflated.length)
    void hub.project('p').updated('document', 'd1', { text: 'x'.repeat(1_000) })
    const then = hub.stats().bytesWritten
    await clock.advance(1)
    const chunk = gzip.chunks.at(-1) as Chunk
    expect(hub.stats().bytesWritten - then).toBe(chunk.byteLength + chunk.deflated.length)
    await hub.close()
  })

  it('[D6] a compressed chunk is let go with its round', async () => {
    const { hub, clock } = testHub({ limits: false, heartbeatIntervalMs: false })
    const sinks = [new GzipSink(), new GzipSink()]
    for (const sink of sinks) await open(hub, { projectId: 'p' }, { sink })
    void hub.project('p').updated('document', 'd1', { text: 'x'.repeat(1_000) })
    await clock.advance(1)
    const made = new WeakRef(sinks[0]?.chunks.at(-1) as Chunk)
    expect(made.deref()?.deflated.length).toBeLessThan(200)
    for (const sink of sinks) sink.chunks.length = 0
    await clock.advance(2_000)
    await vi.waitFor(
      async () => {
        await collectGarbage()
        expect(made.deref()).toBeUndefined()
      },
      { timeout: 15_000 },
    )
    await hub.close()
  })
})

async function collectGarbage(): Promise<void> {
  const [{ setFlagsFromString }, { runInNewContext }] = await Promise.all([import('node:v8'), import('node:vm')])
  setFlagsFromString('--expose-gc')
  ;(runInNewContext('gc') as () => void)()
}
