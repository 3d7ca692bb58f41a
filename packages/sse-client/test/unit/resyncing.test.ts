import { expect, test } from 'vitest'
import type { ResyncCause, SubscriberOptions } from '../../src/index'
import { at, closing, connected, heartbeat, resync, updated } from '../support/frames'
import { openPage } from '../support/page'

/** A page whose onResync handler is done when the test says so. */
function openLoading(options: SubscriberOptions = {}) {
  const page = openPage(options)
  const loads: { reason: ResyncCause; done(): Promise<void>; fail(): Promise<void> }[] = []
  page.subscriber.onResync(({ reason }) => {
    return new Promise<void>((resolve, reject) => {
      const finish = async (end: () => void) => {
        end()
        await page.settle()
      }
      loads.push({ reason, done: () => finish(resolve), fail: () => finish(() => reject(new Error('load'))) })
    })
  })
  return Object.assign(page, { loads })
}

test('[D4] while an async onResync handler runs the state is resyncing and events wait; then they come, in order', async () => {
  const page = openLoading({ since: at(1) })
  const stream = await page.open(connected({ resume: 'resync' }), resync('expired', at(10)), updated('a', at(11)))
  await page.send(stream, updated('b'), updated('c', at(13)))
  expect(page.story).toEqual(['connecting', 'resync:expired', 'resyncing'])
  expect([page.subscriber.cursor, page.subscriber.getSnapshot().state]).toEqual([at(10), 'resyncing'])
  await page.loads[0]?.done()
  expect(page.story.slice(3)).toEqual(['connected', 'a', 'b', 'c'])
  expect(page.subscriber.cursor).toBe(at(13))
  await page.send(stream, updated('d', at(14)))
  expect(page.ids.at(-1)).toBe('d')
})

test('[D4] it waits for each handler; what one of them could not load is loaded again, and events wait for that', async () => {
  const page = openLoading()
  let done: (() => void) | undefined
  page.subscriber.onResync(
    () =>
      new Promise<void>((resolve) => {
        done = resolve
      }),
  )
  await page.open(connected({ id: at(0) }), resync('overflow', at(5)), updated('a', at(6)))
  await page.loads[0]?.fail()
  expect([page.codes, page.ids]).toEqual([['HANDLER_FAILED'], []])
  done?.()
  await page.settle()
  expect([page.ids, page.subscriber.state]).toEqual([[], 'resyncing'])
  await page.clock.advance(2_000)
  expect(page.resyncs).toEqual(['overflow', 'overflow'])
  await page.loads[1]?.done()
  expect([page.ids, page.subscriber.state]).toEqual([[], 'resyncing'])
  done?.()
  await page.settle()
  expect([page.ids, page.subscriber.state]).toEqual([['a'], 'connected'])
  expect(page.codes).toEqual(['HANDLER_FAILED'])
})

test('[D4] what cannot be loaded is asked for ever more rarely, until it can: the page never says that it is up to date', async () => {
  const page = openLoading()
  await page.open(connected({ id: at(0), heartbeatMs: 0 }), resync('epoch', at(5)), updated('a', at(6)))
  const start = page.clock.now()
  const told: number[] = []
  for (let i = 0; i < 6; i++) {
    for (let second = 0; second < 100 && page.loads.length === i; second++) await page.clock.advance(1_000)
    told.push((page.clock.now() - start) / 1_000)
    expect([page.ids, page.subscriber.state]).toEqual([[], 'resyncing'])
    await page.loads[i]?.fail()
  }
  expect(told).toEqual([0, 2, 6, 14, 30, 62])
  expect(page.codes.filter((code) => code === 'RESYNC_LOOP')).toHaveLength(1)
  await page.clock.advance(60_000)
  await page.loads[6]?.done()
  expect([page.ids, page.subscriber.state]).toEqual([['a'], 'connected'])
})

test('[D4] pages that were all told at once, and could not load, do not ask again at once', async () => {
  const again: number[] = []
  for (const chance of [0, 0.25, 0.999]) {
    const page = openPage({}, { random: () => chance })
    page.subscriber.onResync(() => Promise.reject(new Error('load')))
    await page.open(connected({ id: at(0), heartbeatMs: 0 }), resync('epoch', at(5)))
    const start = page.clock.now()
    for (let i = 0; i < 1_000 && page.resyncs.length === 1; i++) await page.clock.advance(10)
    again.push(page.clock.now() - start)
    page.subscriber.close()
  }
  expect(again).toEqual([1_000, 1_500, 3_000])
})

test('[D4] a handler that fails after it is waited for no more, and one whose stream was cut: the resync is due again', async () => {
  const page = openLoading({ resyncTimeoutMs: 5_000 })
  const stream = await page.open(connected({ id: at(0), heartbeatMs: 0 }), resync('epoch', at(5)))
  await page.clock.advance(5_000)
  expect(page.subscriber.state).toBe('connected')
  await page.loads[0]?.fail()
  expect([page.subscriber.state, page.states.at(-1)]).toEqual(['resyncing', 'resyncing'])
  await page.clock.advance(2_000)
  expect(page.resyncs).toEqual(['epoch', 'epoch'])
  stream.end()
  await page.settle()
  await page.loads[1]?.fail()
  const next = await page.next()
  await page.send(next.stream(), connected({ id: at(6), resume: 'replayed' }), updated('a', at(6)))
  await page.clock.advance(4_000)
  expect([page.resyncs, page.ids]).toEqual([['epoch', 'epoch', 'epoch'], []])
  await page.loads[2]?.done()
  expect([page.ids, page.subscriber.state]).toEqual([['a'], 'connected'])
})

test('[D4 S8] after close() a handler that fails does nothing; whoever connects again loads again', async () => {
  const page = openLoading()
  await page.open(connected({ id: at(0), heartbeatMs: 0 }), resync('epoch', at(5)))
  page.subscriber.close()
  await page.loads[0]?.fail()
  await page.clock.advance(60_000)
  expect([page.loads.length, page.clock.pending, page.subscriber.state]).toEqual([1, 0, 'disconnected'])
  page.subscriber.connect()
  const next = await page.next()
  await page.send(next.stream(), connected({ id: at(5) }))
  expect(page.resyncs).toEqual(['epoch', 'epoch'])
  await page.loads[1]?.done()
  expect(page.subscriber.state).toBe('connected')
})

test('[D4 P8] somebody else signs in while data is loaded: what the load fails with does not stand in the place of identity', async () => {
  let user = 'ada'
  const page = openLoading({ identity: () => user, maxEventBytes: 1024 })
  await page.open(connected({ id: at(0), heartbeatMs: 0 }), resync('epoch', at(5)))
  user = 'bob'
  page.subscriber.reconnect()
  const next = await page.next()
  const stream = next.stream()
  await page.send(stream, connected({ id: at(7), heartbeatMs: 0 }))
  // The load of the one before: 401.
  await page.loads[0]?.fail()
  await page.send(stream, resync('broker-gap', at(9)))
  for (let offset = 10; offset < 40; offset++) await page.send(stream, updated(`doc_${offset}`, at(offset)))
  await page.clock.advance(2_000)
  expect([page.resyncs, page.ids]).toEqual([['epoch', 'identity'], []])
  await page.loads[1]?.done()
  expect([page.subscriber.state, page.subscriber.cursor]).toEqual(['connected', at(39)])
})

test('[D4] a handler that throws has begun to load nothing that could be waited for: it is told once', async () => {
  const page = openPage()
  page.subscriber.onResync(() => {
    throw new Error('mine')
  })
  await page.open(connected({ id: at(0) }), resync('overflow', at(5)), updated('a', at(6)))
  expect([page.codes, page.ids, page.subscriber.state]).toEqual([['HANDLER_FAILED'], ['a'], 'connected'])
})

test('[D4] a handler that never settles keeps events back for resyncTimeoutMs', async () => {
  const page = openLoading({ resyncTimeoutMs: 5_000 })
  await page.open(connected({ id: at(0) }), resync('overflow', at(5)), updated('a', at(6)))
  await page.clock.advance(4_999)
  expect(page.ids).toEqual([])
  await page.clock.advance(1)
  expect([page.ids, page.subscriber.state]).toEqual([['a'], 'connected'])
  await page.loads[0]?.done()
  expect(page.ids).toEqual(['a'])
})

test('[D5] a version that is not newer than what was given before is left out also there', async () => {
  const page = openLoading()
  const stream = await page.open(connected({ id: at(0) }), updated('a', at(1), { version: 7 }))
  await page.send(
    stream,
    resync('overflow', at(5)),
    updated('a', at(6), { version: 7 }),
    updated('a', at(7), { version: 8 }),
  )
  await page.loads[0]?.done()
  expect(page.events.map(({ version }) => version)).toEqual([7, 8])
})

test('[D3] cut while handlers run: what waited is replayed, nothing twice, and they are not called again', async () => {
  const page = openLoading()
  const stream = await page.open(connected({ id: at(0) }), resync('overflow', at(5)), updated('a', at(6)))
  stream.end()
  const next = await page.next()
  expect(next.header('last-event-id')).toBe(at(5))
  await page.send(next.stream(), connected({ id: at(7), resume: 'replayed' }), updated('a', at(6)), updated('b', at(7)))
  expect([page.ids, page.subscriber.state]).toEqual([[], 'resyncing'])
  await page.loads[0]?.done()
  expect([page.ids, page.resyncs]).toEqual([['a', 'b'], ['overflow']])
})

test('[K7] closed while handlers run: no timer is left, and after connect() it is told again before any event', async () => {
  const page = openLoading()
  await page.open(connected({ id: at(0) }), resync('overflow', at(5)), updated('a', at(6)))
  page.subscriber.close()
  expect(page.clock.pending).toBe(0)
  await page.loads[0]?.done()
  expect([page.ids, page.subscriber.state]).toEqual([[], 'disconnected'])
  await page.clock.advance(10_000)
  await page.open(connected({ id: at(5), resume: 'live' }), updated('a', at(6)))
  expect([page.resyncs, page.ids]).toEqual([['overflow', 'overflow'], []])
  await page.loads[1]?.done()
  expect(page.ids).toEqual(['a'])
})

test('[K7] closed while handlers run and another resync waits: no timer is left, and one is told after connect()', async () => {
  const page = openLoading()
  const stream = await page.open(connected({ id: at(0) }), resync('overflow', at(5)))
  await page.send(stream, resync('broker-gap', at(7)))
  page.subscriber.close()
  expect(page.clock.pending).toBe(0)
  await page.loads[0]?.done()
  await page.clock.advance(10_000)
  await page.open(connected({ id: at(7), resume: 'live' }), updated('a', at(8)))
  await page.loads[1]?.done()
  expect([page.resyncs, page.ids]).toEqual([['overflow', 'broker-gap'], ['a']])
})

test('[K7] a handler that closes is the end of it', async () => {
  const page = openPage()
  page.subscriber.onResync(async () => page.subscriber.close())
  await page.open(connected({ id: at(0) }), resync('overflow', at(5)), updated('a', at(6)))
  await page.clock.advance(60_000)
  expect([page.ids, page.subscriber.state, page.clock.pending]).toEqual([[], 'disconnected', 0])
})

test('[L2] heartbeats and closing are heard meanwhile', async () => {
  const page = openLoading({ resyncTimeoutMs: 600_000 })
  const stream = await page.open(connected({ id: at(0) }), resync('overflow', at(5)))
  for (let i = 0; i < 5; i++) {
    await page.clock.advance(30_000)
    await page.send(stream, heartbeat(at(5)))
  }
  expect(page.network.exchanges).toHaveLength(1)
  await page.send(stream, closing('revoked'))
  expect(page.subscriber.state).toBe('disconnected')
})

test('[D4] more events than may wait: they are dropped, one more resync follows, and nothing is lost in silence', async () => {
  const page = openLoading({ maxEventBytes: 1024 })
  const stream = await page.open(connected({ id: at(0) }), resync('expired', at(5)))
  for (let offset = 6; offset < 30; offset++) await page.send(stream, updated(`doc_${offset}`, at(offset)))
  expect(page.subscriber.cursor).toBe(at(5))
  await page.loads[0]?.done()
  expect([page.ids, page.subscriber.state]).toEqual([[], 'resyncing'])
  await page.clock.advance(2_000)
  expect([page.resyncs, page.subscriber.cursor]).toEqual([['expired', 'overflow'], at(29)])
  await page.send(stream, updated('after', at(30)))
  await page.loads[1]?.done()
  expect([page.ids, page.subscriber.state]).toEqual([['after'], 'connected'])
})

test('[D4] cut after such a drop: what was dropped is replayed, and the resync is still told first', async () => {
  const page = openLoading({ maxEventBytes: 1024 })
  const stream = await page.open(connected({ id: at(0) }), resync('expired', at(5)))
  for (let offset = 6; offset < 30; offset++) await page.send(stream, updated(`doc_${offset}`, at(offset)))
  stream.end()
  const next = await page.next()
  expect(next.header('last-event-id')).toBe(at(5))
  await page.send(next.stream(), connected({ id: at(6), resume: 'replayed' }), updated('doc_6', at(6)))
  await page.loads[0]?.done()
  await page.clock.advance(2_000)
  expect([page.resyncs, page.ids]).toEqual([['expired', 'overflow'], []])
  await page.loads[1]?.done()
  expect(page.subscriber.state).toBe('connected')
})

test('[D4] a second resync within 2 s waits, with the events behind it; those that come meanwhile are one with it', async () => {
  const page = openPage()
  const stream = await page.open(connected({ id: at(0) }), resync('overflow', at(5)), updated('a', at(6)))
  await page.clock.advance(500)
  await page.send(
    stream,
    resync('expired', at(10)),
    updated('b', at(11)),
    resync('broker-gap', at(20)),
    updated('c', at(21)),
  )
  await page.clock.advance(1_499)
  expect(page.story.slice(2)).toEqual(['resync:overflow', 'a', 'resyncing'])
  await page.clock.advance(1)
  expect(page.story.slice(5)).toEqual(['resync:broker-gap', 'connected', 'c'])
  expect(page.clock.pending).toBe(1)
})

test('[D4] a storm of resyncs is told ever more rarely, and as an error; a quiet time forgives', async () => {
  const page = openPage()
  const stream = await page.open(connected({ id: at(0), heartbeatMs: 0 }))
  const start = page.clock.now()
  const told: number[] = []
  page.subscriber.onResync(() => told.push((page.clock.now() - start) / 1000))
  for (let i = 1; i <= 300; i++) {
    await page.send(stream, resync('overflow', at(i)))
    await page.clock.advance(1_000)
  }
  expect(told.slice(0, 8)).toEqual([0, 2, 6, 14, 30, 62, 122, 182])
  expect(page.codes).toEqual(['RESYNC_LOOP'])
  await page.clock.advance(120_000)
  const before = told.length
  await page.send(stream, resync('overflow', at(400)))
  expect(told.length).toBe(before + 1)
  await page.send(stream, resync('overflow', at(401)))
  await page.clock.advance(2_000)
  expect(told.length).toBe(before + 2)
})

test('[D4] a resync that waits is told when there is a stream again, once, and moves the cursor only then', async () => {
  const page = openPage({}, { random: () => 1 })
  const stream = await page.open(connected({ id: at(0) }), resync('overflow', at(5)))
  await page.send(stream, resync('expired', at(10)))
  stream.end()
  await page.settle()
  // The time is over while there is no stream.
  page.network.last.fail(new Error('down'))
  const next = await page.next()
  expect([page.resyncs, page.subscriber.cursor, next.header('last-event-id')]).toEqual([['overflow'], at(5), at(5)])
  await page.clock.advance(5_000)
  await page.send(next.stream(), connected({ id: at(5), resume: 'replayed' }), updated('a', at(11)))
  expect(page.story.slice(-3)).toEqual(['resync:expired', 'connected', 'a'])
  expect(page.resyncs).toEqual(['overflow', 'expired'])
})
