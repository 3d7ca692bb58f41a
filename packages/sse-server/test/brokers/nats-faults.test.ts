import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { degraded, eventually, ready, stream, told } from '../support/broker-hub'
import { HAS_NATS, NatsServer } from '../support/nats'
import { Ear, NatsInstances, record } from '../support/nats-hub'

/*
 * What clients see of a NATS that is harmed: real hubs, a real server, real time.
 */

const LOG = 'entitycast.log.p'
const instances = new NatsInstances()
afterEach(() => instances.end())

describe.runIf(HAS_NATS)('hubs on a NATS that is harmed', () => {
  let server: NatsServer
  beforeEach(async () => {
    server = await NatsServer.start()
  })
  afterEach(async () => {
    await instances.end()
    await server.end()
  })

  it('[B1] NATS is down at the start: the hub is degraded, refuses streams with 503, and serves when NATS is there', async () => {
    await server.kill()
    const one = instances.hub(server)
    expect(one.hub.status()).toBe('degraded')
    const publishing = one.hub.project('p').emit('a:b', 1)
    const [refused] = await Promise.all([
      stream(one, 'p'),
      expect(publishing).rejects.toMatchObject({ code: 'UNAVAILABLE' }),
    ])
    expect([refused.status, refused.code]).toEqual([503, 'UNAVAILABLE'])
    await server.restart()
    await ready(one)
    const served = await stream(one, 'p')
    await one.hub.project('p').emit('a:b', 2)
    await eventually(() => expect(told(served)).toEqual([2]))
    expect(served.resyncs).toEqual([])
  })

  it('[B1] killed with -9 and started again: the log goes on, nobody misses anything or is told to resync', async () => {
    const [one, two] = [instances.hub(server), instances.hub(server)]
    const streams = [await stream(one, 'p'), await stream(two, 'p')]
    const cursor = await one.hub.project('p').emit('a:b', 1)
    await one.hub.project('p').emit('a:b', 2)
    for (const each of streams) await eventually(() => expect(told(each)).toEqual([1, 2]))
    await server.kill()
    await Promise.all([degraded(one), degraded(two)])
    await server.restart()
    await Promise.all([ready(one), ready(two)])
    await two.hub.project('p').emit('a:b', 3)
    for (const each of streams) await eventually(() => expect(told(each)).toEqual([1, 2, 3]))
    for (const each of streams) expect([each.closed, each.resyncs]).toEqual([false, []])
    const back = await stream(two, 'p', cursor)
    await eventually(() => expect(told(back)).toEqual([2, 3]))
    expect(back.resyncs).toEqual([])
  })

  it('[B1] NATS stands still and goes on: streams stay open, degraded is seen, and nobody is told to resync', async () => {
    const [one, two] = [instances.hub(server), instances.hub(server)]
    const streams = [await stream(one, 'p'), await stream(two, 'p')]
    await one.hub.project('p').emit('a:b', 'before')
    for (const each of streams) await eventually(() => expect(told(each)).toEqual(['before']))
    await server.stop()
    await expect(one.hub.project('p').emit('a:b', 'may come late')).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    await Promise.all([degraded(one), degraded(two)])
    for (const each of streams) expect(each.closed).toBe(false)
    await server.restart()
    await Promise.all([ready(one), ready(two)])
    await two.hub.project('p').emit('a:b', 'after')
    for (const each of streams) await eventually(() => expect(told(each).at(-1)).toBe('after'))
    expect(told(streams[0]!)).toEqual(told(streams[1]!))
    for (const each of streams) expect(each.resyncs).toEqual([])
  })

  const wipes: [string, () => Promise<unknown>][] = [
    ['an empty folder', () => server.renew()],
    ['the stream deleted', () => server.ask('STREAM.DELETE.ENTITYCAST')],
    ['the stream purged', () => server.ask('STREAM.PURGE.ENTITYCAST')],
  ]
  for (const [what, wipe] of wipes) {
    it(`[B4] ${what}: a new epoch, told once, in quiet projects too, also where the same places are given out again`, async () => {
      const [one, two] = [instances.adapter(server), instances.adapter(server)]
      const ears = [await Ear.open(one, 'p'), await Ear.open(two, 'p'), await Ear.open(two, 'quiet')]
      const before = await one.append('p', [record('before')])
      await eventually(() => expect(ears[1]?.datas).toEqual(['before']))
      await wipe()
      const publish = () => one.append('p', [record('after')]).catch(() => undefined)
      const after = await eventually(async () => {
        const cursor = await publish()
        expect(cursor?.epoch).not.toBe(undefined)
        return cursor
      })
      expect(after?.epoch).not.toBe(before.epoch)
      for (const ear of ears) {
        await eventually(() => expect(ear.doubts.map(({ reason }) => reason)).toEqual(['epoch']))
      }
      const last = await two.append('p', [record('sentinel')])
      for (const ear of ears.slice(0, 2)) await eventually(() => expect(ear.seen.at(-1)?.offset).toBe(last.offset))
      for (const ear of ears) expect(ear.doubts).toHaveLength(1)
      expect(await two.read('p', before, 10)).toEqual({ gap: 'epoch' })
    })
  }

  it('[B4] the stream is deleted under an instance that only publishes: its next append finds that out by itself, and reads nothing until the stream is made anew, a while later', async () => {
    const asked: { what: string; at: number; code?: number }[] = []
    const one = instances.adapter(server, {
      connect: async () => {
        const connection = await server.connect()
        const request = connection.request.bind(connection)
        connection.request = async (subject, payload, options) => {
          const question: (typeof asked)[number] = {
            what: subject.replace('$JS.API.STREAM.', ''),
            at: performance.now(),
          }
          asked.push(question)
          const answer = await request(subject, payload, options)
          question.at = performance.now()
          question.code = answer.json<{ error?: { err_code: number } }>().error?.err_code
          return answer
        }
        return connection
      },
    })
    const before = await one.append('p', [record('before')])
    await server.ask('STREAM.DELETE.ENTITYCAST')
    asked.length = 0
    await one.append('p', [record('while')]).catch(() => undefined)
    const after = await eventually(() => one.append('p', [record('after')]))
    expect(after.epoch).not.toBe(before.epoch)
    const gone = asked.find(({ code }) => code === 10_059)
    const made = asked.findIndex(({ what }) => what === 'CREATE.ENTITYCAST')
    // A server that is still deleting takes what is made meanwhile, and one that is making a stream ends where that is read.
    expect(asked.slice(0, made).filter(({ what }) => what.startsWith('MSG.GET'))).toEqual([])
    expect((asked[made]?.at ?? 0) - (gone?.at ?? Number.NaN)).toBeGreaterThan(900)
  })

  it('[B4] one subject is purged: that project has a new epoch, and no other notices', async () => {
    const [one, two] = [instances.adapter(server), instances.adapter(server)]
    const ears = [await Ear.open(one, 'p'), await Ear.open(two, 'p')]
    const other = await Ear.open(two, 'other')
    const before = await one.append('p', [record(1)])
    await one.append('other', [record(1)])
    for (const ear of ears) await eventually(() => expect(ear.datas).toEqual(['1']))
    await server.ask('STREAM.PURGE.ENTITYCAST', { filter: LOG })
    for (const ear of ears) await eventually(() => expect(ear.doubts).toHaveLength(1))
    const after = await two.append('p', [record(2)])
    expect([after.offset, after.epoch === before.epoch]).toEqual([1, false])
    await one.append('other', [record(2)])
    for (const ear of ears) await eventually(() => expect(ear.datas).toEqual(['1', '2']))
    await eventually(() => expect(other.datas).toEqual(['1', '2']))
    expect(other.doubts).toEqual([])
  })

  it('[B4] the end of the log is lost with the power: whoever has seen it begins a new epoch', async () => {
    const one = instances.adapter(server)
    const ear = await Ear.open(one, 'p')
    const seen = [await one.append('p', [record(1)]), await one.append('p', [record(2)])]
    await server.save()
    for (const n of [3, 4]) {
      seen.push(await eventually(() => one.append('p', [record(n)])))
    }
    expect(seen.map(({ offset }) => offset)).toEqual([1, 2, 3, 4])
    await server.rewind()
    await eventually(() => expect(ear.doubts.map(({ reason }) => reason)).toEqual(['epoch']))
    const after = await one.append('p', [record('after')])
    expect(after.offset).toBe(1)
    for (const cursor of seen) expect(await one.read('p', cursor, 10)).toEqual({ gap: 'epoch' })
    await eventually(() => expect(ear.datas).toEqual(['1', '2', '3', '4', 'after']))
    expect(ear.doubts).toHaveLength(1)
  })

  it('[B4] and others have used the lost offsets again, and more: the fork is seen, nothing of it is told as if it went on', async () => {
    let gate = Promise.resolve()
    const one = instances.adapter(server, { connect: () => gate.then(() => server.connect()) })
    const ear = await Ear.open(one, 'p')
    for (const n of [1, 2]) await one.append('p', [record(n)])
    await server.save()
    for (const n of [3, 4]) await eventually(() => one.append('p', [record(n)]))
    let open = () => {}
    gate = new Promise((resolve) => {
      open = resolve
    })
    await server.rewind()
    const other = instances.adapter(server)
    for (const n of [3, 4, 5]) expect((await other.append('p', [record(`fork ${n}`)])).offset).toBe(n)
    open()
    await eventually(() => expect(ear.doubts.map(({ reason }) => reason)).toEqual(['epoch']))
    const last = await one.append('p', [record('sentinel')])
    await eventually(() => expect(ear.datas.at(-1)).toBe('sentinel'))
    expect(ear.datas).toEqual(['1', '2', '3', '4', 'sentinel'])
    expect(last.epoch).toBe(ear.doubts[0]?.head.epoch)
    expect((await other.append('p', [record('after')])).epoch).toBe(last.epoch)
    expect(ear.doubts).toHaveLength(1)
  })

  it('[B3 B4] something else writes onto the subject of a log, or onto the live one: the one is a new epoch, the other nothing', async () => {
    const one = instances.adapter(server)
    const ear = await Ear.open(one, 'p')
    await one.append('p', [record(1)])
    const outside = await server.connect()
    outside.publish('entitycast.live.p', 'garbage')
    await outside.flush()
    await one.append('p', [record(2)])
    await eventually(() => expect(ear.datas).toEqual(['1', '2']))
    await eventually(() => expect(one.oddities).toMatchObject({ garbage: 1, doubts: 0 }))
    outside.publish(LOG, 'foreign')
    await outside.flush()
    await eventually(() => expect(ear.doubts.map(({ reason }) => reason)).toEqual(['epoch']))
    await one.append('p', [record(3)])
    await eventually(() => expect(ear.datas.at(-1)).toBe('3'))
    expect(ear.doubts).toHaveLength(1)
    await outside.close()
  })

  it('[B2] the middle of the log is gone for one who was away: doubt, and never a part of it', async () => {
    const one = instances.adapter(server)
    const epochs = new Set<string>()
    for (let n = 1; n <= 30; n++) epochs.add((await one.append('p', [record(n)])).epoch)
    const [epoch = ''] = epochs
    const question = { last_by_subj: LOG }
    const { message } = await server.ask<{ message: { seq: number } }>('STREAM.MSG.GET.ENTITYCAST', question)
    await server.ask('STREAM.MSG.DELETE.ENTITYCAST', { seq: message.seq - 5 })
    const page = await one.read('p', { epoch, offset: 20 }, 100)
    expect('entries' in page && page.entries.map(({ offset }) => offset)).toEqual([21, 22, 23, 24])
    expect(await one.read('p', { epoch, offset: 24 }, 100)).toEqual({ gap: 'expired' })
    const after = await one.read('p', { epoch, offset: 25 }, 100)
    expect('entries' in after && after.entries).toHaveLength(5)
  })
})
