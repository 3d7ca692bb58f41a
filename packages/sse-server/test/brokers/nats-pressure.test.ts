import { connect } from '@nats-io/transport-node'
import { afterEach, describe, expect, it } from 'vitest'
import { degraded, eventually, ready, stream, told } from '../support/broker-hub'
import { publishWhileCut } from '../support/cut-appends'
import { HAS_NATS, NatsServer } from '../support/nats'
import { Ear, NatsInstances, record } from '../support/nats-hub'
import { Wires } from '../support/wires'

/*
 * A NATS that is there and takes nothing, or keeps less than it should. Publishers are told so with a code; who reads goes on reading, or is told to
 * resync; and when it is over everything goes on by itself.
 */

const instances = new NatsInstances()
let server: NatsServer | undefined
afterEach(async () => {
  await instances.end()
  await server?.end()
  server = undefined
})

describe.runIf(HAS_NATS)('a NATS that takes nothing, or forgets', () => {
  it('[B1 P7] no room for JetStream: publishes are refused with a code, streams stay and resume, and all goes on when there is room', async () => {
    server = await NatsServer.start('', {}, undefined, 'max_file_store: 600KB')
    const [one, two] = [instances.hub(server), instances.hub(server)]
    const clients = [await stream(one, 'p'), await stream(two, 'p')]
    const first = await one.hub.project('p').emit('a:b', 1)
    await one.hub.project('p').emit('a:b', 2)
    for (const client of clients) await eventually(() => expect(told(client)).toEqual([1, 2]))
    const large = 'x'.repeat(60_000)
    let refused: unknown
    for (let n = 0; n < 20 && !refused; n++) {
      await one.hub
        .project('filler')
        .emit('a:b', large)
        .catch((error: unknown) => {
          refused = error
        })
    }
    expect(refused).toMatchObject({ code: 'UNAVAILABLE' })
    for (const each of await Promise.allSettled([3, 4].map((n) => one.hub.project('p').emit('a:b', large + n)))) {
      expect(each).toMatchObject({ status: 'rejected', reason: { code: 'UNAVAILABLE' } })
    }
    const three = instances.hub(server)
    const back = await stream(three, 'p', first)
    await eventually(() => expect(told(back)).toEqual([2]))
    server.jetStream = 'max_file_store: 60MB'
    await server.kill()
    await Promise.all([one, two, three].map(degraded))
    await server.restart()
    await Promise.all([one, two, three].map(ready))
    const cursor = await two.hub.project('p').emit('a:b', 6)
    for (const client of clients) await eventually(() => expect(told(client)).toEqual([1, 2, 6]))
    await eventually(() => expect(told(back)).toEqual([2, 6]))
    expect(cursor.split('.')[0]).toBe(first.split('.')[0])
    for (const each of [...clients, back]) expect([each.closed, each.resyncs]).toEqual([false, []])
  })

  it('[B4] a stream with max_bytes drops the oldest, of whatever project: a gap, a new epoch and a doubt, never a part', async () => {
    server = await NatsServer.start()
    const [one, two] = [instances.adapter(server), instances.adapter(server)]
    const ears = [await Ear.open(one, 'busy'), await Ear.open(two, 'quiet')]
    const quiet = await one.append('quiet', [record('q')])
    await eventually(() => expect(ears[1]?.datas).toEqual(['q']))
    const { config } = await server.ask<{ config: object }>('STREAM.INFO.ENTITYCAST')
    await server.ask('STREAM.UPDATE.ENTITYCAST', { ...config, max_bytes: 100_000 })
    const cursors = []
    for (let n = 0; n < 30; n++) cursors.push(await one.append('busy', [record(`${n}${'x'.repeat(10_000)}`)]))
    // Once for each time that its last message was taken: where that took long, also the one that began the epoch.
    await eventually(() => expect(new Set(ears[1]?.doubts.map(({ reason }) => reason))).toEqual(new Set(['epoch'])))
    expect(await two.read('quiet', quiet, 10)).toEqual({ gap: 'epoch' })
    const after = await two.append('quiet', [record('after')])
    expect([after.offset, after.epoch === quiet.epoch]).toEqual([1, false])
    // Where the message that began the epoch was taken too, that is told by another doubt.
    await eventually(() => {
      const isDoubted = ears[1]?.doubts.some(({ head }) => head.epoch === after.epoch && head.offset >= after.offset)
      expect(isDoubted || ears[1]?.datas.includes('after')).toBe(true)
    })
    await two.append('quiet', [record('sentinel')])
    await eventually(() => expect(ears[1]?.datas.at(-1)).toBe('sentinel'))
    expect(ears[1]?.datas.filter((data) => data !== 'after')).toEqual(['q', 'sentinel'])
    expect(ears[0]?.datas.map((data) => Number.parseInt(data, 10))).toEqual(Array.from({ length: 30 }, (_, n) => n))
    expect(ears[0]?.doubts).toEqual([])
    for (const [n, cursor] of cursors.entries()) {
      const page = await two.read('busy', cursor, 100)
      if ('gap' in page) expect(page.gap).toBe('expired')
      else expect(page.entries[0]?.offset ?? 31).toBe(n + 2)
    }
    expect(await two.read('busy', cursors[2] as never, 100)).toEqual({ gap: 'expired' })
  })

  it('[B1] the connection is cut in mid-append, again and again: what was accepted is told once and in order, what was rejected at most once', async () => {
    server = await NatsServer.start()
    const proxy = await Wires.start(server.port)
    const through = () => connect({ servers: `127.0.0.1:${proxy.port}`, reconnect: false })
    const [one, two] = [instances.hub(server, { connect: through }), instances.hub(server)]
    const clients = [await stream(one, 'p'), await stream(two, 'p')]
    await publishWhileCut(one, clients, 1_500, async (appends) => {
      // The first of several messages is on its way.
      await Promise.race(appends)
      proxy.cut()
    })
    await instances.end()
    proxy.end()
  })
})
