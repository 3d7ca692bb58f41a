import { expect, test, vi } from 'vitest'
import { at, connected, named, resync, updated } from '../support/frames'
import { openPage } from '../support/page'

type Page = ReturnType<typeof openPage>

/** Nothing runs any more, and nothing is told any more. */
async function expectSilence(page: Page): Promise<void> {
  await page.settle()
  const before = page.story.length
  expect(page.subscriber.state).toBe('disconnected')
  expect([page.network.open, page.clock.pending, page.listening]).toEqual([0, 0, 0])
  const requests = page.network.exchanges.length
  for (const exchange of page.network.exchanges) exchange.stream(connected({ id: at(0) }), updated('late', at(99)))
  await page.clock.advance(600_000)
  expect(page.story.slice(before)).toEqual([])
  expect(page.network.exchanges).toHaveLength(requests)
}

test('[K7] closed before anything was asked for, nothing is asked for', async () => {
  const page = openPage()
  page.subscriber.connect()
  page.subscriber.close()
  await expectSilence(page)
  expect(page.network.exchanges).toHaveLength(0)
})

test('[K9] connect, close and connect in one turn make one request', async () => {
  let asked = 0
  const page = openPage({ headers: () => ({ attempt: String(++asked) }) })
  page.subscriber.connect()
  page.subscriber.close()
  page.subscriber.connect()
  await page.settle()
  expect([page.network.exchanges.length, asked]).toEqual([1, 1])
})

test('[K7] closed while headers are fetched', async () => {
  let give: (fields: Record<string, string>) => void = () => {}
  const page = openPage({ headers: () => new Promise((resolve) => (give = resolve)) })
  page.subscriber.connect()
  await page.settle()
  expect(page.clock.pending).toBe(1)
  page.subscriber.close()
  give({})
  await expectSilence(page)
  expect(page.network.exchanges).toHaveLength(0)
})

test('[K7] closed while headers are fetched that then fail', async () => {
  let fail: (error: Error) => void = () => {}
  const page = openPage({ headers: () => new Promise((_, reject) => (fail = reject)) })
  page.subscriber.connect()
  await page.settle()
  page.subscriber.close()
  fail(new Error('too late'))
  await expectSilence(page)
  expect(page.errors).toEqual([])
})

test('[K7] closed before the answer', async () => {
  const page = openPage()
  page.subscriber.connect()
  await page.settle()
  page.subscriber.close()
  await expectSilence(page)
  expect(page.network.last.released).toBe(true)
})

test('[K7] closed while the stream is open', async () => {
  const page = openPage()
  const stream = await page.open(connected({ id: at(0) }))
  page.subscriber.close()
  await expectSilence(page)
  expect(stream.cancelled).toBe(true)
})

test('[K7] closed during backoff', async () => {
  const page = openPage()
  page.subscriber.connect()
  await page.settle()
  page.network.last.fail(new Error('down'))
  await page.settle()
  expect(page.clock.pending).toBe(1)
  page.subscriber.close()
  await expectSilence(page)
})

test('[K7] closed twice, and before it was ever connected', async () => {
  const page = openPage()
  page.subscriber.close()
  await page.open(connected({ id: at(0) }))
  page.subscriber.close()
  page.subscriber.close()
  expect(page.states).toEqual(['connecting', 'connected', 'disconnected'])
  await expectSilence(page)
})

test('[K7] closed in a handler: of the frames that came with it none is delivered', async () => {
  const page = openPage()
  page.subscriber.subscribe('document:b', () => page.subscriber.close())
  await page.open(connected({ id: at(0) }) + ['a', 'b', 'c', 'd'].map((id, i) => updated(id, at(i + 1))).join(''))
  expect(page.ids).toEqual(['a', 'b'])
  expect(page.subscriber.cursor).toBe(at(2))
  await expectSilence(page)
})

test('[K7] the other handlers of the event that is being delivered still get it', async () => {
  const page = openPage()
  let calls = 0
  page.subscriber.subscribe('*', () => page.subscriber.close())
  page.subscriber.subscribe('document:*', () => calls++)
  await page.open(connected({ id: at(0) }) + updated('a', at(1)))
  expect(calls).toBe(1)
  await expectSilence(page)
})

test('[K7] closed in an onResync handler', async () => {
  const page = openPage({ since: at(1) })
  page.subscriber.onResync(() => page.subscriber.close())
  await page.open(connected({ resume: 'resync' }) + resync('expired', at(9)) + updated('a', at(10)))
  expect([page.events, page.states]).toEqual([[], ['connecting', 'disconnected']])
  await expectSilence(page)
})

test.each(['connecting', 'connected', 'reconnecting'] as const)(
  '[K7] closed in an onState handler at %s',
  async (when) => {
    const page = openPage()
    page.subscriber.onState((state) => {
      if (state === when) page.subscriber.close()
    })
    page.subscriber.connect()
    await page.settle()
    page.network.exchanges[0]?.stream(connected({ id: at(0) }) + updated('a', at(1))).end()
    await page.settle()
    expect(page.states.at(-1)).toBe('disconnected')
    await expectSilence(page)
  },
)

test('[K7] closed in an onError handler', async () => {
  const page = openPage()
  page.subscriber.onError(() => page.subscriber.close())
  page.subscriber.connect()
  await page.settle()
  page.network.last.fail(new Error('down'))
  await expectSilence(page)
  expect(page.states).toEqual(['connecting', 'disconnected'])
})

test('[K7] closed in an onError handler for a frame that cannot be read', async () => {
  const page = openPage()
  page.subscriber.onError(() => page.subscriber.close())
  await page.open(
    connected({ id: at(0) }) +
      updated('held') +
      `event: entity.updated\nid: ${at(2)}\ndata: x\n\n` +
      updated('b', at(3)),
  )
  expect(page.events).toEqual([])
  await expectSilence(page)
})

test('[L5] closed and connected in a handler: the old stream is gone before the new one begins', async () => {
  const page = openPage()
  page.subscriber.on('session:changed', () => {
    page.subscriber.close()
    page.subscriber.connect()
  })
  await page.open(connected({ id: at(0) }) + named('session:changed', null, at(1)) + updated('old', at(2)))
  expect([page.network.exchanges.length, page.network.open, page.events.length]).toEqual([2, 1, 1])
  expect(page.network.last.header('last-event-id')).toBe(at(1))
})

test('an answer that comes after the request was given up is let go', async () => {
  const page = openPage()
  page.subscriber.connect()
  await page.settle()
  const exchange = page.network.last
  // A `fetch` that does not care about `signal`.
  Object.defineProperty(exchange, 'fail', { value: () => {} })
  page.subscriber.close()
  exchange.stream(connected({ id: at(0) }))
  await page.settle()
  expect(exchange.cancelled).toBe(true)
  expect(page.states).toEqual(['connecting', 'disconnected'])
})

test('a listener that closes spares the others a state that is no longer so', async () => {
  const page = openPage()
  const states: string[] = []
  page.subscriber.onState((state) => {
    if (state === 'connected') page.subscriber.close()
  })
  page.subscriber.onState((state) => states.push(state))
  await page.open(connected({ id: at(0) }))
  expect(states).toEqual(['connecting', 'disconnected'])
})

test('[K7] disposing of it closes it; a platform without Symbol.dispose is no error', async () => {
  const page = openPage()
  await page.open(connected({ id: at(0) }))
  page.subscriber[Symbol.dispose]()
  expect([page.network.open, page.subscriber.state, page.clock.pending]).toEqual([0, 'disconnected', 0])
  const { dispose: _, ...symbols } = Object.getOwnPropertyDescriptors(Symbol)
  vi.stubGlobal(
    'Symbol',
    Object.defineProperties(() => undefined, symbols),
  )
  const without = openPage().subscriber
  vi.unstubAllGlobals()
  expect(Object.getOwnPropertySymbols(without)).toEqual([])
})
