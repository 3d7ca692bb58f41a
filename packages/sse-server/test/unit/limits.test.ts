import { describe, expect, it } from 'vitest'
import { end, testHub } from '../support/hub'
import { RecordingSink } from '../support/recording-sink'
import { type OpenOptions, open } from '../support/stream'

describe('limits', () => {
  const refusal = (stream: { status: number; code: string | undefined; headers: Readonly<Record<string, string>> }) => {
    expect(Number(stream.headers['retry-after'])).toBeGreaterThan(0)
    return [stream.status, stream.code]
  }

  it('[C4] ten streams of a user in a project, and the eleventh is 429', async () => {
    const { hub } = testHub()
    const streams = []
    for (let n = 0; n < 10; n++) streams.push(await open(hub, { projectId: 'p1', userId: 'u1' }))
    expect(refusal(await open(hub, { projectId: 'p1', userId: 'u1' }))).toEqual([429, 'TOO_MANY_CONNECTIONS'])
    expect((await open(hub, { projectId: 'p1', userId: 'u2' })).status).toBe(200)
    expect((await open(hub, { projectId: 'p2', userId: 'u1' })).status).toBe(200)
    expect((await open(hub, { projectId: 'p1' })).status).toBe(200)
    expect(hub.stats()).toMatchObject({ connections: 13, refused: { TOO_MANY_CONNECTIONS: 1 } })
    await hub.close()
  })

  it('[C4] those that have ended do not count, from the moment their end begins', async () => {
    const { hub, clock } = testHub({ limits: { perUser: 1 } })
    const sink = new RecordingSink()
    const first = await open(hub, { projectId: 'p1', userId: 'u1' }, { sink })
    expect((await open(hub, { projectId: 'p1', userId: 'u1' })).status).toBe(429)
    // On its way out, and its socket is still there: the client that comes back is not refused.
    sink.stall(10_000)
    void hub.disconnect({ userId: 'u1' })
    expect(first.closed).toBe(false)
    const second = await open(hub, { projectId: 'p1', userId: 'u1' })
    expect(second.status).toBe(200)
    second.leave()
    expect((await open(hub, { projectId: 'p1', userId: 'u1' })).status).toBe(200)
    await end(hub, clock)
  })

  it('[C4] an address that is full is told to the log once, with the usual reason: a proxy that nobody trusts', async () => {
    const { hub, logger } = testHub({ limits: { perIp: 1 } })
    for (let n = 0; n < 3; n++) await open(hub, { projectId: 'p1', userId: `u${n}` }, { ip: '10.0.0.1' })
    expect(hub.stats().refused).toEqual({ TOO_MANY_CONNECTIONS: 2 })
    expect(logger.lines).toHaveLength(1)
    expect(JSON.stringify(logger.lines)).toContain('Express: trust proxy')
    await hub.close()
  })

  it('[C4] a hundred streams of an address, and the next is 429', async () => {
    const { hub } = testHub()
    const from = (ip: string | undefined): OpenOptions => (ip === undefined ? {} : { ip })
    for (let n = 0; n < 100; n++) await open(hub, { projectId: `p${n % 7}`, userId: `u${n}` }, from('192.0.2.1'))
    expect(refusal(await open(hub, { projectId: 'p1' }, from('192.0.2.1')))).toEqual([429, 'TOO_MANY_CONNECTIONS'])
    expect((await open(hub, { projectId: 'p1' }, from('192.0.2.2'))).status).toBe(200)
    expect((await open(hub, { projectId: 'p1' }, from(undefined))).status).toBe(200)
    await hub.close()
  })

  it('[C4] of IPv6 it is the /64 that counts, which is what one customer has, and IPv4 in it is IPv4', async () => {
    const { hub } = testHub({ limits: { perIp: 2 } })
    const statuses = []
    for (const ip of ['2001:db8::1', '2001:DB8:0:0:ffff::', '2001:db8::3%eth0', '2001:db8:0:1::1'])
      statuses.push((await open(hub, { projectId: 'p1' }, { ip })).status)
    expect(statuses).toEqual([200, 200, 429, 200])
    statuses.length = 0
    for (const ip of ['192.0.2.1', '::ffff:192.0.2.1', '::FFFF:c000:201', '::ffff:192.0.2.2'])
      statuses.push((await open(hub, { projectId: 'p1' }, { clientIp: () => ip })).status)
    expect(statuses).toEqual([200, 200, 429, 200])
    await hub.close()
  })

  it('[C4] the application may say which address counts', async () => {
    const { hub } = testHub({ limits: { perIp: 1 } })
    const options = { ip: '10.0.0.1', clientIp: () => '192.0.2.7' }
    expect((await open(hub, { projectId: 'p1' }, options)).status).toBe(200)
    expect((await open(hub, { projectId: 'p1' }, options)).status).toBe(429)
    expect((await open(hub, { projectId: 'p1' }, { ip: '10.0.0.1' })).status).toBe(200)
    await hub.close()
  })

  it('[C4] where the application knows no address, undefined or null, that stream is not counted', async () => {
    const { hub } = testHub({ limits: { perIp: 1 } })
    for (const none of [null, undefined])
      for (let n = 0; n < 3; n++)
        expect((await open(hub, { projectId: 'p1' }, { clientIp: () => none })).status).toBe(200)
    expect(hub.connections()).toHaveLength(6)
    await hub.close()
  })

  it('[C4 N11] what is no text is no address: the first request is refused with the reason in the log, and nothing is left behind', async () => {
    const { hub, clock, logger } = testHub()
    for (const wrong of [7, ['192.0.2.1'], Promise.resolve('192.0.2.1'), { address: '192.0.2.1' }]) {
      const stream = await open(hub, { projectId: 'p1' }, { clientIp: () => wrong as never })
      expect([stream.status, stream.code]).toEqual([500, 'INVALID_OPTION'])
    }
    expect(hub.stats()).toMatchObject({ connections: 0, opened: 0, refused: { INVALID_OPTION: 4 } })
    expect(JSON.stringify(logger.lines)).toMatch(/clientIp/)
    expect(JSON.stringify(logger.lines)).not.toMatch('192.0.2.1')
    await end(hub, clock)
    expect(clock.timers).toBe(0)
  })

  it('[C4] the limit of a project is off unless it is set', async () => {
    const { hub } = testHub({ limits: { perProject: 2 } })
    await open(hub, { projectId: 'p1' })
    await open(hub, { projectId: 'p1', userId: 'u1' })
    expect(refusal(await open(hub, { projectId: 'p1' }))).toEqual([429, 'TOO_MANY_CONNECTIONS'])
    expect((await open(hub, { projectId: 'p2' })).status).toBe(200)
    await hub.close()
  })

  it('[C4] the limit of the process is 503', async () => {
    const { hub } = testHub({ limits: { perProcess: 2 } })
    const first = await open(hub, { projectId: 'p1' })
    await open(hub, { projectId: 'p2' })
    expect(refusal(await open(hub, { projectId: 'p3' }))).toEqual([503, 'UNAVAILABLE'])
    first.leave()
    expect((await open(hub, { projectId: 'p3' })).status).toBe(200)
    await hub.close()
  })

  it('[C4] the connect rate is 503 above it, and recovers with time', async () => {
    const { hub, clock } = testHub({ limits: { connectsPerSecond: 10, perUser: false } })
    const statuses = async (count: number) => {
      const streams = []
      for (let n = 0; n < count; n++) streams.push((await open(hub, { projectId: 'p1' })).status)
      return streams.filter((status) => status === 200).length
    }
    expect(await statuses(20)).toBe(10)
    await clock.advance(500)
    expect(await statuses(20)).toBe(5)
    await clock.advance(60_000)
    expect(await statuses(20)).toBe(10)
    await hub.close()
  })

  it('[C4] limits hold for requests that come in one moment, before any of them is open', async () => {
    const { hub } = testHub({ limits: { perUser: 3 } })
    const streams = await Promise.all(Array.from({ length: 20 }, () => open(hub, { projectId: 'p1', userId: 'u1' })))
    expect(streams.filter(({ status }) => status === 200)).toHaveLength(3)
    expect(hub.stats().connections).toBe(3)
    await hub.close()
  })

  it('[A3] Retry-After is another one for each', async () => {
    const { hub } = testHub({ limits: { perProcess: 1 } })
    await open(hub, { projectId: 'p1' })
    const waits = await Promise.all(
      Array.from({ length: 50 }, async () => Number((await open(hub, { projectId: 'p1' })).headers['retry-after'])),
    )
    expect(new Set(waits).size).toBeGreaterThan(3)
    expect(Math.min(...waits)).toBeGreaterThanOrEqual(1)
    expect(Math.max(...waits)).toBeLessThanOrEqual(8)
    await hub.close()
  })

  it('[A3] refuse: stream answers 200, a retry and the end, for what a native EventSource may try again', async () => {
    const { hub } = testHub({ limits: { perProcess: 1 } })
    await open(hub, { projectId: 'p1' })
    const full = await open(hub, { projectId: 'p1' }, { refuse: 'stream' })
    expect(full.status).toBe(200)
    expect(full.headers['content-type']).toBe('text/event-stream; charset=utf-8')
    expect(full.body).toMatch(/^retry: [1-9]\d{3,4}\n\n$/)
    expect(hub.stats().refused).toEqual({ UNAVAILABLE: 1 })
    const wrong = await open(hub, null, { refuse: 'stream' })
    expect(wrong.status).toBe(401)
    await hub.close()
  })

  it('[C4] limits: false is no limit', async () => {
    const { hub } = testHub({ limits: false })
    const streams = await Promise.all(
      Array.from({ length: 300 }, () => open(hub, { projectId: 'p1', userId: 'u1' }, { ip: '::1' })),
    )
    expect(streams.every(({ status }) => status === 200)).toBe(true)
    await hub.close()
  })

  it('[C9] after all have left nothing is counted any more', async () => {
    const { hub } = testHub({ limits: { perUser: 5, perIp: 5, perProject: 5, perProcess: 5 } })
    for (let round = 0; round < 4; round++) {
      const streams = await Promise.all(
        Array.from({ length: 5 }, () => open(hub, { projectId: 'p1', userId: 'u1' }, { ip: '::1' })),
      )
      expect(streams.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200])
      for (const stream of streams) stream.leave()
    }
    expect(hub.stats()).toMatchObject({ connections: 0, opened: 20, closed: { peer: 20 } })
    await hub.close()
  })
})
