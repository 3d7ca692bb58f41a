import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Span } from '../../src/feed/span'
import type { LogEntry } from '../../src/seams/adapter'
import { Chunk } from '../../src/seams/sink'
import { RetentionWindow } from '../../src/seams/window'
import '../../../sse-protocol/test/property/replay'

const entry = (offset: number, size: number, users?: string[]): LogEntry => ({
  offset,
  record: { type: 't', data: 'x'.repeat(size), channel: 'default', ...(users && { users }) },
})

describe('what is retained', () => {
  const step = fc.record({ waitMs: fc.integer({ min: 0, max: 40 }), size: fc.integer({ min: 0, max: 300 }) })
  const retention = fc.record({
    ageMs: fc.integer({ min: 1, max: 2_000 }),
    events: fc.integer({ min: 1, max: 120 }),
    bytes: fc.integer({ min: 1, max: 20_000 }),
  })

  it('[C3] a window holds the newest entries that its age, its number and its bytes allow, and no hole', () => {
    const last = fc.constantFrom(0, 7, 2 ** 31 - 5, 2 ** 32 - 3, 2 ** 52)
    fc.assert(
      fc.property(retention, last, fc.array(step, { maxLength: 400 }), (limits, begin, steps) => {
        const window = new RetentionWindow<LogEntry>(limits, begin)
        let kept: { entry: LogEntry; at: number }[] = []
        let now = 0
        let offset = begin
        for (const { waitMs, size } of steps) {
          now += waitMs
          if (size === 0) window.trim(now)
          else {
            window.push(entry(++offset, size), now)
            kept.push({ entry: entry(offset, size), at: now })
          }
          const bytes = () => kept.reduce((sum, { entry: { record } }) => sum + record.data.length + 1, 0)
          kept = kept.filter(({ at }) => at >= now - limits.ageMs).slice(-limits.events)
          while (kept.length > 1 && bytes() > limits.bytes) kept = kept.slice(1)
          expect([window.size, window.bytes, window.last, window.first]).toEqual([
            kept.length,
            bytes(),
            offset,
            offset - kept.length + 1,
          ])
        }
        for (let at = window.first; at <= window.last; at++)
          expect(window.at(at)).toEqual(kept[at - window.first]?.entry)
        expect(window.at(window.last + 1)).toBeUndefined()
      }),
      { numRuns: 60 },
    )
  })
})

describe('who sees what of a span', () => {
  const user = fc.constantFrom('ann', 'ben', 'cid', 'dot', 'eve')
  const users = fc.option(fc.array(user, { minLength: 1, maxLength: 6 }), { nil: undefined })

  it('[C8] a reader gets the entries for everyone and those that name it, however many there are and whoever asked before', () => {
    fc.assert(
      fc.property(
        fc.array(users, { minLength: 1, maxLength: 80 }),
        fc.array(fc.option(user, { nil: undefined }), { minLength: 1, maxLength: 8 }),
        (audiences, readers) => {
          const entries = audiences.map((names, i) => entry(i + 1, 1, names))
          const offsets = (seen: readonly LogEntry[]) => seen.map(({ offset }) => offset).join(' ')
          const span = new Span(undefined, 0, false, entries, (seen) => new Chunk(offsets(seen)))
          for (const reader of readers) {
            const seen = entries.filter(
              ({ record }) => !record.users || (reader !== undefined && record.users.includes(reader)),
            )
            const page = span.page(reader)
            expect([page.to, page.chunk?.text]).toEqual([entries.length, offsets(seen)])
          }
        },
      ),
      { numRuns: 200 },
    )
  })

  it('[C8 D8] each sees its own and no other one, whatever their number', () => {
    for (let count = 1; count <= 70; count++) {
      const entries = Array.from({ length: count }, (_, i) => entry(i + 1, 1, [`u${i + 1}`]))
      const offsets = (seen: readonly LogEntry[]) => seen.map(({ offset }) => offset).join(' ')
      const span = new Span(undefined, 0, false, entries, (seen) => new Chunk(offsets(seen)))
      for (let n = 1; n <= count; n++) expect(span.page(`u${n}`).chunk?.text).toBe(String(n))
      for (const nobody of [undefined, 'undefined', 'u0', '']) expect(span.page(nobody).chunk?.text).toBe('')
    }
  })
})
