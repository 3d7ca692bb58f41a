import { describe, expect, it } from 'vitest'
import { readConfig } from '../../server/config.js'

describe('readConfig', () => {
  it('[config] has a default for everything', () => {
    expect(readConfig({})).toMatchObject({ port: 4310, heartbeatIntervalMs: 15_000, reconnectTimeoutMs: 1000 })
  })

  it('[config] reads the environment', () => {
    const env = { PORT: '0', SSE_HEARTBEAT_INTERVAL_MS: '30000', SSE_RECONNECT_TIMEOUT_MS: '5000' }
    expect(readConfig(env)).toMatchObject({ port: 0, heartbeatIntervalMs: 30_000, reconnectTimeoutMs: 5000 })
  })

  it.each(['abc', '1.5', '-1', '70000'])('[config] refuses PORT=%s and says what it must be', (PORT) => {
    expect(() => readConfig({ PORT })).toThrow(`PORT is "${PORT}"; it must be a whole number from 0 to 65535`)
  })
})
