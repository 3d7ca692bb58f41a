import { expect, test } from 'vitest'
import { settle, VirtualClock } from '../../src/bindings/testing-clock'
import { EventSubscriber, eventsOf, type PageListener, ready } from '../../src/index'
import { at, connected, resync, updated } from '../support/frames'
import { Network } from '../support/network'
import { openPage } from '../support/page'

test('ready() waits for the stream, through failures and an async resync; then it is there at once', async () => {
  const page = openPage({ since: at(1) })
  let done: (() => void) | undefined
  page.subscriber.onResync(
    () =>
      new Promise<void>((resolve) => {
        done = resolve
      }),
  )
  let is = false
  const wait = ready(page.subscriber).then(() => {
    is = true
  })
  page.subscriber.connect()
  await page.settle()
  page.network.last.answer(503)
  await page.reopen(connected({ resume: 'resync' }), resync('expired', at(9)))
  expect([is, page.subscriber.state]).toEqual([false, 'resyncing'])
  done?.()
  await wait
  await ready(page.subscriber)
})

test('[K4] ready() rejects with what stopped the subscriber, with CLOSED, or with the reason of its signal', async () => {
  const page = openPage()
  const stopped = ready(page.subscriber)
  page.subscriber.connect()
  await page.settle()
  page.network.last.answer(403)
  await expect(stopped).rejects.toMatchObject({ code: 'FORBIDDEN' })
  const closed = ready(page.subscriber)
  page.subscriber.connect()
  page.subscriber.close()
  await expect(closed).rejects.toMatchObject({ code: 'CLOSED' })
  const aborter = new AbortController()
  const aborted = ready(page.subscriber, { signal: aborter.signal })
  aborter.abort(new Error('late'))
  await expect(aborted).rejects.toThrow('late')
  await expect(ready(page.subscriber, { signal: AbortSignal.abort(new Error('early')) })).rejects.toThrow('early')
})

test('ready() waits over a pause: that is not closed', async () => {
  const page = openPage()
  const wait = ready(page.subscriber)
  page.subscriber.connect()
  page.subscriber.pause('disabled')
  page.subscriber.resume('disabled')
  await page.settle()
  page.network.last.stream(connected({ id: at(0) }))
  await wait
})

test('[D1] eventsOf() gives events in order, also those that came before the loop asked, and ends with close()', async () => {
  const page = openPage()
  const events = eventsOf(page.subscriber, 'document:*')
  const stream = await page.open(connected({ id: at(0) }), updated('a', at(1)), updated('b', at(2)))
  const ids: unknown[] = []
  const loop = (async () => {
    for await (const { id } of events) ids.push(id)
  })()
  await page.settle()
  await page.send(stream, updated('c', at(3)))
  expect(ids).toEqual(['a', 'b', 'c'])
  page.subscriber.close()
  await loop
})

test('[D4] a loop that is too slow gets what could wait, and then QUEUE_OVERFLOW: nothing is missed in silence', async () => {
  const page = openPage()
  const events = eventsOf(page.subscriber, '*', { limit: 2 })
  await page.open(connected({ id: at(0) }), ...['a', 'b', 'c', 'd'].map((id, i) => updated(id, at(i + 1))))
  expect([await events.next(), await events.next()]).toMatchObject([{ value: { id: 'a' } }, { value: { id: 'b' } }])
  await expect(events.next()).rejects.toMatchObject({ code: 'QUEUE_OVERFLOW' })
  expect(await events.next()).toEqual({ done: true, value: undefined })
})

test('[K4] a loop that waits is thrown what stopped the subscriber', async () => {
  const page = openPage()
  const next = eventsOf(page.subscriber, '*').next()
  page.subscriber.connect()
  await page.settle()
  page.network.last.answer(404)
  await expect(next).rejects.toMatchObject({ code: 'NOT_FOUND' })
})

test('[K7] a loop that is left, or whose signal is aborted, listens no more', async () => {
  const page = openPage()
  const aborter = new AbortController()
  const left = eventsOf(page.subscriber, '*', { limit: 1 })
  const aborted = eventsOf(page.subscriber, '*', { signal: aborter.signal })
  const stream = await page.open(connected({ id: at(0) }), updated('a', at(1)))
  for await (const event of left) {
    expect(event.id).toBe('a')
    break
  }
  aborter.abort()
  await page.send(stream, updated('b', at(2)), updated('c', at(3)))
  expect(await left.next()).toEqual({ done: true, value: undefined })
  expect([(await aborted.next()).value?.id, (await aborted.next()).done]).toEqual(['a', true])
  expect((await eventsOf(page.subscriber, '*', { signal: aborter.signal }).next()).done).toBe(true)
})

test('[K7] a loop and ready() end with close() also where the stream was paused, and with the signal', async () => {
  for (const closes of ['close', 'signal'] as const) {
    const aborter = new AbortController()
    const page = openPage({ signal: aborter.signal })
    await page.open(connected({ id: at(0) }))
    const next = eventsOf(page.subscriber, '*').next()
    page.subscriber.pause('disabled')
    const live = ready(page.subscriber)
    if (closes === 'close') page.subscriber.close()
    else aborter.abort()
    await expect(live).rejects.toMatchObject({ code: 'CLOSED' })
    expect(await next).toEqual({ done: true, value: undefined })
  }
})

test('[K4] whoever begins to wait when the server has stopped the subscriber already is told so', async () => {
  const page = openPage()
  page.subscriber.connect()
  await page.settle()
  page.network.last.answer(403)
  await page.settle()
  await expect(ready(page.subscriber)).rejects.toMatchObject({ code: 'FORBIDDEN' })
  const events = eventsOf(page.subscriber, '*')
  await expect(events.next()).rejects.toMatchObject({ code: 'FORBIDDEN' })
  const again = eventsOf(page.subscriber, '*')
  await page.open(connected({ id: at(0) }), updated('a', at(1)))
  expect(await again.next()).toMatchObject({ value: { id: 'a' } })
})

test('[K6] whoever begins to wait right before a connect() in a hidden page is not told of an end', async () => {
  const network = new Network()
  let listener: PageListener | undefined
  let isHidden = false
  const ports = {
    clock: new VirtualClock(),
    wakes: () => () => {},
    page: (to: PageListener) => {
      listener = to
      to.hidden(isHidden)
      return () => {}
    },
  }
  const subscriber = new EventSubscriber('https://app.test/events', { fetch: network.fetch, hidden: 'close' }, ports)
  subscriber.connect()
  await settle()
  subscriber.close()
  isHidden = true
  const next = eventsOf(subscriber, '*').next()
  const live = ready(subscriber)
  subscriber.connect()
  await settle()
  listener?.hidden(false)
  await settle()
  network.last.stream(connected({ id: at(1) }), updated('a', at(2)))
  await live
  expect((await next).value).toMatchObject({ id: 'a' })
  subscriber.close()
})
