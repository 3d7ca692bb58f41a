import { expect, onTestFinished, test, vi } from 'vitest'
import type { SubscriberError, SubscriberOptions } from '../../src/index'
import { at, connected, heartbeat, resync, updated } from '../support/frames'
import { openPage } from '../support/page'

test('[K4] shouldRetry overrides the status table in both directions, and hears what would be done', async () => {
  const asked: [string, number | undefined, boolean, number][] = []
  const page = openPage({
    shouldRetry: ({ code, status, retrying }, { attempt }) => {
      asked.push([code, status, retrying, attempt])
      return status === 404 ? true : status === 500 ? false : undefined
    },
  })
  page.subscriber.connect()
  await page.settle()
  page.network.last.answer(404)
  const second = await page.next()
  second.answer(503)
  const third = await page.next()
  third.answer(500)
  await page.clock.advance(600_000)
  expect(asked).toEqual([
    ['NOT_FOUND', 404, false, 1],
    ['UNAVAILABLE', 503, true, 2],
    ['UNAVAILABLE', 500, true, 3],
  ])
  expect(page.errors.map(({ status, retrying }) => [status, retrying])).toEqual([
    [404, true],
    [503, true],
    [500, false],
  ])
  expect([page.network.exchanges.length, page.subscriber.state, page.clock.pending]).toEqual([3, 'disconnected', 0])
})

test('[S8] a shouldRetry that throws is reported, and leaves it as it is', async () => {
  const cause = new Error('mine')
  const page = openPage({
    shouldRetry: () => {
      throw cause
    },
  })
  page.subscriber.connect()
  await page.settle()
  page.network.last.answer(403)
  await page.settle()
  expect(page.errors).toMatchObject([
    { code: 'HANDLER_FAILED', cause },
    { code: 'FORBIDDEN', retrying: false },
  ])
})

test.each([
  ['rejects', () => Promise.reject(new Error('mine'))],
  ['is answered', () => Promise.resolve(true)],
])(
  '[S8] an async shouldRetry that %s is reported, leaves it as it is, and leaves no rejection to nobody',
  async (_, shouldRetry) => {
    const unhandled = vi.fn()
    process.on('unhandledRejection', unhandled)
    onTestFinished(() => void process.off('unhandledRejection', unhandled))
    // What JavaScript lets through.
    const page = openPage({ shouldRetry: shouldRetry as unknown as SubscriberOptions['shouldRetry'] })
    page.subscriber.connect()
    await page.settle()
    page.network.last.answer(403)
    await page.settle()
    // Unhandled rejections are told of before the next turn of the loop.
    await new Promise(setImmediate)
    expect(page.errors).toMatchObject([
      { code: 'HANDLER_FAILED', cause: expect.any(Promise) },
      { code: 'FORBIDDEN', retrying: false },
    ])
    expect([page.subscriber.state, unhandled.mock.calls]).toEqual(['disconnected', []])
  },
)

test('[K5] the fifth stream in a row that ends at once is named as a loop, with its likely causes; the delays go on growing', async () => {
  const page = openPage()
  page.subscriber.connect()
  await page.settle()
  for (let i = 0; i < 7; i++) {
    const exchange = page.network.last
    exchange.stream(connected({ id: at(0) })).end()
    await page.next()
  }
  expect(page.codes).toEqual([...Array(4).fill('STREAM_ENDED'), ...Array(3).fill('STREAM_LOOP')])
  expect(page.errors.at(-1)?.message).toMatch(/proxy.*route that closes/)
  const stream = page.network.last.stream(connected({ id: at(0) }))
  await page.clock.advance(11_000)
  await page.send(stream, heartbeat(at(0)))
  stream.end()
  await page.settle()
  expect(page.codes.at(-1)).toBe('STREAM_ENDED')
})

test('another user: no cursor of the one before, and resync: identity before any event', async () => {
  let user = 'ada'
  const page = openPage({ since: at(4), identity: () => user })
  await page.open(connected({ id: at(4) }), updated('a', at(5), { version: 9 }))
  expect([page.network.last.header('last-event-id'), page.resyncs]).toEqual([at(4), []])
  user = 'bob'
  page.subscriber.reconnect()
  await page.settle()
  expect(page.network.last.header('last-event-id')).toBeUndefined()
  page.network.last.stream(connected({ id: at(7), projectId: 'proj_bob' }), updated('a', at(8), { version: 1 }))
  await page.settle()
  expect(page.story.slice(-3)).toEqual(['resync:identity', 'connected', 'a'])
  expect(page.events.at(-1)?.projectId).toBe('proj_bob')
})

test('whoever signs in after nobody is another user, also where an identity() without types says null for nobody', async () => {
  let user: string | null = null
  const page = openPage({ identity: () => user as string })
  await page.open(connected({ id: at(4) }))
  user = 'bob'
  page.subscriber.reconnect()
  await page.settle()
  expect(page.network.last.header('last-event-id')).toBeUndefined()
  page.network.last.stream(connected({ id: at(7) }))
  await page.settle()
  expect(page.resyncs).toEqual(['identity'])
})

test('the same user keeps the cursor; so does a page that never says who looks at it', async () => {
  for (const options of [{ identity: () => 'ada' }, { identity: 'ada' }, {}]) {
    const page = openPage(options)
    await page.open(connected({ id: at(4) }))
    page.subscriber.reconnect()
    await page.settle()
    expect(page.network.last.header('last-event-id')).toBe(at(4))
    page.subscriber.close()
  }
})

test('[K8] an identity() that throws is a failed attempt, and no rejection', async () => {
  const cause = new Error('mine')
  const identity = vi.fn<() => string>().mockImplementationOnce(() => {
    throw cause
  })
  const page = openPage({ identity: identity.mockReturnValue('ada') })
  page.subscriber.connect()
  await page.settle()
  expect(page.errors).toMatchObject([{ code: 'HEADERS_FAILED', cause }])
  await page.next()
  expect(page.network.exchanges).toHaveLength(1)
})

test('[K7] a signal that is aborted closes it for good, and no listener is left', async () => {
  const aborter = new AbortController()
  const remove = vi.spyOn(aborter.signal, 'removeEventListener')
  const page = openPage({ signal: aborter.signal })
  await page.open(connected({ id: at(0) }))
  aborter.abort()
  expect([page.network.open, page.subscriber.state, page.clock.pending]).toEqual([0, 'disconnected', 0])
  expect(remove).toHaveBeenCalledTimes(1)
  page.subscriber.connect()
  page.subscriber.reconnect()
  await page.settle()
  expect(page.network.exchanges).toHaveLength(1)
})

test('dump() has the last 100 steps, and nothing secret', async () => {
  const page = openPage({ headers: { authorization: 'Bearer secret' } })
  const stream = await page.open(connected({ id: at(0) }), updated('payload', at(1)), resync('overflow', at(2)))
  stream.fail(new Error('secret'))
  await page.settle()
  const [first, second, third] = page.subscriber.dump()
  expect(first).toMatchObject({ from: 'closed', signal: 'connect', to: 'requesting', attempt: 1 })
  expect(second).toMatchObject({ from: 'requesting', signal: 'live', to: 'streaming' })
  expect(third).toMatchObject({ from: 'streaming', signal: 'lost', to: 'waiting', error: 'NETWORK' })
  for (let i = 0; i < 120; i++) page.subscriber.reconnect()
  const dump = page.subscriber.dump()
  expect(dump).toHaveLength(100)
  expect(JSON.stringify(dump)).not.toMatch(/secret|payload|app\.test/)
  page.subscriber.close()
})

test('an error that shouldRetry was given is the one that onError is told, unless it decides otherwise', async () => {
  const seen: SubscriberError[] = []
  const page = openPage({ shouldRetry: (error) => void seen.push(error) as undefined })
  page.subscriber.connect()
  await page.settle()
  page.network.last.answer(503)
  await page.settle()
  expect(page.errors[0]).toBe(seen[0])
})

test('dump() is in order where an onError handler closes', async () => {
  const page = openPage()
  page.subscriber.onError(() => page.subscriber.close())
  const stream = await page.open(connected({ id: at(0) }))
  stream.end()
  await page.settle()
  const steps = page.subscriber.dump().map(({ from, signal, to, error }) => [from, signal, to, error])
  expect(steps.slice(2)).toEqual([
    ['streaming', 'lost', 'waiting', 'STREAM_ENDED'],
    ['waiting', 'close', 'closed', 'STREAM_ENDED'],
  ])
})
