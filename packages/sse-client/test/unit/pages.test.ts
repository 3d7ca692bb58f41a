import { expect, test } from 'vitest'
import { at, closing, connected, heartbeat, named, updated } from '../support/frames'
import { openPage } from '../support/page'

test('[G2] frames without an id wait for the one that has one, and come together', async () => {
  const page = openPage()
  const stream = await page.open(connected({ id: at(0) }), updated('a'), named('lock:acquired', 1))
  expect([page.events, page.subscriber.cursor]).toEqual([[], at(0)])
  await page.send(stream, updated('b', at(9)))
  expect(page.story.slice(2)).toEqual(['a', 'lock:acquired', 'b'])
  expect(page.subscriber.cursor).toBe(at(9))
})

test('[G2] a page that is cut is discarded, and replayed whole', async () => {
  const page = openPage()
  const stream = await page.open(connected({ id: at(0) }), updated('a', undefined, { version: 3 }), updated('b'))
  stream.end()
  const next = await page.reopen(connected({ id: at(0), resume: 'replayed' }))
  expect(next.header('last-event-id')).toBe(at(0))
  await page.send(next, updated('a', undefined, { version: 3 }), updated('b'), updated('c', at(9)))
  expect(page.ids).toEqual(['a', 'b', 'c'])
})

test('[G3] a control frame acts at once, and the frames that are held stay held', async () => {
  const page = openPage()
  const stream = await page.open(connected({ id: at(0) }), updated('a'), heartbeat(), heartbeat(at(5)))
  expect([page.events, page.subscriber.cursor]).toEqual([[], at(0)])
  await page.send(stream, updated('b', at(9)))
  expect(page.ids).toEqual(['a', 'b'])
})

test('[G3] closing ends the stream although frames are held, and drops them', async () => {
  const page = openPage()
  await page.open(connected({ id: at(0) }), updated('a'), closing('slow'))
  expect(page.subscriber.state).toBe('reconnecting')
  await page.reopen(connected({ id: at(0), resume: 'replayed' }), updated('b', at(2)))
  expect(page.ids).toEqual(['b'])
})

test('[D6] what is held is bounded: over maxEventBytes the stream ends and the cursor stays', async () => {
  const page = openPage({ maxEventBytes: 2048 })
  const stream = await page.open(connected({ id: at(0) }), ...Array.from({ length: 40 }, (_, i) => updated(`held${i}`)))
  expect(stream.released).toBe(true)
  expect(page.codes).toEqual(['TOO_LARGE'])
  expect([page.events, page.subscriber.cursor]).toEqual([[], at(0)])
  expect((await page.next()).header('last-event-id')).toBe(at(0))
})

test('[G2] a handler that closes in the middle of a page gets the page again when it connects again', async () => {
  const page = openPage()
  const off = page.subscriber.subscribe('document:b', () => page.subscriber.close())
  await page.open(connected({ id: at(0) }), updated('a') + updated('b') + updated('c', at(9)))
  expect(page.ids).toEqual(['a', 'b'])
  expect(page.subscriber.cursor).toBe(at(0))
  off()
  await page.open(connected({ id: at(0), resume: 'replayed' }), updated('a') + updated('b') + updated('c', at(9)))
  expect(page.ids).toEqual(['a', 'b', 'a', 'b', 'c'])
})
