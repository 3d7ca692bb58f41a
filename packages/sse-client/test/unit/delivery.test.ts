import { expect, test } from 'vitest'
import { at, connected, frameOf, heartbeat, named, PROJECT, resync, updated } from '../support/frames'
import { openPage } from '../support/page'

test('[D1] handlers get events in the order of the stream', async () => {
  const page = openPage()
  await page.open(connected({ id: at(0) }), updated('a', at(1)), updated('b', at(2)) + updated('c', at(3)))
  expect(page.ids).toEqual(['a', 'b', 'c'])
  expect(page.subscriber.cursor).toBe(at(3))
})

test('[W12] a handler sees the whole event: type and project are put back, and what was left out is left out', async () => {
  const page = openPage()
  const event = { entity: 'document', id: 'doc_1', data: { n: 1 }, channel: 'validation', userId: 'u1', version: 3 }
  await page.open(
    connected({ id: at(0) }),
    frameOf({ type: 'entity.updated', projectId: PROJECT, timestamp: '2026-01-31T09:30:00.000Z', ...event }, at(1)),
    frameOf({ type: 'entity.deleted', entity: 'document', id: 'doc_2', projectId: PROJECT }, at(2)),
  )
  expect(page.events[0]).toEqual({
    type: 'entity.updated',
    projectId: PROJECT,
    timestamp: '2026-01-31T09:30:00.000Z',
    ...event,
  })
  expect(Object.keys(page.events[1] as object).sort()).toEqual(['entity', 'id', 'projectId', 'timestamp', 'type'])
})

test('[N5] handlers are found by pattern and by type pattern, and `off` ends only its own', async () => {
  const page = openPage()
  const got: string[] = []
  const log = (name: string) => () => got.push(name)
  page.subscriber.subscribe('document:*', log('all documents'))
  const off = page.subscriber.subscribe('document:a', log('one document'))
  page.subscriber.subscribe('chunk:*', log('chunks'))
  page.subscriber.on('lock:*', log('locks'))
  page.subscriber.on('entity.updated', log('updates'))
  const stream = await page.open(connected({ id: at(0) }), updated('a', at(1)))
  expect(got.splice(0).sort()).toEqual(['all documents', 'one document', 'updates'])
  off()
  off()
  await page.send(stream, updated('a', at(2)), named('lock:acquired', { entityId: 7 }, at(3)))
  expect(got.sort()).toEqual(['all documents', 'locks', 'updates'])
})

test('[D2] one function that matches twice by two registrations is called for each, and once for each', async () => {
  const page = openPage()
  let calls = 0
  const handler = () => calls++
  page.subscriber.subscribe('*', handler)
  page.subscriber.subscribe('document:a', handler)
  await page.open(connected({ id: at(0) }), updated('a', at(1)))
  expect(calls).toBe(2)
})

test('[W9] a frame that was cut off moves nothing, and is asked for again', async () => {
  const page = openPage()
  const whole = updated('b', at(2))
  const stream = await page.open(connected({ id: at(0) }), updated('a', at(1)), whole.slice(0, -1))
  expect(page.subscriber.cursor).toBe(at(1))
  stream.end()
  const next = await page.reopen(connected({ id: at(1), resume: 'replayed' }), whole)
  expect(next.header('last-event-id')).toBe(at(1))
  expect(page.ids).toEqual(['a', 'b'])
  expect(page.resyncs).toEqual([])
})

test("[W9] the cursor is the event's own while its handlers run", async () => {
  const page = openPage()
  const seen: unknown[] = []
  page.subscriber.on('*', () => seen.push(page.subscriber.cursor))
  await page.open(connected({ id: at(0) }), updated('a', at(1)), updated('b', at(2)))
  expect(seen).toEqual([at(1), at(2)])
})

test('[D3] before any event the cursor is that of `connected`, so that a resume with nothing seen has no hole', async () => {
  const page = openPage()
  const stream = await page.open(connected({ id: at(7) }))
  stream.end()
  const next = await page.reopen(connected({ id: at(7), resume: 'replayed' }), updated('a', at(8)))
  expect(next.header('last-event-id')).toBe(at(7))
  expect([page.ids, page.resyncs]).toEqual([['a'], []])
})

test('[W15] a heartbeat with an id moves the cursor, and no handler sees it', async () => {
  const page = openPage()
  await page.open(connected({ id: at(0) }), heartbeat(at(41)), heartbeat())
  expect(page.subscriber.cursor).toBe(at(41))
  expect(page.events).toEqual([])
})

test('[D3] the page may bring the first cursor', async () => {
  const page = openPage({ since: at(41) })
  expect(page.subscriber.cursor).toBe(at(41))
  const stream = await page.open(connected({ id: at(41), resume: 'replayed' }), updated('a', at(42)))
  expect(stream.header('last-event-id')).toBe(at(41))
  expect([page.ids, page.resyncs]).toEqual([['a'], []])
})

test('[D5] a version that is not newer is dropped, and the cursor moves on', async () => {
  const page = openPage()
  await page.open(
    connected({ id: at(0) }),
    updated('a', at(1), { version: 2 }),
    updated('a', at(2), { version: 2 }),
    updated('a', at(3), { version: 1 }),
  )
  expect(page.ids).toEqual(['a'])
  expect(page.subscriber.cursor).toBe(at(3))
})

test('[D5] versions are remembered across a resync, because they only grow', async () => {
  const page = openPage()
  await page.open(connected({ id: at(0) }), updated('a', at(1), { version: 5 }), resync('epoch', 'other.1'))
  await page.send(page.network.last, updated('a', 'other.2', { version: 4 }), updated('a', 'other.3', { version: 6 }))
  expect(page.events.map(({ version }) => version)).toEqual([5, 6])
})

test('[W7] what cannot be read is reported and skipped, and the stream goes on', async () => {
  const page = openPage()
  const bad = ['not JSON', '[]', 'null', '{"entity":"document","id":7}', '{"entity":"document","id":"a","timestamp":5}']
  await page.open(
    connected({ id: at(0) }),
    ...bad.map((data, i) => `event: entity.updated\nid: ${at(i + 1)}\ndata: ${data}\n\n`),
    'data: no event line\n\n',
    'event: fromthefuture\ndata: {}\n\n',
    updated('a', at(9)),
  )
  expect(page.codes).toEqual(Array(7).fill('INVALID_FRAME'))
  expect(page.errors[0]?.cause).toMatchObject({ code: 'INVALID_DATA' })
  expect(page.errors.every(({ retrying }) => retrying)).toBe(true)
  expect([page.ids, page.subscriber.cursor, page.subscriber.state]).toEqual([['a'], at(9), 'connected'])
})

test('[K3] __proto__ in data is data, and changes no prototype', async () => {
  const page = openPage()
  const data =
    '{"entity":"document","id":"__proto__","timestamp":"2026-01-01T00:00:00Z","data":{"__proto__":{"polluted":1}},"__proto__":{"polluted":1}}'
  await page.open(connected({ id: at(0) }), `event: entity.updated\nid: ${at(1)}\ndata: ${data}\n\n`)
  expect(page.ids).toEqual(['__proto__'])
  expect(({} as { polluted?: number }).polluted).toBeUndefined()
  expect((page.events[0] as { polluted?: number }).polluted).toBeUndefined()
})

test('[W6] a stream that begins with anything but connected is broken, and moves nothing', async () => {
  const page = openPage({ since: at(1) })
  const stream = await page.open(':padding\n\n', updated('a', at(2)))
  expect(stream.released).toBe(true)
  expect([page.codes, page.events, page.subscriber.cursor]).toEqual([['PROTOCOL'], [], at(1)])
  expect(page.subscriber.state).toBe('reconnecting')
})

test.each([
  '{}',
  'null',
  '[]',
  'x',
  '{"connectionId":"c","projectId":"p","resume":"maybe","heartbeatMs":1}',
  '{"connectionId":"c","projectId":"","resume":"live","heartbeatMs":1}',
  '{"connectionId":"c","projectId":"p","resume":"live","heartbeatMs":-1}',
  '{"connectionId":"c","projectId":"p","resume":"live","heartbeatMs":"1"}',
])('[W6] connected with %j is broken', async (data) => {
  const page = openPage()
  await page.open(`event: connected\ndata: ${data}\n\n`)
  expect([page.codes, page.subscriber.state]).toEqual([['PROTOCOL'], 'reconnecting'])
})

test('[W6] a second connected in one stream is broken', async () => {
  const page = openPage()
  await page.open(connected({ id: at(0) }), connected({ id: at(5) }))
  expect([page.codes, page.subscriber.cursor]).toEqual([['PROTOCOL'], at(0)])
})

test('[D8] a stream of another project is not read: told, and stopped', async () => {
  const page = openPage({ projectId: 'proj_2' })
  const stream = await page.open(connected({ id: at(0) }) + updated('a', at(1)))
  expect([page.codes, page.events, page.subscriber.state]).toEqual([['PROJECT_MISMATCH'], [], 'disconnected'])
  expect(page.errors[0]?.retrying).toBe(false)
  expect(stream.released).toBe(true)
})

test("[D8] without an option the first stream's project is kept", async () => {
  const page = openPage()
  const stream = await page.open(connected({ id: at(0) }))
  stream.end()
  await page.reopen(connected({ id: at(0), resume: 'replayed', projectId: 'proj_2' }))
  expect(page.codes.at(-1)).toBe('PROJECT_MISMATCH')
})
