import type { LogEntry, LogRecord } from '@entitycast/sse-server'
import { describe, expect, it } from 'vitest'
import { LiveLog } from '../../src/adapters/redis-live'
import { decodeFound, decodeMessage } from '../../src/adapters/redis-script'
import { encodeRecord, type Found } from '../../src/seams/record-text'

const record = (data: string): LogRecord => ({ type: 'a:b', data, channel: 'default' })

/** A log in memory, as Redis would answer about it; messages are delivered by hand. */
class FakeLog {
  epoch = 'one'
  tags = ['-']
  asked = 0
  answers: Promise<void> = Promise.resolve()

  /** Appends, and returns the message that it would publish. */
  append(...data: string[]): string {
    const before = this.tags.at(-1) as string
    const first = this.tags.length
    const tag = `t${first}`
    for (const _ of data) this.tags.push(tag)
    return `${this.epoch} ${first} ${data.length} ${before} ${tag}\n[${data.map((one) => encodeRecord(record(one))).join(',')}]`
  }

  readonly ask = async ({ epoch, offset, tag }: { epoch: string; offset: number; tag: string }): Promise<Found> => {
    this.asked++
    const last = this.tags.length - 1
    const head = {
      epoch: this.epoch,
      last,
      tag: this.tags[last] as string,
      seen: this.tags[last] as string,
      records: [],
    }
    await this.answers
    if (epoch !== this.epoch || this.tags[offset] !== tag) return { ...head, what: 'epoch' }
    return { ...head, what: 'ok', records: Array.from({ length: last - offset }, () => record('read')) }
  }
}

function live() {
  const log = new FakeLog()
  const oddities = { garbage: 0, repeated: 0, holes: 0, repaired: 0, doubts: 0 }
  let deaf = 0
  const following = new LiveLog(Promise.resolve(), log.ask, oddities, () => deaf++, 1_000_000)
  const told: (number | string)[] = []
  const datas: string[] = []
  const listener = {
    entries: (entries: readonly LogEntry[]) => {
      told.push(...entries.map(({ offset }) => offset))
      datas.push(...entries.map(({ record }) => record.data))
    },
    doubt: (head: { epoch: string; offset: number }, reason: string) =>
      void told.push(`${reason} ${head.epoch}.${head.offset}`),
  }
  const settled = () => new Promise<void>((resolve) => setImmediate(resolve))
  return { log, oddities, following, told, datas, listener, settled, deaf: () => deaf }
}

describe('a log that is followed through Redis', () => {
  it('[B2] messages are told as they come, and the log is asked only once, at the start', async () => {
    const { log, following, told, listener } = live()
    expect(await following.head()).toEqual({ epoch: 'one', offset: 0 })
    following.listen(listener)
    following.hear(log.append('a'))
    following.hear(log.append('b', 'c'))
    expect(told).toEqual([1, 2, 3])
    expect(log.asked).toBe(1)
  })

  it('[B2] what comes while the log is being asked is told once, from wherever it comes first', async () => {
    const { log, following, told, listener, settled, oddities } = live()
    await following.head()
    following.listen(listener)
    let answer: () => void = () => {}
    log.answers = new Promise((resolve) => {
      answer = resolve
    })
    const lost = log.append('a')
    const second = log.append('b')
    following.hear(second)
    following.hear(log.append('c'))
    following.hear(lost)
    expect(told).toEqual([1, 2, 3])
    answer()
    await settled()
    following.hear(log.append('d'))
    expect(told).toEqual([1, 2, 3, 4])
    expect(oddities.holes).toBeGreaterThan(0)
  })

  it('[B2] thousands of messages behind a hole take bounded memory, and none is missing', async () => {
    const { log, following, told, listener, settled } = live()
    await following.head()
    following.listen(listener)
    let answer: () => void = () => {}
    log.answers = new Promise((resolve) => {
      answer = resolve
    })
    log.append('lost')
    for (let n = 0; n < 5_000; n++) following.hear(log.append(String(n)))
    expect(told).toEqual([])
    answer()
    log.answers = Promise.resolve()
    for (let round = 0; told.length < 5_001 && round < 50; round++) await settled()
    expect(told).toEqual(Array.from({ length: 5_001 }, (_, n) => n + 1))
  })

  it.each(['before the first answer', 'behind a hole'])(
    '[B2] large messages %s take no more memory than the log keeps, and none is missing',
    async (when) => {
      const { log, following, told, datas, listener, settled } = live()
      let answer: () => void = () => {}
      const wait = () => {
        log.answers = new Promise((resolve) => {
          answer = resolve
        })
      }
      if (when === 'behind a hole') await following.head()
      wait()
      const head = following.head()
      following.listen(listener)
      log.append('lost')
      for (let n = 0; n < 100; n++) following.hear(log.append('x'.repeat(100_000)))
      answer()
      log.answers = Promise.resolve()
      await head
      for (let round = 0; told.at(-1) !== 101 && round < 50; round++) await settled()
      // Who begins with the first answer is told what comes after it.
      expect(told).toEqual(Array.from({ length: told.length }, (_, n) => 102 - told.length + n))
      expect(told.length).toBeGreaterThan(80)
      expect(datas.filter((data) => data !== 'read').length).toBeLessThan(10)
    },
  )

  it('[B4] another log under the same name: one doubt, and what belongs to the old one is not told', async () => {
    const { log, following, told, listener, settled } = live()
    await following.head()
    following.listen(listener)
    following.hear(log.append('a'))
    const late = log.append('b')
    log.epoch = 'two'
    log.tags = ['-']
    const first = log.append('x')
    following.hear(first)
    await settled()
    following.hear(late)
    await settled()
    following.hear(log.append('y'))
    expect(told).toEqual([1, 'epoch two.1', 2])
  })

  it('[B1] records that are found again and again without a message mean that nobody is listening', async () => {
    const { log, following, told, listener, deaf } = live()
    await following.head()
    following.listen(listener)
    for (let n = 0; n < 2; n++) {
      log.append('unheard')
      await following.check()
    }
    // One that is heard shows that the channel is open.
    following.hear(log.append('heard'))
    for (let n = 0; n < 2; n++) {
      log.append('unheard')
      await following.check()
    }
    expect(deaf()).toBe(0)
    log.append('unheard')
    await following.check()
    expect(deaf()).toBe(1)
    expect(told).toEqual([1, 2, 3, 4, 5, 6])
  })

  it('[D2] a listener that ends another while it is told: the other is not told any more', async () => {
    const { log, following, told, listener } = live()
    await following.head()
    let end: () => void = () => {}
    following.listen({ entries: () => end(), doubt: () => {} })
    end = following.listen(listener)
    following.hear(log.append('a'))
    expect(told).toEqual([])
  })

  it('[B1] a check that fails is reported to whoever asked for it, and done again by the next round', async () => {
    const { log, following, told, listener } = live()
    await following.head()
    following.listen(listener)
    log.append('a')
    log.answers = Promise.reject(new Error('away'))
    await expect(following.check()).rejects.toThrow('away')
    expect(following.provenAt).toBe(0)
    log.answers = Promise.resolve()
    await following.check()
    expect(following.provenAt).toBeGreaterThan(0)
    expect(told).toEqual([1])
  })
})

describe('what Redis is told and tells', () => {
  it('[B3] a message that is not written exactly so is none', () => {
    const one = encodeRecord(record('x'))
    expect(decodeMessage(`e 1 1 - t\n[${one}]`)?.records).toEqual([record('x')])
    for (const garbage of [
      '',
      'e 1 1 - t',
      `e 1 2 - t\n[${one}]`,
      `e 01 1 - t\n[${one}]`,
      `e -1 1 - t\n[${one}]`,
      `e 1 1 - t [${one}]`,
      `e 1 1 - t\n${one}`,
      `e 1 1 - t\n[${one}`,
      `é 1 1 - t\n[${one}]`,
      'e 1 1 - t\n[["a","b","c"]]',
      'e 1 1 - t\n[["a","b","c",1,0]]',
      'e 1 1 - t\n[["a","b","c",[1],0]]',
      'e 1 1 - t\n[[1,2,3,0,0]]',
      'e 1 1 - t\n{"length":1}',
      `e 1 1 - ${'t'.repeat(101)}\n[${one}]`,
    ]) {
      expect(decodeMessage(garbage), garbage).toBeUndefined()
    }
  })

  it('[D4] a record that cannot be read is a record that is missing', () => {
    const good = ['ok', 'e', '2', 't', 't', encodeRecord(record('x'))]
    expect(decodeFound(good)).toMatchObject({ what: 'ok', records: [record('x')] })
    expect(decodeFound([...good, 'garbage'])).toMatchObject({ what: 'expired', records: [] })
    expect(decodeFound(['epoch', 'e', '2', 't'])).toMatchObject({ what: 'epoch', last: 2, tag: 't', records: [] })
  })
})
