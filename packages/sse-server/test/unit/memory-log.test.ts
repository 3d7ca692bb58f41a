import { MemoryAdapter } from '@entitycast/sse-server'
import { describe, expect, it, vi } from 'vitest'
import { RetentionWindow } from '../../src/seams/window'
import { VirtualClock } from '../support/virtual-clock'

const record = { type: 'entity.updated', data: '{}', channel: 'default' }
const nobody = { entries() {}, doubt() {} }

describe('the log in memory', () => {
  it('[D6 C9] lets go of what has expired also where somebody listens and nothing is published any more', async () => {
    const trims = vi.spyOn(RetentionWindow.prototype, 'trim')
    const clock = new VirtualClock()
    const log = new MemoryAdapter({ clock })
    log.start({ ageMs: 60_000, events: 100, bytes: 100_000 })
    await log.open('quiet', nobody)
    await log.append('quiet', [record, record])
    const [quiet] = trims.mock.contexts as RetentionWindow<never>[]
    trims.mockRestore()
    expect(quiet?.size).toBe(2)
    await clock.advance(61_000)
    await log.append('busy', [record])
    expect(quiet?.size).toBe(0)
    await log.close()
  })

  it('[D6 C9] lets go of what has expired, and of projects that nobody listens to, also when nobody calls it any more', async () => {
    const trims = vi.spyOn(RetentionWindow.prototype, 'trim')
    const clock = new VirtualClock()
    const log = new MemoryAdapter({ clock })
    log.start({ ageMs: 60_000, events: 100, bytes: 100_000 })
    const { close } = await log.open('followed', nobody)
    expect(clock.timers).toBe(0)
    const cursors = []
    for (const project of ['followed', 'forgotten']) cursors.push(await log.append(project, [record]))
    const windows = [...new Set(trims.mock.contexts)] as RetentionWindow<never>[]
    trims.mockRestore()
    expect(clock.timers).toBe(1)
    await clock.advance(60_000)
    expect(windows.map(({ size }) => size)).toEqual([1, 1])
    await clock.advance(30_000)
    expect(windows[0]?.size).toBe(0)
    // Nothing is left that may go.
    expect(clock.timers).toBe(0)
    const heads = []
    for (const project of ['followed', 'forgotten']) heads.push((await log.open(project, nobody)).head)
    expect(heads[0]).toEqual(cursors[0])
    expect(heads[1]?.offset).toBe(0)
    close()
    await log.append('followed', [record])
    expect(clock.timers).toBe(1)
    await log.close()
    expect(clock.timers).toBe(0)
  })

  it.each([Number.MAX_SAFE_INTEGER, Number.POSITIVE_INFINITY])(
    '[D6 C9] does not look again and again at what is kept for %d ms, which is longer than a timer can be set for',
    async (ageMs) => {
      const clock = new VirtualClock()
      const after = vi.spyOn(clock, 'after')
      const log = new MemoryAdapter({ clock })
      log.start({ ageMs, events: 100, bytes: 100_000 })
      await log.append('p', [record])
      expect(after.mock.calls.map(([delayMs]) => delayMs)).toEqual([2 ** 31 - 1])
      await log.close()
    },
  )

  it('[D3] and not of what is young enough', async () => {
    const clock = new VirtualClock()
    const log = new MemoryAdapter({ clock })
    log.start({ ageMs: 60_000, events: 100, bytes: 100_000 })
    const { head } = await log.open('quiet', nobody)
    await log.append('quiet', [record])
    await clock.advance(40_000)
    await log.append('quiet', [record])
    await clock.advance(10_000)
    await log.append('busy', [record])
    expect(await log.read('quiet', head, 10)).toMatchObject({ entries: [{ offset: 1 }, { offset: 2 }] })
    await log.close()
  })
})
