import { expect, test } from 'vitest'
import { at, connected, heartbeat, resync, updated } from '../support/frames'
import { openPage } from '../support/page'

test('[W10] live at the very cursor that was sent is no hole', async () => {
  const page = openPage({ since: at(41) })
  await page.open(connected({ id: at(41), resume: 'live' }), updated('a', at(42)))
  expect(page.resyncs).toEqual([])
})

test('[D4] a server that goes on live elsewhere has not honoured the cursor: resync, before any later event', async () => {
  const page = openPage({ since: at(41) })
  await page.open(connected({ id: at(60), resume: 'live' }) + updated('a', at(61)))
  expect(page.story).toEqual(['connecting', 'resync:bad-cursor', 'connected', 'a'])
})

test('[D4] a server that goes on live without a cursor has not honoured ours either, and the old one is not sent again', async () => {
  const page = openPage({ since: at(41) })
  const stream = await page.open(connected({ resume: 'live' }))
  expect(page.resyncs).toEqual(['bad-cursor'])
  await page.clock.advance(2_000)
  stream.end()
  const next = await page.reopen(connected({ resume: 'live' }))
  expect(next.header('last-event-id')).toBeUndefined()
  expect(page.resyncs).toEqual(['bad-cursor', 'bad-cursor'])
})

test('[D4] a stream that begins without a cursor after an earlier one may have a hole before it', async () => {
  const page = openPage()
  const stream = await page.open(connected({}))
  expect(page.resyncs).toEqual([])
  stream.end()
  await page.reopen(connected({}))
  expect(page.resyncs).toEqual(['bad-cursor'])
})

test('[D4] that also holds across close and connect', async () => {
  const page = openPage()
  await page.open(connected({}))
  page.subscriber.close()
  await page.open(connected({}))
  expect(page.resyncs).toEqual(['bad-cursor'])
})

test("[W17] the server's resync is told once, before the state is connected and before any later event", async () => {
  const page = openPage({ since: at(1) })
  await page.open(connected({ resume: 'resync' }), resync('expired', at(310)), updated('a', at(311)))
  expect(page.story).toEqual(['connecting', 'resync:expired', 'connected', 'a'])
  expect(page.subscriber.cursor).toBe(at(311))
})

test('[W11] a cut between connected and resync does not hide the resync', async () => {
  const page = openPage({ since: at(1) })
  const stream = await page.open(connected({ resume: 'resync' }))
  expect(page.subscriber.cursor).toBe(at(1))
  expect(page.subscriber.state).toBe('connecting')
  stream.end()
  const next = await page.reopen(connected({ resume: 'resync' }), resync('expired', at(310)))
  expect(next.header('last-event-id')).toBe(at(1))
  expect(page.resyncs).toEqual(['expired'])
})

test('[D4] a server that promises a resync and sends an event instead does not get past it', async () => {
  const page = openPage({ since: at(1) })
  await page.open(connected({ resume: 'resync' }), updated('a', at(311)))
  expect(page.story).toEqual(['connecting', 'resync:bad-cursor', 'connected', 'a'])
})

test('[D4] nor one that sends a heartbeat instead', async () => {
  const page = openPage({ since: at(1) })
  await page.open(connected({ resume: 'resync' }), heartbeat(at(311)))
  expect(page.story).toEqual(['connecting', 'resync:bad-cursor', 'connected'])
})

test('[W16] a resync in the middle of a stream keeps the connection and moves the cursor', async () => {
  const page = openPage()
  await page.open(connected({ id: at(0) }), updated('a', at(1)), resync('overflow', at(99)), updated('b', at(100)))
  expect(page.story).toEqual(['connecting', 'connected', 'a', 'resync:overflow', 'b'])
  expect(page.network.exchanges).toHaveLength(1)
})

test('[D4] a resync whose reason cannot be read is a resync', async () => {
  const page = openPage()
  const frame = (data: string) => `event: resync\nid: ${at(5)}\ndata: ${data}\n\n`
  const stream = await page.open(connected({ id: at(0) }))
  for (const data of ['{"reason":"from the future"}', 'not JSON', 'null']) {
    await page.send(stream, frame(data))
    await page.clock.advance(10_000)
  }
  expect(page.resyncs).toEqual(['bad-cursor', 'bad-cursor', 'bad-cursor'])
})

test('[D4] a replay begins after `connected`: its id, whatever it is, does not move the cursor', async () => {
  const page = openPage({ since: at(41) })
  const stream = await page.open(connected({ id: at(60), resume: 'replayed' }))
  expect(page.subscriber.cursor).toBe(at(41))
  stream.end()
  expect((await page.next()).header('last-event-id')).toBe(at(41))
})

test('[W17] a resync discards what is held of an unfinished page', async () => {
  const page = openPage()
  await page.open(connected({ id: at(0) }), updated('a'), resync('overflow', at(99)), updated('b', at(100)))
  expect(page.story.slice(2)).toEqual(['resync:overflow', 'b'])
})

test.each(['ünïcode', 'a b', '', 'x'.repeat(129)])(
  '[K3] the id %j never goes into a header: told at once, and a resync if the stream is cut there',
  async (id) => {
    const page = openPage()
    const stream = await page.open(
      connected({ id: at(0) }),
      updated('a').replace('\n', `\nid: ${id}\n`),
      updated('b').replace('\n', `\nid: ${id}\n`),
    )
    expect([page.ids, page.codes, page.subscriber.cursor]).toEqual([['a', 'b'], ['INVALID_CURSOR'], undefined])
    stream.end()
    const next = await page.reopen(connected({ id: at(5) }), updated('c', at(6)))
    expect(next.header('last-event-id')).toBeUndefined()
    expect(page.story.slice(-4)).toEqual(['reconnecting', 'resync:bad-cursor', 'connected', 'c'])
  },
)

test('[D4] whoever closes as it is told of the bad id of a resync is told nothing after that', async () => {
  const page = openPage()
  page.subscriber.onError(() => page.subscriber.close())
  await page.open(connected({ id: at(0) }), resync('overflow', 'a b'))
  expect(page.resyncs).toEqual(['overflow'])
  expect(page.story.slice(-2)).toEqual(['error:INVALID_CURSOR', 'disconnected'])
})

test('[D4] a good id after a bad one proves what lies before it', async () => {
  const page = openPage()
  const stream = await page.open(connected({ id: at(0) }), updated('a').replace('\n', '\nid: ü\n'), updated('b', at(2)))
  stream.end()
  const next = await page.reopen(connected({ id: at(2), resume: 'replayed' }))
  expect(next.header('last-event-id')).toBe(at(2))
  expect(page.resyncs).toEqual([])
})
