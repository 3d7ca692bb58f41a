import { EventHub, type EventHubOptions } from '@entitycast/sse-server'
import { describe, expect, it } from 'vitest'

describe('options', () => {
  const bad: [EventHubOptions | object, string][] = [
    [{ heartbeat: 1_000 }, 'heartbeat'],
    [{ heartbeatInterval: 1_000 }, 'heartbeatInterval'],
    [{ heartbeatIntervalMs: 0 }, 'heartbeatIntervalMs'],
    [{ heartbeatIntervalMs: 99 }, 'heartbeatIntervalMs'],
    [{ heartbeatIntervalMs: 300_001 }, 'heartbeatIntervalMs'],
    [{ heartbeatIntervalMs: 1_000.5 }, 'heartbeatIntervalMs'],
    [{ heartbeatIntervalMs: '15000' }, 'heartbeatIntervalMs'],
    [{ heartbeatIntervalMs: Number.NaN }, 'heartbeatIntervalMs'],
    [{ heartbeatIntervalMs: true }, 'heartbeatIntervalMs'],
    [{ retention: { ageMs: 0 } }, 'retention.ageMs'],
    [{ retention: { events: -1 } }, 'retention.events'],
    [{ retention: { bytes: 1_000 } }, 'retention.bytes'],
    [{ retention: { maxAgeMs: 1_000 } }, 'retention.maxAgeMs'],
    [{ limits: { perUser: 0 } }, 'limits.perUser'],
    [{ limits: { perUsers: 5 } }, 'limits.perUsers'],
    [{ limits: { toString: 5 } }, 'limits.toString'],
    [{ limits: { connectsPerSecond: 0.5 } }, 'limits.connectsPerSecond'],
    [{ maxEventBytes: 10 }, 'maxEventBytes'],
    [{ conflateWindowMs: 0 }, 'conflateWindowMs'],
    [{ conflateWindowMs: 20_000 }, 'conflateWindowMs'],
    [{ maxAgeMs: 10 }, 'maxAgeMs'],
    [{ stallTimeoutMs: false }, 'stallTimeoutMs'],
    [{ retryMs: -1 }, 'retryMs'],
    [{ logger: {} }, 'logger'],
    [{ logger: null }, 'logger'],
    [null as never, 'options'],
    [7 as never, 'options'],
    [[] as never, 'options'],
    [{ limits: 5 }, 'limits'],
    [{ limits: null }, 'limits'],
    [{ limits: true }, 'limits'],
    [{ limits: 0 }, 'limits'],
    [{ retention: 60_000 }, 'retention'],
    [{ retention: null }, 'retention'],
    [{ retention: [] }, 'retention'],
    [{ retention: { bytes: Number.POSITIVE_INFINITY } }, 'retention.bytes'],
    [{ adapter: 'redis' }, 'adapter'],
    [{ adapter: {} }, 'adapter'],
    [{ adapter: { start() {}, append() {}, open() {}, read() {} } }, 'close'],
    [{ events: 'document' }, 'events'],
    [{ events: {} }, 'events'],
    [{ events: { entities: {} } }, 'events.named'],
    [{ events: { entities: [], named: {} } }, 'events.entities'],
    [{ ports: 1 }, 'ports'],
    [{ ports: null }, 'ports'],
    [{ ports: { clock: null } }, 'ports.clock'],
    [{ ports: { clock: Date } }, 'ports.clock'],
    [{ ports: { random: 0.5 } }, 'ports.random'],
    [{ presence: 'yes' }, 'presence'],
    [{ presence: { graceMs: Number.NaN } }, 'presence.graceMs'],
    [{ presence: { graceMs: 300_001 } }, 'presence.graceMs'],
    [{ presence: { channel: 'a,b' } }, 'presence'],
    [{ presence: { grace: 1 } }, 'presence.grace'],
    [{ instanceTtlMs: Number.POSITIVE_INFINITY }, 'instanceTtlMs'],
    [{ maxAgeMs: Number.NEGATIVE_INFINITY }, 'maxAgeMs'],
    [{ logger: true }, 'logger'],
  ]
  for (const [options, name] of bad) {
    it(`[N11] ${JSON.stringify(options)} throws at construction and names ${name}`, () => {
      let thrown: { code?: string; message?: string } = {}
      try {
        new EventHub(options as EventHubOptions)
      } catch (error) {
        thrown = error as typeof thrown
      }
      expect(thrown.code).toBe('INVALID_OPTION')
      expect(thrown.message).toMatch(name)
    })
  }

  const good: EventHubOptions[] = [
    {},
    { heartbeatIntervalMs: 100, stallTimeoutMs: 100, maxAgeMs: 1_000 },
    { heartbeatIntervalMs: false, maxAgeMs: false, conflateWindowMs: false, limits: false, logger: false },
    { retention: { events: 1, ageMs: 1, bytes: 65_536 } },
    { limits: { perUser: false, perIp: undefined }, retention: {}, conflateWindowMs: 10_000, retryMs: 0 },
    { maxEventBytes: 256, retention: { bytes: 256 } },
    { ports: { clock: undefined, random: undefined, randomId: undefined } },
    { heartbeatIntervalMs: undefined, adapter: undefined, events: undefined },
  ]
  for (const options of good) {
    it(`[N11] ${JSON.stringify(options)} is taken`, () => new EventHub(options).close())
  }

  it('[C4] limits may be set one after the other, as an application reads them', () => {
    const limits: Extract<EventHubOptions['limits'], object> = {}
    limits.perUser = 5
    limits.perIp = 0
    expect(() => new EventHub({ limits })).toThrow('limits.perIp')
  })

  it('[C4] a limit that is undefined is the default one, and not off', async () => {
    const { open } = await import('../support/stream')
    const hub = new EventHub({ limits: { perUser: undefined }, logger: false })
    const streams = []
    for (let n = 0; n < 11; n++) streams.push(await open(hub, { projectId: 'p1', userId: 'u1' }))
    expect(streams.map(({ status }) => status).filter((status) => status === 429)).toHaveLength(1)
    await hub.close()
  })
})
