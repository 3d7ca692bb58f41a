import { NatsAdapter } from '@entitycast/sse-server/nats'
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { ttlOf } from '../../src/adapters/nats-care'
import { decodeMessage, encodeMessage, follow, headOf, type Message } from '../../src/adapters/nats-message'
import { eventually } from '../support/broker-hub'
import { HAS_NATS, NatsServer } from '../support/nats'
import { Ear, NatsInstances, RETENTION, record, withAppends } from '../support/nats-hub'

/*
 * What is NATS's own: places in the stream, answers that are lost, messages that are too large, what is purged.
 */

const upTo = (last: number, first = 1) => Array.from({ length: last - first + 1 }, (_, n) => first + n)
const instances = new NatsInstances()
afterEach(() => instances.end())

let streams = 0
const names = () => ({ stream: `S${++streams}`, subjectPrefix: `s${streams}` })

describe('the options of NatsAdapter', () => {
  const connect = () => Promise.reject(new Error('nobody connects'))

  it('[N1] what cannot be right is refused by name, with the fix', () => {
    for (const [options, message] of [
      [{ connect: 'nats://host' }, /connect is no function.*\(\) => connect/],
      [{ connect, stream: 'a.b' }, /stream is "a\.b".*letters/],
      [{ connect, subjectPrefix: 'a.*' }, /subjectPrefix is "a\.\*"/],
      [{ connect, replicas: 0 }, /replicas is 0.*1 to 5/],
      [{ connect, timeoutMs: 1 }, /timeoutMs is 1/],
      [{ connect, servers: 'x' }, /servers is not an option.*stream/],
    ] as const) {
      expect(() => new NatsAdapter(options as never)).toThrow(
        expect.objectContaining({ code: 'INVALID_OPTION', message: expect.stringMatching(message) }),
      )
    }
  })

  it('[N1] a configuration with a misspelt name is none for a stream that nobody wants', () => {
    for (const [options, message] of [
      [{ subjectprefix: 'shop' }, /subjectprefix is not an option of NatsAdapter\.streamConfig.*subjectPrefix/],
      [{ replicas: '3' }, /replicas is "3".*1 to 5/],
      [{ events: Number.NaN }, /events is NaN/],
    ] as const) {
      expect(() => NatsAdapter.streamConfig(options as never)).toThrow(
        expect.objectContaining({ code: 'INVALID_OPTION', message: expect.stringMatching(message) }),
      )
    }
  })

  it('[N1] the configuration of the stream can be had beforehand', () => {
    expect(NatsAdapter.streamConfig({ subjectPrefix: 'shop.events', replicas: 3, events: 5_000 })).toMatchObject({
      name: 'ENTITYCAST',
      subjects: ['shop.events.log.*'],
      num_replicas: 3,
      max_msgs_per_subject: 5_024,
      republish: { src: 'shop.events.log.*', dest: 'shop.events.live.{{wildcard(1)}}' },
    })
  })
})

describe.runIf(HAS_NATS)('NatsAdapter on a real NATS', () => {
  let server: NatsServer
  beforeAll(async () => {
    server = await NatsServer.start()
  })
  afterAll(() => server?.end())

  it('[B1] many instances start at once where there is no stream: one is made, and all serve', async () => {
    const all = Array.from({ length: 8 }, () =>
      instances.adapter(server, { stream: 'AT-ONCE', subjectPrefix: 'at-once' }),
    )
    const cursors = await Promise.all(all.map((one) => one.append('p', [record(1)])))
    expect(cursors.map(({ offset }) => offset).sort()).toEqual(upTo(8))
  })

  it('[B1] another instance makes the stream, and is long about it: nobody is told that it is missing', async () => {
    const on = names()
    await server.ask(`STREAM.CREATE.${on.stream}`, NatsAdapter.streamConfig(on))
    const adapter = instances.adapter(server, {
      ...on,
      connect: async () => {
        const connection = await server.connect()
        const request = connection.request.bind(connection)
        let asked = 0
        connection.request = async (subject, payload, options) => {
          const answer = await request(subject, payload, options)
          // Its subjects are taken, and under its name nothing is there yet.
          const code = subject.includes('STREAM.CREATE')
            ? 10_065
            : subject.includes('STREAM.INFO') && ++asked < 10
              ? 10_059
              : 0
          return code ? Object.assign(answer, { json: () => ({ error: { err_code: code } }) }) : answer
        }
        return connection
      },
    })
    expect(await adapter.append('p', [record(1)])).toMatchObject({ offset: 1 })
  })

  it('[B1] another instance is making the stream, which has no date yet: nothing is read from it before it has', async () => {
    const on = names()
    await server.ask(`STREAM.CREATE.${on.stream}`, NatsAdapter.streamConfig(on))
    const asked: string[] = []
    const adapter = instances.adapter(server, {
      ...on,
      connect: async () => {
        const connection = await server.connect()
        const request = connection.request.bind(connection)
        connection.request = async (subject, payload, options) => {
          asked.push(subject)
          const answer = await request(subject, payload, options)
          if (!subject.includes('STREAM.INFO') || asked.length > 3) return answer
          const found = { ...answer.json<object>(), created: '0001-01-01T00:00:00Z' }
          return Object.assign(answer, { json: () => found })
        }
        return connection
      },
    })
    expect(await adapter.append('p', [record(1)])).toMatchObject({ offset: 1 })
    expect(asked.findIndex((subject) => !subject.includes('STREAM.INFO'))).toBeGreaterThan(3)
  })

  it('[B1] a project that is opened while a connection is made ready is heard live', async () => {
    const on = names()
    let resume = () => {}
    const mayGoOn = new Promise<void>((resolve) => {
      resume = resolve
    })
    let held = () => {}
    const isHeld = new Promise<void>((resolve) => {
      held = resolve
    })
    const connectSlowly = async () => {
      const connection = await server.connect()
      const flush = connection.flush.bind(connection)
      // The last that is awaited before the connection can be used.
      connection.flush = async () => {
        await flush()
        held()
        await mayGoOn
      }
      return connection
    }
    const [one, two] = [
      // Nothing is found by asking.
      instances.adapter(server, { ...on, connect: connectSlowly, checkIntervalMs: 600_000 }),
      instances.adapter(server, on),
    ]
    await isHeld
    const opening = Ear.open(one, 'p')
    resume()
    const ear = await opening
    await two.append('p', [record(1)])
    await eventually(() => expect(ear.datas).toEqual(['1']))
  })

  it('[D1] two instances publish one project at full speed: one order, each once, no hole', async () => {
    const on = names()
    const [one, two] = [instances.adapter(server, on), instances.adapter(server, on)]
    const ears = [await Ear.open(one, 'p'), await Ear.open(two, 'p')]
    const publish = async (by: typeof one, name: string) => {
      const cursors: number[] = []
      // Some at once, which are joined; some one by one, which race.
      for (let n = 0; n < 200; n += 4) {
        const parts = [n, n + 1, n + 2, n + 3].map((each) => by.append('p', [record(`${name}${each}`)]))
        for (const { offset } of await Promise.all(parts)) cursors.push(offset)
      }
      return cursors
    }
    const [ofOne, ofTwo] = await Promise.all([publish(one, 'a'), publish(two, 'b')])
    expect([...ofOne, ...ofTwo].sort((a, b) => a - b)).toEqual(upTo(400))
    for (const ear of ears) {
      await eventually(() => expect(ear.seen).toHaveLength(400))
      expect(ear.seen.map(({ offset }) => offset)).toEqual(upTo(400))
      expect(ear.datas).toEqual(ears[0]?.datas)
      for (const name of ['a', 'b']) {
        expect(ear.datas.filter((data) => data.startsWith(name))).toEqual(upTo(199, 0).map((n) => `${name}${n}`))
      }
      expect(ear.doubts).toEqual([])
    }
  })

  it('[B1] the answer to an append is lost: it is in the log once, and its place is answered', async () => {
    const on = names()
    let lose = 0
    const adapter = instances.adapter(server, {
      ...on,
      connect: async () =>
        withAppends(await server.connect(), async (send) => {
          const answer = await send()
          if (lose-- > 0) throw new Error('the answer is lost')
          return answer
        }),
    })
    const ear = await Ear.open(adapter, 'p')
    await adapter.append('p', [record(1)])
    lose = 2
    const { offset } = await adapter.append('p', [record(2)])
    await adapter.append('p', [record(3)])
    expect(offset).toBe(2)
    await eventually(() => expect(ear.datas).toEqual(['1', '2', '3']))
    const page = await adapter.read('p', { ...ear.head, offset: 0 }, 10)
    expect('entries' in page && page.entries.map(({ record: { data } }) => data)).toEqual(['1', '2', '3'])
  })

  it('[B1] and another instance was faster meanwhile: ours goes after it, once', async () => {
    const on = names()
    const other = instances.adapter(server, on)
    let isFirst = true
    const adapter = instances.adapter(server, {
      ...on,
      connect: async () =>
        withAppends(await server.connect(), async (send) => {
          if (!isFirst) return send()
          isFirst = false
          await other.append('p', [record('other')])
          throw new Error('never sent')
        }),
    })
    const ear = await Ear.open(other, 'p')
    const { offset } = await adapter.append('p', [record('ours')])
    expect(offset).toBe(2)
    await eventually(() => expect(ear.datas).toEqual(['other', 'ours']))
  })

  it('[D7] an append that takes several messages is contiguous, whoever else publishes', async () => {
    const on = names()
    const [one, two] = [instances.adapter(server, on), instances.adapter(server, on)]
    const ear = await Ear.open(two, 'p')
    await one.append('p', [record('first')])
    const large = upTo(4).map((n) => record(`${n}${'x'.repeat(600_000)}`))
    let isOver = false
    // As fast as it can: a large message must get its turn all the same.
    const small = (async () => {
      for (let n = 0; !isOver; n++) await two.append('p', [record(`small ${n}`)])
    })()
    const { offset } = await one.append('p', large).finally(() => {
      isOver = true
    })
    await small
    const sentinel = await two.append('p', [record('sentinel')])
    await eventually(() => expect(ear.seen.at(-1)?.offset).toBe(sentinel.offset))
    const at = ear.datas.findIndex((data) => data.length > 1_000)
    expect(ear.datas.slice(at, at + 4).map((data) => data[0])).toEqual(['1', '2', '3', '4'])
    expect(ear.seen[at + 3]?.offset).toBe(offset)
    expect(ear.doubts).toEqual([])
  })

  it('[B1] an instance is killed between two parts of what it publishes: the others go on, however short their timeout is', async () => {
    const on = names()
    const adapter = instances.adapter(server, { ...on, timeoutMs: 1_000 })
    const subject = `${on.subjectPrefix}.log.p`
    await eventually(() => adapter.append('p', [record(1)]))
    const { message } = await server.ask<{ message: { seq: number; data: string } }>(`STREAM.MSG.GET.${on.stream}`, {
      last_by_subj: subject,
    })
    const last = decodeMessage(Buffer.from(message.data, 'base64')) as Message
    const begun = follow(headOf({ ...last, seq: message.seq, at: 0 }), last.epoch, 'left-behind', [], true)
    const outside = await server.connect()
    await outside.request(subject, encodeMessage(begun))
    await outside.close()
    // A busy machine may exceed such a timeout, and what was refused may be there.
    const { offset } = await eventually(() => adapter.append('p', [record(2)]))
    expect(offset).toBeGreaterThan(1)
  })

  it('[P1] an event that is too large with its audience is refused by itself: those beside it are in the log', async () => {
    const adapter = instances.adapter(server, names())
    const users = Array.from({ length: 3_000 }, (_, n) => `user-${n}-${'u'.repeat(20)}`)
    const all = Promise.allSettled([
      adapter.append('p', [record('beside')]),
      adapter.append('p', [{ ...record('x'.repeat(983_000)), users }]),
      adapter.append('p', [{ ...record('x'.repeat(900_000)), users }]),
      adapter.append('p', [record('x'.repeat(983_000))]),
    ])
    expect(await all).toMatchObject([
      { value: { offset: 1 } },
      { reason: { code: 'EVENT_TOO_LARGE' } },
      { value: { offset: 2 } },
      { value: { offset: 3 } },
    ])
  })

  it('[D4] half of a surrogate pair, a byte order mark and an empty text come back as they were', async () => {
    const adapter = instances.adapter(server, names())
    const given = ['\ud800', '\ufeffx', '', 'a\udc00b\ud83e\udd8a', '\u0000\n']
    const { epoch } = await adapter.append('p', given.map(record))
    const page = await adapter.read('p', { epoch, offset: 0 }, 10)
    expect('entries' in page && page.entries.map(({ record: { data } }) => data)).toEqual(given)
  })

  it('[D4] a cursor is found in a long log, in pages, by an instance that has just come', async () => {
    const on = names()
    const writer = instances.adapter(server, on)
    let epoch = ''
    for (const n of upTo(300)) ({ epoch } = await writer.append('p', [record(n)]))
    const reader = instances.adapter(server, on)
    for (const offset of [0, 1, 150, 283, 284, 285, 299, 300]) {
      const all: string[] = []
      for (let at = offset; ; ) {
        const page = await reader.read('p', { epoch, offset: at }, 70)
        if (!('entries' in page)) throw new Error(page.gap)
        if (page.entries.length === 0) break
        expect(page.entries.length).toBeLessThanOrEqual(70)
        all.push(...page.entries.map(({ record: { data } }) => data))
        at = page.entries.at(-1)?.offset as number
      }
      expect(all).toEqual(upTo(300, offset + 1).map(String))
    }
  })

  it('[D4] what is beyond the retention is taken from the disk, and the newest stays', async () => {
    const on = names()
    const adapter = instances.adapter(server, on, { ...RETENTION, bytes: 20_000 })
    const held = async () => {
      const { state } = await server.ask<{ state: { subjects?: Record<string, number> } }>(`STREAM.INFO.${on.stream}`, {
        subjects_filter: `${on.subjectPrefix}.log.*`,
      })
      return state.subjects?.[`${on.subjectPrefix}.log.p`]
    }
    let last = { epoch: '', offset: 0 }
    for (let n = 0; n < 100; n++) last = await adapter.append('p', [record('x'.repeat(1_000))])
    await eventually(async () => expect(await held()).toBeLessThan(60))
    expect('entries' in (await adapter.read('p', { ...last, offset: 90 }, 10))).toBe(true)
    // By age, without another append: by one whose events live so short that no test could read them.
    const brief = instances.adapter(server, on, { ...RETENTION, ageMs: 200, bytes: 20_000 })
    expect(await brief.append('p', [record('brief')])).toEqual({ ...last, offset: 101 })
    await eventually(async () => expect(await held()).toBe(1))
    expect(await brief.append('p', [record('after')])).toEqual({ ...last, offset: 102 })
    expect(await adapter.read('p', { ...last, offset: 50 }, 10)).toEqual({ gap: 'expired' })
  })

  it('[D4] a project that nobody uses is forgotten; one that somebody listens to, or has just published to, is not', async () => {
    const on = names()
    const options = { ...on, idleProjectTtlMs: 5_000, checkIntervalMs: 100 }
    const adapter = instances.adapter(server, options, { ...RETENTION, ageMs: 300 })
    const ear = await Ear.open(adapter, 'listened')
    const before = await adapter.append('listened', [record(1)])
    const idle = await adapter.append('idle', [record(1)])
    await eventually(async () => {
      expect(await adapter.read('idle', idle, 1)).toEqual({ gap: 'epoch' })
    })
    const after = await adapter.append('listened', [record(2)])
    expect(after).toEqual({ epoch: before.epoch, offset: 2 })
    expect([ear.datas, ear.doubts]).toEqual([['1', '2'], []])
    expect((await adapter.append('idle', [record(2)])).offset).toBe(1)
  })

  it("[D4] a clock that is an hour ahead of the server's forgets nothing that is used", async () => {
    const on = names()
    const options = { ...on, idleProjectTtlMs: 5_000, checkIntervalMs: 100 }
    const adapter = instances.adapter(server, options, { ...RETENTION, ageMs: 300 })
    const ear = await Ear.open(adapter, 'listened')
    const before = await adapter.append('listened', [record(1)])
    const idle = await adapter.append('idle', [record(1)])
    const now = Date.now
    const ahead = vi.spyOn(Date, 'now').mockImplementation(() => now() + 3_600_000)
    onTestFinished(() => ahead.mockRestore())
    await eventually(async () => expect(await adapter.read('idle', idle, 1)).toEqual({ gap: 'epoch' }))
    const after = await adapter.append('listened', [record(2)])
    expect(after).toEqual({ epoch: before.epoch, offset: 2 })
    expect([ear.datas, ear.doubts]).toEqual([['1', '2'], []])
  })

  it('[D4] a log outlives the time between two looks at it, however short its own time is', () => {
    const settings = { ...names(), replicas: 1, timeoutMs: 5_000, maxPendingAppends: 1, idleProjectTtlMs: 1_000 }
    expect(ttlOf({ ...settings, checkIntervalMs: 60_000 }, { ...RETENTION, ageMs: 1_000 })).toBe(600_000)
    expect(ttlOf({ ...settings, checkIntervalMs: 50 }, { ...RETENTION, ageMs: 1_000 })).toBe(2_000)
  })

  it('[B1] more appends than may wait are refused at once with UNAVAILABLE', async () => {
    const adapter = instances.adapter(server, { ...names(), maxPendingAppends: 3 })
    const results = await Promise.allSettled(upTo(5).map((n) => adapter.append('p', [record(n)])))
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled', 'rejected', 'rejected'])
    expect((results[4] as PromiseRejectedResult).reason).toMatchObject({ code: 'UNAVAILABLE' })
  })
})
