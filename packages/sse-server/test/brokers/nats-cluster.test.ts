import type { Cursor } from '@entitycast/sse-server'
import { connect } from '@nats-io/transport-node'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { eventually } from '../support/broker-hub'
import { HAS_NATS, NatsServer } from '../support/nats'
import { Ear, NatsInstances, record } from '../support/nats-hub'

/*
 * Three servers that hold the stream three times. Whoever leads it ends, in the middle of what is published.
 */

const instances = new NatsInstances()
afterEach(() => instances.end())

describe.runIf(HAS_NATS)('a cluster of three', () => {
  let servers: NatsServer[] = []
  beforeAll(async () => {
    servers = await NatsServer.cluster()
  })
  afterAll(() => Promise.all(servers.map((server) => server.end())))

  const any = () => servers[0] as NatsServer
  const dial = () => connect({ servers: servers.map(({ url }) => url), timeout: 2_000 })
  const add = (connectAs = dial, timeoutMs = 5_000) =>
    instances.adapter(any(), {
      connect: connectAs,
      replicas: 3,
      timeoutMs,
      checkIntervalMs: 500,
    })
  const leader = async (from = any()) => {
    const { cluster } = await from.ask<{ cluster: { leader?: string } }>('STREAM.INFO.ENTITYCAST')
    const found = servers[Number(cluster.leader?.slice(1))]
    if (!found) throw new Error('there is no leader at this moment')
    return found
  }

  it('[D1] the cluster takes every message, whatever it was written for: the first counts, and everyone sees one order, each record once', {
    timeout: 90_000,
  }, async () => {
    const without = async () => {
      const connection = await dial()
      const request = connection.request.bind(connection)
      connection.request = (subject, payload, options) => {
        options?.headers?.delete('Nats-Expected-Last-Subject-Sequence')
        return request(subject, payload, options)
      }
      return connection
    }
    // A machine that is busy for seconds makes the three choose another leader, which takes seconds more.
    const writers = [add(without, 30_000), add(without, 30_000)]
    const ears = await Promise.all([...writers, add()].map((one) => eventually(() => Ear.open(one, 'p'))))
    const accepted = await Promise.all(
      writers.map(async (by, who) => {
        const own: [number, string][] = []
        for (let n = 0; n < 40; n++) own.push([(await by.append('p', [record(`${who}/${n}`)])).offset, `${who}/${n}`])
        return own
      }),
    )
    const last = await writers[0]?.append('p', [record('sentinel')])
    expect(last?.offset).toBe(81)
    for (const ear of ears) {
      await eventually(() => expect([ear.doubts, ear.seen.at(-1)?.offset]).toEqual([[], 81]))
      expect(ear.seen.map(({ offset }) => offset)).toEqual(Array.from({ length: 81 }, (_, n) => n + 1))
      for (const [offset, data] of accepted.flat()) expect(ear.datas[offset - 1]).toBe(data)
    }
    const page = await add().read('p', { epoch: last?.epoch ?? '', offset: 0 }, 100)
    expect('entries' in page && page.entries.map(({ record: { data } }) => data)).toEqual(ears[0]?.datas)
  })

  for (const harm of ['kill', 'stop'] as const) {
    it(`[B1 B4] ${harm}: the leader ends while two instances publish: nothing accepted is missing, and no doubt is needed`, {
      timeout: 90_000,
    }, async () => {
      const [one, two] = [add(), add()]
      // Until the three have found each other.
      const ears = [await eventually(() => Ear.open(one, harm)), await eventually(() => Ear.open(two, harm))]
      const accepted: { cursor: Cursor; data: string }[] = []
      let isOver = false
      const publishing = [one, two].map(async (by, who) => {
        for (let n = 0; !isOver; n++) {
          const data = `${who}/${n}`
          await by.append(harm, [record(data)]).then(
            (cursor) => accepted.push({ cursor, data }),
            // It may have happened.
            () => {},
          )
        }
      })
      const more = async (count: number) => {
        const goal = accepted.length + count
        await eventually(() => expect(accepted.length).toBeGreaterThan(goal))
      }
      await more(50)
      const ended = await eventually(() => leader())
      await ended[harm]()
      await more(50)
      isOver = true
      await Promise.all(publishing)
      const last = await eventually(() => one.append(harm, [record('sentinel')]))
      for (const ear of ears) {
        await eventually(() => expect([ear.doubts, ear.seen.at(-1)?.offset]).toEqual([[], last.offset]))
        expect(ear.doubts).toEqual([])
        expect(ear.seen.map(({ offset }) => offset)).toEqual(Array.from({ length: last.offset }, (_, n) => n + 1))
        for (const { cursor, data } of accepted) expect(ear.datas[cursor.offset - 1]).toBe(data)
        // Nothing twice either, also of what was asked again.
        expect(new Set(ear.datas).size).toBe(ear.datas.length)
      }
      await ended.restart()
      await eventually(async () => {
        const { cluster } = await any().ask<{ cluster: { replicas?: { current: boolean }[] } }>(
          'STREAM.INFO.ENTITYCAST',
        )
        expect(cluster.replicas?.map(({ current }) => current)).toEqual([true, true])
      })
    })
  }
})
