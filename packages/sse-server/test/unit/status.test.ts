import { type AdapterStatus, EventHub, MemoryAdapter } from '@entitycast/sse-server'
import { describe, expect, it } from 'vitest'

describe('a hub over an adapter with a broker', () => {
  it('[B1] says degraded in status() and stats() while its adapter does, and draining from close() on', async () => {
    let status: AdapterStatus = 'ok'
    const adapter = Object.assign(new MemoryAdapter(), { status: () => status })
    const hub = new EventHub({ adapter })
    expect([hub.status(), hub.stats().degraded]).toEqual(['ok', false])
    status = 'degraded'
    expect([hub.status(), hub.stats().degraded]).toEqual(['degraded', true])
    status = 'ok'
    expect([hub.status(), hub.stats().degraded]).toEqual(['ok', false])
    const closed = hub.close()
    expect(hub.status()).toBe('draining')
    await closed
  })

  it('[B1] is ok where the adapter has no broker to lose', async () => {
    const hub = new EventHub()
    expect([hub.status(), hub.stats().degraded]).toEqual(['ok', false])
    await hub.close()
  })

  it('[N10] does not allow events that the adapter does not take', () => {
    const memory = new MemoryAdapter()
    const adapter = Object.assign(memory, { manifest: { ...memory.manifest, name: 'small', maxRecordBytes: 8_000 } })
    expect(() => new EventHub({ adapter })).toThrow('maxEventBytes is 65536; the small adapter takes at most 8000')
    expect(() => new EventHub({ adapter, maxEventBytes: 8_000 })).not.toThrow()
  })
})
