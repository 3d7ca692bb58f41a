import { type Chunk, type Grant, HubError } from '@entitycast/sse-server'
import { describe, expect, it } from 'vitest'
import { GatedLog } from '../support/gated-log'
import { codeOf, testHub } from '../support/hub'
import { RecordingSink } from '../support/recording-sink'
import { open } from '../support/stream'
import { VirtualClock } from '../support/virtual-clock'

const throwing = () => {
  throw new Error('thrown by the application')
}

describe('what applications and sockets do wrong', () => {
  it('[S8] a logger that throws stops nothing', async () => {
    const { hub, clock } = testHub({ logger: { warn: throwing, error: throwing } })
    hub.listen({ projectId: 'p1' }, throwing)
    await clock.settle()
    const stream = await open(hub, { projectId: 'p1' }, { reauthorize: throwing })
    const other = await open(hub, { projectId: 'p1' })
    await hub.project('p1').updated('document', 'd')
    await clock.settle()
    await clock.advance(16_000)
    expect(stream.closing).toBe('expired')
    expect(other.types).toEqual(['connected', 'entity.updated', 'heartbeat'])
    expect((await open(hub, null, { authorize: throwing })).status).toBe(503)
    await hub.close()
  })

  it('[S8] a log line names neither payload nor token', async () => {
    const { hub, clock, logger } = testHub()
    hub.listen({ projectId: 'p1' }, () => {
      throw new Error('handler')
    })
    await clock.settle()
    await hub.project('p1').updated('document', 'd', { secret: 'hunter2' })
    await open(hub, null, { authorize: throwing, headers: { authorization: 'Bearer hunter2' } })
    expect(JSON.stringify(logger.lines)).not.toMatch('hunter2')
    await hub.close()
  })

  class BrokenSink extends RecordingSink {
    broken = false

    override write(chunk: Chunk): boolean {
      if (this.broken) throw new Error('write after end')
      return super.write(chunk)
    }
  }

  it('[S8] a socket that throws ends its own stream, and the others get everything', async () => {
    const { hub, clock, logger } = testHub()
    const sink = new BrokenSink()
    const before = await open(hub, { projectId: 'p1' })
    const broken = await open(hub, { projectId: 'p1' }, { sink })
    const after = await open(hub, { projectId: 'p1' })
    sink.broken = true
    await hub.project('p1').updated('document', 'd')
    await clock.settle()
    expect([before.events.length, after.events.length]).toEqual([1, 1])
    expect(broken.closed).toBe(true)
    expect(hub.stats().connections).toBe(2)
    expect(logger.lines).toHaveLength(1)
    await clock.advance(16_000)
    expect(after.collector.of('heartbeat')).toHaveLength(1)
    await hub.close()
  })

  it('[S8] a socket that throws on its heartbeat or its closing frame does not stop the timer or the drain', async () => {
    const { hub, clock } = testHub()
    const sinks = [new BrokenSink(), new BrokenSink()]
    for (const sink of sinks) await open(hub, { projectId: 'p1', userId: 'u1' }, { sink })
    const other = await open(hub, { projectId: 'p1' })
    ;(sinks[0] as BrokenSink).broken = true
    await clock.advance(31_000)
    expect(other.collector.of('heartbeat')).toHaveLength(2)
    ;(sinks[1] as BrokenSink).broken = true
    void hub.disconnect({ userId: 'u1' })
    await hub.close()
    expect(hub.stats().connections).toBe(0)
  })

  class StuckSink extends RecordingSink {
    override end(): void {
      throw new Error('a middleware has wrapped end()')
    }

    override destroy(): void {
      throw new Error('and destroy()')
    }
  }

  for (const end of ['revoke', 'disconnect'] as const) {
    it(`[S8 D8] a socket that throws at its end is reported and given up, and ${end} ends those of the others`, async () => {
      const { hub, clock, logger } = testHub()
      const streams = []
      for (const sink of [new RecordingSink(), new StuckSink(), new RecordingSink()])
        streams.push(await open(hub, { projectId: 'p1', userId: 'u1' }, { sink }))
      expect(await hub[end]({ userId: 'u1' })).toBe(3)
      expect([streams[0]?.closed, streams[2]?.closed]).toEqual([true, true])
      expect(hub.stats().connections).toBe(0)
      await hub.project('p1').updated('document', 'd')
      await clock.advance(20_000)
      expect(streams.flatMap(({ events }) => events)).toEqual([])
      expect(logger.lines).toHaveLength(2)
      await hub.close()
      expect(clock.timers).toBe(0)
    })
  }

  it('[S8] a socket that throws when its grant ends does not keep the others from ending, nor the timer from running', async () => {
    const { hub, clock } = testHub()
    const grant = () => ({ projectId: 'p1', expiresAt: clock.now() + 1_000 })
    const streams = [await open(hub, grant(), { sink: new StuckSink() }), await open(hub, grant())]
    const other = await open(hub, { projectId: 'p1' })
    await clock.advance(16_000)
    expect(streams[1]?.closing).toBe('expired')
    expect(other.collector.of('heartbeat')).toHaveLength(1)
    await hub.close()
  })

  it('[S8] a log that throws as it is let go stops neither the timer nor the end, and is reported', async () => {
    const clock = new VirtualClock()
    const log = new GatedLog(clock)
    const openLog = log.open.bind(log)
    log.open = async (projectId, listener) => ({ ...(await openLog(projectId, listener)), close: throwing })
    const { hub, logger } = testHub({ adapter: log, ports: { clock } })
    const stream = await open(hub, { projectId: 'p1' })
    await hub.cursor('p2')
    await clock.advance(91_000)
    expect(hub.stats().projects).toBe(1)
    expect(stream.collector.of('heartbeat')).toHaveLength(6)
    await hub.cursor('p2')
    await hub.close()
    expect(await codeOf(() => log.append('p1', []))).toMatch('not open')
    expect(logger.lines.map(({ level }) => level)).toEqual(['error', 'error', 'error'])
    expect(clock.timers).toBe(0)
  })

  it('[S8] a logger that rejects, and an onResync that throws or rejects, are no unhandled rejections', async () => {
    const unhandled: unknown[] = []
    const hear = (reason: unknown) => unhandled.push(reason)
    process.on('unhandledRejection', hear)
    try {
      const rejecting = () => Promise.reject(new Error('rejected by the application'))
      const clock = new VirtualClock()
      const log = new GatedLog(clock)
      const lines: string[] = []
      const logger = {
        warn: rejecting,
        error: (message: string) => {
          lines.push(message)
          return rejecting()
        },
      }
      const { hub } = testHub({ adapter: log, logger, ports: { clock } })
      hub.listen({ projectId: 'p1' }, rejecting, { onResync: rejecting })
      hub.listen({ projectId: 'p1' }, rejecting, { onResync: throwing })
      await clock.settle()
      log.listeners.get('p1')?.doubt({ epoch: 'another', offset: 0 }, 'broker-gap')
      await clock.settle()
      expect(lines).toEqual(['a listener failed', 'a listener failed'])
      await hub.close()
      await new Promise((resolve) => setImmediate(resolve))
      expect(unhandled).toEqual([])
    } finally {
      process.off('unhandledRejection', hear)
    }
  })

  it('[C9] a peer that is gone before its stream opens leaves nothing behind', async () => {
    const { hub, clock } = testHub()
    const sink = new RecordingSink()
    sink.cut()
    const stream = await open(hub, { projectId: 'p1' }, { sink })
    expect(stream.frames).toEqual([])
    expect(hub.stats()).toMatchObject({ connections: 0, opened: 1, closed: { peer: 1 } })
    await hub.close()
    expect(clock.timers).toBe(0)
  })

  it('[C9] a peer that goes during a replay or while its socket is full leaves nothing behind', async () => {
    const { hub, clock } = testHub()
    const cursor = await hub.cursor('p1')
    for (let n = 0; n < 10; n++) await hub.project('p1').updated('document', `d${n}`, { text: 'x'.repeat(50_000) })
    for (const reads of [0, 1, 2]) {
      const sink = new RecordingSink()
      sink.stall()
      const stream = await open(hub, { projectId: 'p1' }, { sink, lastEventId: cursor })
      for (let n = 0; n < reads; n++) sink.drain()
      stream.leave()
      sink.drain()
    }
    expect(hub.stats()).toMatchObject({ connections: 0, lagging: 0 })
    await hub.project('p1').updated('document', 'after')
    await clock.advance(62_000)
    expect(hub.stats().projects).toBe(0)
    // The log keeps its events for as long as the retention says, and looks after that.
    await clock.advance(450_000)
    expect(clock.timers).toBe(0)
    await hub.close()
  })

  it('[C10] credentials in the URL are 400, whatever else the request has', async () => {
    const { hub } = testHub()
    for (const name of ['token', 'access_token', 'jwt', 'authorization', 'api_key', '%74oken']) {
      const stream = await open(hub, { projectId: 'p1' }, { path: `/stream?channels=a&${name}=x` })
      expect([stream.status, stream.code]).toEqual([400, 'CREDENTIALS_IN_URL'])
    }
    await hub.close()
  })

  it('[C9] codes that an application makes up are counted under one name, and reach the client', async () => {
    const { hub } = testHub()
    for (const code of ['E1', 'E2', '__proto__', 'toString', 'FORBIDDEN']) {
      const authorize = () => {
        throw new HubError(code as 'FORBIDDEN', 'not now', { status: 403 })
      }
      expect((await open(hub, null, { authorize })).code).toBe(code)
    }
    expect(hub.stats().refused).toEqual({ OTHER: 4, FORBIDDEN: 1 })
    await hub.close()
  })

  it('[C5] HEAD is answered as GET would be, as far as the grant goes', async () => {
    const { hub, clock } = testHub()
    const past = { projectId: 'p1', expiresAt: clock.now() - 1 }
    const some = { projectId: 'p1', channels: ['a'] }
    for (const method of ['GET', 'HEAD']) {
      const answer = async (grant: Grant, channels?: string[]) => {
        const { status, code, sink } = await open(hub, grant, { method, ...(channels && { channels }) })
        sink.cut()
        return [status, code]
      }
      expect(await answer(past)).toEqual([401, 'UNAUTHORIZED'])
      expect(await answer(some, ['a', 'b'])).toEqual([403, 'CHANNEL_FORBIDDEN'])
      expect(await answer(some, ['a'])).toEqual([200, undefined])
      expect(await answer({ ...some, channel: 'a', channels: undefined } as Grant)).toEqual([500, 'BAD_GRANT'])
    }
    expect(hub.stats()).toMatchObject({ opened: 1, refused: { UNAUTHORIZED: 2, CHANNEL_FORBIDDEN: 2, BAD_GRANT: 2 } })
    await hub.close()
  })

  it('[C5 C6] other methods are 405, other types 406, and no address is an error of the server', async () => {
    const { hub } = testHub()
    const answer = async (options: Parameters<typeof open>[2]) => {
      const stream = await open(hub, { projectId: 'p1' }, options)
      const { status } = stream
      stream.leave()
      return status
    }
    for (const method of ['POST', 'PUT', 'DELETE', 'TRACE', 'get'])
      expect([method, await answer({ method })]).toEqual([method, 405])
    expect(await answer({ method: 'OPTIONS' })).toBe(204)
    expect(await answer({ method: 'HEAD' })).toBe(200)
    expect(await answer({ headers: { accept: 'application/json' } })).toBe(406)
    expect(await answer({ headers: { accept: 'text/html, */*;q=0.1' } })).toBe(200)
    for (const path of [
      '//',
      '//[',
      'http://[',
      '*',
      '',
      '/stream?%',
      '/stream?a=%zz&&=',
      'http://example.com/stream?x=1#y',
    ])
      expect([path, await answer({ path })]).toEqual([path, 200])
    expect(hub.stats().connections).toBe(0)
    await hub.close()
  })

  it('[D7] stats counts what happened, and names nobody', async () => {
    const { hub, clock } = testHub()
    const stream = await open(hub, { projectId: 'secret-project', userId: 'secret-user' })
    await hub.project('secret-project').updated('document', 'd', { n: 1 })
    await codeOf(() => hub.publish({} as never))
    await open(hub, null)
    await clock.advance(16_000)
    const stats = hub.stats()
    expect(stats).toMatchObject({
      adapter: 'memory',
      accepting: true,
      uptimeMs: 16_000,
      connections: 1,
      lagging: 0,
      projects: 1,
      published: 1,
      publishFailures: 1,
      writes: 3,
      opened: 1,
      closed: {},
      resyncs: {},
      refused: { UNAUTHORIZED: 1 },
    })
    expect(stats.bytesWritten).toBe(Buffer.byteLength(stream.sink.received))
    expect(stats.retainedBytes).toBeGreaterThan(0)
    expect(JSON.stringify(stats)).not.toMatch('secret')
    stream.leave()
    expect(hub.stats()).toMatchObject({ connections: 0, closed: { peer: 1 } })
    await hub.close()
  })
})
