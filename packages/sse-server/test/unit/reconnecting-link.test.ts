import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { ReconnectingLink } from '../../src/seams/reconnecting-link'

/*
 * What all adapters' links have in common is tried with Redis' (redis-link.test.ts); here is what needs a wire that is long in coming.
 */

interface Wire {
  readonly name: string
}

describe('a link whose wires are long in coming', () => {
  beforeEach(() => {
    vi.useFakeTimers()
    // The waits between two attempts are a matter of chance.
    vi.spyOn(Math, 'random').mockReturnValue(0.5)
  })
  afterEach(() => {
    vi.restoreAllMocks()
    vi.useRealTimers()
  })

  function link() {
    const coming: ((wire: Wire) => void)[] = []
    const lost: (() => void)[] = []
    const ended: string[] = []
    const made = new ReconnectingLink<Wire>({
      dial: (lose) => {
        lost.push(lose)
        return new Promise((resolve) => coming.push(resolve))
      },
      prepare: async () => {},
      up: () => {},
      end: ({ name }) => void ended.push(name),
      isSilent: () => true,
      timeoutMs: 1_000,
      reasonOf: () => 'reason',
      failed: (error) => error as Error,
      refusalOf: () => undefined,
      unavailable: (trouble) => new Error(trouble),
      closed: () => new Error('closed'),
    })
    return { link: made, coming, lost, ended }
  }

  it('[B1] one at a time is made; one that comes between two attempts serves the next, and is ended when that is over', async () => {
    const { link: one, coming, lost, ended } = link()
    await vi.advanceTimersByTimeAsync(1_001)
    expect([coming.length, one.isUp]).toEqual([1, false])
    coming[0]!({ name: 'first' })
    await vi.advanceTimersByTimeAsync(2_100)
    expect([coming.length, one.wire?.name, ended]).toEqual([1, 'first', []])
    lost[0]!()
    await vi.advanceTimersByTimeAsync(2_100)
    expect([coming.length, ended]).toEqual([2, ['first']])
    // It says so once more: that concerns nobody any longer.
    lost[0]!()
    coming[1]!({ name: 'second' })
    await vi.advanceTimersByTimeAsync(0)
    expect(one.wire?.name).toBe('second')
    lost[0]!()
    await vi.advanceTimersByTimeAsync(100)
    expect(one.wire?.name).toBe('second')
    one.close()
    await vi.advanceTimersByTimeAsync(0)
    expect(ended).toEqual(['first', 'second'])
  })

  it('[B1] one that comes after the end is ended', async () => {
    for (const waitMs of [0, 1_001]) {
      const { link: one, coming, ended } = link()
      await vi.advanceTimersByTimeAsync(waitMs)
      one.close()
      coming[0]!({ name: 'late' })
      await vi.advanceTimersByTimeAsync(60_000)
      expect([coming.length, ended]).toEqual([1, ['late']])
    }
  })

  it('[B1] one that is there as the link is closed is ended, and never made ready', async () => {
    const { link: one, coming, ended } = link()
    let prepared = 0
    const options = { ...one.options, dial: () => ({ name: 'at once' }), prepare: async () => void prepared++ }
    const atOnce = new ReconnectingLink<Wire>(options)
    atOnce.close()
    one.close()
    coming[0]!({ name: 'late' })
    await vi.advanceTimersByTimeAsync(60_000)
    expect(prepared).toBe(0)
    expect(ended).toContain('at once')
  })

  it('[B1] a call ends at its own deadline, and a wire is given up only when it is to blame', async () => {
    const { link: one, coming, ended } = link()
    Object.assign(one.options, { isSilent: (_: Wire, since: number) => performance.now() - since >= 900 })
    coming[0]!({ name: 'only' })
    await vi.advanceTimersByTimeAsync(0)
    const hangs = () => new Promise<never>(() => {})
    const hurried = one.use(hangs, performance.now() + 100).catch((error: Error) => error.message)
    await vi.advanceTimersByTimeAsync(101)
    expect(await hurried).toContain('may still do what it was asked')
    expect(ended).toEqual([])
    const overtaken = one.use(hangs).catch((error: Error) => error.message)
    await vi.advanceTimersByTimeAsync(500)
    await one.use(async () => {})
    await vi.advanceTimersByTimeAsync(501)
    expect(await overtaken).toContain('may still do what it was asked')
    // Somebody was answered meanwhile.
    expect(ended).toEqual([])
    const patient = one.use(hangs).catch((error: Error) => error.message)
    await vi.advanceTimersByTimeAsync(1_001)
    expect(await patient).toContain('may still do what it was asked')
    expect(ended).toEqual(['only'])
    one.close()
  })
})
