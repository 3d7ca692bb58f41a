import { describe, expect, it } from 'vitest'
import { decodeFound, LiveLog, type Oddities } from '../../src/adapters/postgres-live'
import { encodeRecord, type Found, type Seen } from '../../src/seams/record-text'

/*
 * A log as one process follows it, with a database that answers when the test says so.
 */

const record = (data: string) => ({ type: 'a:b', data, channel: 'default' })

function follow() {
  const asked: { seen: Seen; answer: (found: Partial<Found>) => Promise<void>; fail: () => Promise<void> }[] = []
  const oddities: Oddities = { garbage: 0, repaired: 0, doubts: 0 }
  const settle = () => new Promise<void>((resolve) => void setImmediate(resolve))
  const log = new LiveLog(
    (seen) =>
      new Promise((resolve, reject) => {
        asked.push({
          seen,
          answer: (found) => {
            resolve({ what: 'ok', epoch: 'e', last: 0, tag: 't0', seen: found.tag ?? 't0', records: [], ...found })
            return settle()
          },
          fail: () => {
            reject(new Error('away'))
            return settle()
          },
        })
      }),
    oddities,
  )
  const told: unknown[] = []
  const listener = {
    entries: (entries: readonly { offset: number; record: { data: string } }[]) =>
      void told.push(...entries.map(({ offset, record: { data } }) => `${offset} ${data}`)),
    doubt: ({ epoch, offset }: { epoch: string; offset: number }, reason: string) =>
      void told.push(`${reason} ${epoch}.${offset}`),
  }
  /** It has been opened at offset 3. */
  const opened = async () => {
    const head = log.head()
    await asked.shift()!.answer({ what: 'epoch', last: 3, tag: 't3' })
    expect(await head).toEqual({ epoch: 'e', offset: 3 })
    log.listen(listener)
  }
  const appended = (first: number, before: string, tag: string, ...data: string[]) =>
    log.hear({ epoch: 'e', first, before, tag, records: data.map(record) })
  return { log, asked, oddities, told, opened, appended }
}

describe('a log that is followed', () => {
  it('[D2] what this process has appended is told without asking, where it fits; and once', async () => {
    const { log, asked, told, opened, appended } = follow()
    await opened()
    appended(4, 't3', 't5', 'a', 'b')
    appended(4, 't3', 't5', 'a', 'b')
    log.wake(5)
    expect(told).toEqual(['4 a', '5 b'])
    expect(asked).toEqual([])
  })

  it('[D4] what does not fit is asked for: a place that is ahead, or one that follows something else', async () => {
    const { asked, told, opened, appended } = follow()
    await opened()
    appended(5, 't4', 't5', 'b')
    expect(asked[0]?.seen).toEqual({ epoch: 'e', offset: 3, tag: 't3' })
    await asked.shift()!.answer({ last: 5, tag: 't5', records: [record('a'), record('b')] })
    appended(6, 'another', 't6', 'c')
    expect(asked).toHaveLength(1)
    await asked.shift()!.answer({ what: 'epoch', epoch: 'f', last: 6, tag: 't6' })
    expect(told).toEqual(['4 a', '5 b', 'epoch f.6'])
  })

  it('[D2] what is told while the log is asked is not told again by the answer', async () => {
    const { log, asked, told, opened, appended } = follow()
    await opened()
    log.wake()
    appended(4, 't3', 't4', 'a')
    await asked.shift()!.answer({ last: 5, tag: 't5', records: [record('a'), record('b')] })
    expect(told).toEqual(['4 a', '5 b'])
  })

  it('[D4] the place that was asked about is gone, and meanwhile more was told that fitted onto it: asked again, no doubt', async () => {
    const { log, asked, oddities, told, opened, appended } = follow()
    await opened()
    log.wake()
    appended(4, 't3', 't4', 'a')
    await asked.shift()!.answer({ what: 'expired', last: 4, tag: 't4' })
    expect(asked[0]?.seen).toEqual({ epoch: 'e', offset: 4, tag: 't4' })
    await asked.shift()!.answer({ last: 4, tag: 't4' })
    expect([told, oddities.doubts]).toEqual([['4 a'], 0])
  })

  it('[D4] the place is gone, and nothing fitted onto it: a doubt, and it goes on at the head', async () => {
    const { log, asked, oddities, told, opened, appended } = follow()
    await opened()
    log.wake()
    await asked.shift()!.answer({ what: 'expired', last: 9, tag: 't9' })
    appended(10, 't9', 't10', 'a')
    expect([told, oddities.doubts]).toEqual([['broker-gap e.9', '10 a'], 1])
  })

  it('[B2] notifications that come while the log is asked cost one more question, not one each; a failure is tried again', async () => {
    const { log, asked, told, opened } = follow()
    await opened()
    for (const head of [4, 5, 6]) log.wake(head)
    expect(asked).toHaveLength(1)
    await asked.shift()!.answer({ last: 4, tag: 't4', records: [record('a')] })
    expect(asked).toHaveLength(1)
    await asked.shift()!.fail()
    log.wake(6)
    await asked.shift()!.answer({ last: 6, tag: 't6', records: [record('b'), record('c')] })
    expect([told, asked]).toEqual([['4 a', '5 b', '6 c'], []])
  })

  it('[D4] a page that does not reach the head is followed by the next', async () => {
    const { log, asked, told, opened } = follow()
    await opened()
    log.wake(5)
    await asked.shift()!.answer({ last: 5, tag: 't5', seen: 't4', records: [record('a')] })
    expect(asked[0]?.seen).toEqual({ epoch: 'e', offset: 4, tag: 't4' })
    await asked.shift()!.answer({ last: 5, tag: 't5', records: [record('b')] })
    expect(told).toEqual(['4 a', '5 b'])
  })

  it('[D2] nothing is told after close, and whoever waits for the head is refused', async () => {
    const { log, asked, told } = follow()
    const head = log.head()
    const refused = expect(head).rejects.toMatchObject({ code: 'CLOSED' })
    log.close()
    await asked.shift()!.answer({ what: 'epoch', last: 3, tag: 't3' })
    await refused
    expect(told).toEqual([])
  })
})

describe('records in the tables', () => {
  const row = (records: string) => ({ what: 'ok', epoch: 'e', head: '1', tag: 't', seen: 't', records })

  it('[D4] come back as they were given, with the characters that text cannot hold', () => {
    const given = { type: 'a:b', data: '\u0000 "\\ \ud800', channel: 'c', users: ['\u0000'], key: '\u0000\ud800' }
    const text = encodeRecord(given)
    expect(text).not.toMatch(/[\u0000-\u001f]|\ud800/)
    expect(decodeFound(row(text)).records).toEqual([given])
  })

  it('[B3] that cannot be read are missing, not empty', () => {
    for (const text of ['{', '1', '[1,2,3,4,5]', '["a","b","c",0]', '["a","b","c",[1],0]', '["a","b","c",0,1]']) {
      expect(decodeFound(row(text))).toMatchObject({ what: 'expired', records: [] })
    }
  })
})
