import { expect, test } from 'vitest'
import { at, closing, connected, heartbeat } from '../support/frames'
import { openPage } from '../support/page'

test('[L5] subscribing does not connect; connecting twice makes one request', async () => {
  const page = openPage()
  page.subscriber.subscribe('*', () => {})
  await page.clock.advance(60_000)
  expect(page.network.exchanges).toHaveLength(0)
  page.subscriber.connect()
  page.subscriber.connect()
  await page.settle()
  page.subscriber.connect()
  await page.settle()
  expect(page.network.exchanges).toHaveLength(1)
})

test('[R1] the request is a GET for an event stream, is not cached, and follows no redirect', async () => {
  const page = openPage({ projectId: 'proj_1', channels: ['validation', 'a:b', 'validation'], credentials: 'include' })
  page.subscriber.connect()
  await page.settle()
  const { url, init } = page.network.last
  expect(url).toBe('https://app.test/api/events/stream?channels=validation%2Ca%3Ab')
  expect(init).toMatchObject({ method: 'GET', cache: 'no-store', redirect: 'manual', credentials: 'include' })
  expect(init.headers).toEqual({ accept: 'text/event-stream', 'x-project-id': 'proj_1' })
})

test('[R5] a project id that no header can carry is sent encoded', async () => {
  for (const [projectId, sent] of [
    ['Größe', 'Gr%C3%B6%C3%9Fe'],
    [' a', '%20a'],
    ['a b%', 'a b%'],
  ] as const) {
    const page = openPage({ projectId })
    page.subscriber.connect()
    await page.settle()
    expect(page.network.last.header('x-project-id')).toBe(sent)
  }
})

test('[A7] a first failure leads from connecting to reconnecting, and a success to connected', async () => {
  const page = openPage()
  page.subscriber.connect()
  await page.settle()
  page.network.last.fail(new TypeError('Load failed'))
  await page.settle()
  await page.reopen(connected({ id: at(0) }))
  expect(page.states).toEqual(['connecting', 'reconnecting', 'connected'])
})

test('[W6] the state is connected only when the server has said so', async () => {
  const page = openPage()
  const stream = await page.open(':padding\n\n')
  expect(page.subscriber.state).toBe('connecting')
  await page.send(stream, connected({ id: at(0) }))
  expect(page.subscriber.state).toBe('connected')
})

test.each([
  ['as Chromium says it', new TypeError('Failed to fetch')],
  ['as Firefox says it', new TypeError('NetworkError when attempting to fetch resource.')],
  ['as Safari says it', new TypeError('Load failed')],
  ['as Node says it', new TypeError('terminated')],
  ['without a message', new Error('')],
  ['with text', 'a string'],
  ['with nothing', undefined],
  ['with an abort that nobody asked for', new DOMException('aborted', 'AbortError')],
])('[K8] a request that rejects %s is retried', async (_, reason) => {
  const page = openPage()
  page.subscriber.connect()
  await page.settle()
  page.network.last.fail(reason)
  await page.settle()
  expect([page.codes, page.subscriber.state]).toEqual([['NETWORK'], 'reconnecting'])
  expect(page.errors[0]?.cause).toBe(reason)
  await page.reopen(connected({ id: at(0) }))
  expect(page.subscriber.state).toBe('connected')
})

test('[K8] a fetch that throws at once is retried too', async () => {
  let calls = 0
  const page = openPage({
    fetch: () => {
      calls++
      throw new TypeError('Illegal invocation')
    },
  })
  page.subscriber.connect()
  await page.clock.advance(5_000)
  expect(calls).toBeGreaterThan(1)
  page.subscriber.close()
})

test('[K5] a stream that opens and closes at once, for ever, is asked for ever more rarely', async () => {
  const page = openPage({}, { random: () => 1 })
  page.subscriber.connect()
  const gaps: number[] = []
  let before = page.clock.now()
  for (let i = 0; i < 8; i++) {
    const next = await page.next()
    gaps.push(Math.round((page.clock.now() - before) / 1000))
    before = page.clock.now()
    next.stream(connected({ id: at(0), resume: i === 0 ? 'live' : 'replayed' })).end()
    await page.settle()
  }
  expect(gaps.slice(1)).toEqual([1, 2, 4, 8, 16, 30, 30])
})

test('[L4] after a stream that has held for 10 s the delays begin anew', async () => {
  const page = openPage({}, { random: () => 1 })
  const stream = await page.open(connected({ id: at(0) }))
  stream.end()
  for (let i = 0; i < 4; i++) (await page.reopen(connected({ id: at(0), resume: 'replayed' }))).end()
  await page.reopen(connected({ id: at(0), resume: 'replayed' }))
  await page.clock.advance(10_000)
  page.network.last.end()
  await page.settle()
  const before = page.clock.now()
  await page.next()
  expect(page.clock.now() - before).toBeLessThanOrEqual(1_100)
})

test('[L4] the `retry` of closing is the least that is waited; that of connected is for others', async () => {
  const page = openPage()
  const stream = await page.open(connected({ id: at(0), retry: 60_000 }))
  stream.end()
  await page.clock.advance(500)
  expect(page.network.exchanges).toHaveLength(2)
  page.network.last.stream(connected({ id: at(0), resume: 'replayed' }), closing('shutdown', 20_000))
  await page.clock.advance(20_000)
  expect(page.network.exchanges).toHaveLength(2)
  await page.clock.advance(1_000)
  expect(page.network.exchanges).toHaveLength(3)
})

test('[K4] no connected within 45 s is told with its likely cause, and retried', async () => {
  const page = openPage()
  const stream = await page.open()
  for (let i = 0; i < 4; i++) {
    await page.send(stream, ':padding\n\n')
    await page.clock.advance(11_250)
  }
  expect(page.codes).toEqual(['CONNECT_TIMEOUT'])
  expect(page.errors[0]?.message).toContain('proxy')
  expect(stream.released).toBe(true)
  await page.reopen(connected({ id: at(0) }), heartbeat())
  expect(page.subscriber.state).toBe('connected')
})
