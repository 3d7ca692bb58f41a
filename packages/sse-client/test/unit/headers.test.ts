import { expect, test } from 'vitest'
import type { HeadersContext, SubscriberOptions } from '../../src/index'
import { at, connected } from '../support/frames'
import { openPage } from '../support/page'

async function sent(options: SubscriberOptions): Promise<Record<string, string>> {
  const page = openPage(options)
  page.subscriber.connect()
  await page.settle()
  const { headers } = page.network.last.init
  page.subscriber.close()
  return headers
}

test('headers may be an object, pairs, Headers, or a function that returns one of them', async () => {
  const expected = { accept: 'text/event-stream', authorization: 'Bearer x' }
  expect(await sent({ headers: { Authorization: 'Bearer x' } })).toEqual(expected)
  expect(await sent({ headers: [['Authorization', 'Bearer x']] })).toEqual(expected)
  expect(await sent({ headers: new Headers({ Authorization: 'Bearer x' }) })).toEqual(expected)
  expect(await sent({ headers: async () => new Map([['Authorization', 'Bearer x']]) })).toEqual(expected)
})

test('[R5] what the protocol says wins over what the application gives, however it is written', async () => {
  expect(
    await sent({
      projectId: 'p',
      since: at(4),
      headers: { ACCEPT: '*/*', 'X-PROJECT-ID': 'q', 'Last-Event-Id': 'mine' },
    }),
  ).toEqual({
    accept: 'text/event-stream',
    'x-project-id': 'p',
    'last-event-id': at(4),
  })
})

test('headers are asked for before each attempt, with its number since the last stream that has held', async () => {
  const asked: HeadersContext[] = []
  const page = openPage({ headers: (context) => ({ n: String(asked.push(context)) }) })
  page.subscriber.connect()
  for (let i = 0; i < 2; i++) (await page.next()).fail(new Error('down'))
  const stream = await page.reopen(connected({ id: at(0) }))
  expect(stream.header('n')).toBe('3')
  await page.clock.advance(10_000)
  stream.end()
  await page.next()
  expect(asked.map(({ attempt }) => attempt)).toEqual([1, 2, 3, 1])
})

test('[K7] headers that fail are an attempt that failed: told, and retried', async () => {
  const cause = new Error('no token')
  let calls = 0
  const page = openPage({
    headers: async () => {
      if (calls++ < 2) throw cause
      return {}
    },
  })
  page.subscriber.connect()
  await page.next()
  expect(page.errors).toMatchObject([
    { code: 'HEADERS_FAILED', cause, retrying: true },
    { code: 'HEADERS_FAILED', cause },
  ])
})

test('a header that is not allowed is told, and nothing is sent', async () => {
  const page = openPage({ headers: { 'X-Name': 'line\nbreak' } })
  page.subscriber.connect()
  await page.clock.advance(100)
  expect([page.codes, page.network.exchanges]).toEqual([['HEADERS_FAILED'], []])
  page.subscriber.close()
})

test('headers have 10 s; an answer after that is dropped', async () => {
  const answers: ((fields: Record<string, string>) => void)[] = []
  const page = openPage({ headers: () => new Promise((resolve) => answers.push(resolve)) })
  page.subscriber.connect()
  await page.clock.advance(9_999)
  expect(page.errors).toEqual([])
  await page.clock.advance(1)
  expect(page.codes).toEqual(['HEADERS_FAILED'])
  answers[0]?.({})
  await page.settle()
  expect(page.network.exchanges).toEqual([])
  await page.clock.advance(1_000)
  answers[1]?.({})
  await page.settle()
  expect(page.network.exchanges).toHaveLength(1)
})

test('[K4] whoever could not fetch a fresh token after a 401 is asked for a fresh one again, and the second 401 stops', async () => {
  const reasons: HeadersContext['reason'][] = []
  const page = openPage({
    headers: async ({ reason }) => {
      reasons.push(reason)
      if (reasons.length === 2) throw new Error('the token server is away')
      return {}
    },
  })
  page.subscriber.connect()
  await page.settle()
  page.network.last.answer(401)
  await page.next()
  expect(reasons).toEqual([undefined, 'unauthorized', 'unauthorized'])
  page.network.last.answer(503)
  await page.next()
  expect(reasons.at(-1)).toBeUndefined()
  page.network.last.answer(401)
  await page.settle()
  expect(page.codes).toEqual(['HEADERS_FAILED', 'UNAVAILABLE', 'UNAUTHORIZED'])
})
