import { expect, test } from 'vitest'
import { at, connected, resync, updated } from '../support/frames'
import { openPage } from '../support/page'

const idOnly = (offset: number) => `id: ${at(offset)}\n\n`

test('[K3, W1] a block that has only an id moves the cursor, calls no handler, and is resumed from', async () => {
  const page = openPage()
  const stream = await page.open(connected({ id: at(0) }), idOnly(7))
  expect([page.subscriber.cursor, page.events, page.errors]).toEqual([at(7), [], []])
  stream.end()
  expect((await page.next()).header('last-event-id')).toBe(at(7))
})

test('[D4] what is held of a page is given out before the cursor moves past it', async () => {
  const page = openPage()
  await page.open(connected({ id: at(0) }), updated('a'), updated('b'))
  expect(page.ids).toEqual([])
  await page.send(page.network.last, idOnly(2))
  expect([page.ids, page.subscriber.cursor]).toEqual([['a', 'b'], at(2)])
})

test('[D2] a handler that closes in such a page gets it again, whole', async () => {
  const page = openPage()
  const off = page.subscriber.subscribe('document:a', () => page.subscriber.close())
  await page.open(connected({ id: at(0) }), updated('a') + updated('b') + idOnly(2))
  expect([page.ids, page.subscriber.cursor]).toEqual([['a'], at(0)])
  off()
})

test('[D4] it is no way past a resync that was promised', async () => {
  const page = openPage({ since: at(1) })
  await page.open(connected({ resume: 'resync' }), idOnly(9))
  expect([page.resyncs, page.subscriber.cursor]).toEqual([['bad-cursor'], at(9)])
  await page.clock.advance(2_000)
  await page.send(page.network.last, resync('expired', at(10)))
  expect(page.resyncs).toEqual(['bad-cursor', 'expired'])
})

test('[K3] before `connected` it means nothing, and one without a usable id is told', async () => {
  const page = openPage({ since: at(1) })
  const stream = await page.open(idOnly(9))
  expect([page.subscriber.cursor, page.codes]).toEqual([at(1), []])
  await page.send(stream, connected({ id: at(1) }), 'id: ü\n\n')
  expect([page.subscriber.cursor, page.codes]).toEqual([undefined, ['INVALID_CURSOR']])
})

test('[K3] an id that no header can carry is no cursor for a handler of the same turn either, and is told once for each stream', async () => {
  const page = openPage()
  const seen: unknown[] = []
  page.subscriber.subscribe('*', () => seen.push(page.subscriber.cursor))
  const stream = await page.open(connected({ id: at(1) }))
  await page.send(stream, updated('a', at(2)) + updated('b', 'ü') + updated('c', at(4)))
  expect([seen, page.codes]).toEqual([[at(2), undefined, at(4)], []])
  await page.send(stream, updated('d', 'ü'))
  await page.send(stream, updated('e', 'ö'))
  expect([seen.slice(3), page.codes]).toEqual([[undefined, undefined], ['INVALID_CURSOR']])
})

test('[K1] an id with NULL is ignored; the one that the block had before it stays', async () => {
  const page = openPage()
  await page.open(connected({ id: at(0) }), `id: ${at(3)}\nid: x\0y\n\n`)
  expect([page.subscriber.cursor, page.codes]).toEqual([at(3), []])
})
