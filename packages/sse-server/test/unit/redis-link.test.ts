import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { reasonOf, type Wire } from '../../src/adapters/redis-client'
import { type Link, linkTo } from '../../src/adapters/redis-link'

const fine: Wire = {
  connect: async () => {},
  send: async () => 'answer',
  load: async () => {},
  subscribe: async () => {},
  unsubscribe: async () => {},
  ping: async () => {},
  destroy: () => {},
}

describe('a link to Redis', () => {
  beforeEach(() => vi.useFakeTimers())
  afterEach(() => vi.useRealTimers())

  function link(dial: () => Wire, up = () => {}): { link: Link; lose: (() => void)[] } {
    const lose: (() => void)[] = []
    const made = linkTo({
      dial: (listener) => {
        lose.push(() => listener.lost())
        return dial()
      },
      prepare: async () => {},
      up,
      message: () => {},
      timeoutMs: 1_000,
    })
    return { link: made, lose }
  }

  it('[B1] dials a Redis that is down with growing waits, never two alike, never long ones', async () => {
    const times: number[] = []
    const { link: one } = link(() => {
      times.push(Date.now())
      return { ...fine, connect: () => Promise.reject(new Error('down')) }
    })
    await vi.advanceTimersByTimeAsync(60_000)
    const waits = times.slice(1).map((time, i) => time - times[i]!)
    expect(waits[0]).toBeLessThanOrEqual(120)
    expect(Math.max(...waits)).toBeLessThanOrEqual(2_021)
    expect(Math.min(...waits)).toBeGreaterThanOrEqual(20)
    expect(waits.length).toBeGreaterThan(30)
    expect(waits.length).toBeLessThan(200)
    expect(new Set(waits).size).toBeGreaterThan(waits.length / 2)
    one.close()
    const dialled = times.length
    await vi.advanceTimersByTimeAsync(60_000)
    expect(times).toHaveLength(dialled)
  })

  it('[B1] goes on waiting longer for one that accepts and drops it, and begins anew after one that held', async () => {
    const times: number[] = []
    const { link: one, lose } = link(() => {
      times.push(Date.now())
      return fine
    })
    for (let n = 0; n < 12; n++) {
      await vi.waitFor(() => expect(one.isUp).toBe(true))
      lose.at(-1)!()
      await vi.advanceTimersByTimeAsync(2_100)
    }
    await vi.waitFor(() => expect(one.isUp).toBe(true))
    await vi.advanceTimersByTimeAsync(6_000)
    lose.at(-1)!()
    const lostAt = Date.now()
    await vi.advanceTimersByTimeAsync(121)
    expect(one.isUp).toBe(true)
    expect(times.at(-1)! - lostAt).toBeLessThanOrEqual(120)
    one.close()
  })

  it('[B1] a wire that gives no answer is given up, and so is one that never comes up', async () => {
    const destroyed: string[] = []
    let dials = 0
    const { link: one } = link(() => {
      const name = `wire ${++dials}`
      const hangs = new Promise<never>(() => {})
      return {
        ...fine,
        connect: () => (dials === 1 ? hangs : Promise.resolve()),
        send: () => hangs,
        destroy: () => void destroyed.push(name),
      }
    })
    const early = one.use((wire) => wire.send('', [])).catch((error) => error)
    await vi.advanceTimersByTimeAsync(1_001)
    expect(await early).toMatchObject({ code: 'UNAVAILABLE' })
    expect(destroyed).toEqual(['wire 1'])
    await vi.advanceTimersByTimeAsync(200)
    expect(one.isUp).toBe(true)
    const late = one.use((wire) => wire.send('', [])).catch((error: Error) => error)
    await vi.advanceTimersByTimeAsync(1_001)
    expect(((await late) as Error).message).toContain('did not answer within 1000 ms')
    expect(destroyed).toEqual(['wire 1', 'wire 2'])
    one.close()
  })

  it('[P7] commands that wait for a wire are sent in their order, and refused when it closes', async () => {
    let connect: () => void = () => {}
    const { link: one } = link(() => ({
      ...fine,
      connect: () =>
        new Promise<void>((resolve) => {
          connect = resolve
        }),
    }))
    const sent: number[] = []
    const waiting = [1, 2, 3].map((n) => one.use(async () => void sent.push(n)))
    await vi.advanceTimersByTimeAsync(0)
    connect()
    await Promise.all(waiting)
    expect(sent).toEqual([1, 2, 3])
    one.drop()
    const refused = one.use(async () => void sent.push(4)).catch((error) => error)
    await Promise.resolve()
    one.close()
    await expect(one.use(async () => {})).rejects.toMatchObject({ code: 'CLOSED' })
    await vi.advanceTimersByTimeAsync(2_000)
    expect((await refused)?.code ?? 'answered').toMatch(/CLOSED|answered/)
  })

  it('[B1] names why Redis failed in a word, and never with what was sent', () => {
    expect(reasonOf(Object.assign(new Error('connect ECONNREFUSED 10.0.0.1:6379'), { code: 'ECONNREFUSED' }))).toBe(
      'ECONNREFUSED',
    )
    expect(reasonOf(new Error('OOM command not allowed when used memory > maxmemory'))).toBe('OOM')
    expect(reasonOf(new Error('WRONGPASS invalid username-password pair'))).toBe('WRONGPASS')
    expect(reasonOf(new TypeError('redis://user:secret@host is odd'))).toBe('TypeError')
    expect(reasonOf(Object.assign(new Error('x'), { code: 'redis://user:secret@host' }))).toBe('Error')
    for (const odd of [undefined, null, 'secret', 7, {}]) expect(reasonOf(odd)).not.toContain('secret')
  })
})
