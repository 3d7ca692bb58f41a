import { createServer, type ServerResponse } from 'node:http'
import { expect, test } from 'vitest'
import { ownPort } from '../../../sse-server/test/support/ports'
import { at, connected, named } from '../support/frames'
import { program } from '../support/program'
import { type Served, serve, streamHead, until } from '../support/server'

const run = program('node-program.ts')
const start = (what: 'follow' | 'again' | 'source', url: string, alive: boolean | 'default') =>
  run(what, url, String(alive))

/** A stream that says `connected`, and then nothing more than it is told to. */
async function serveIdle(
  details: Parameters<typeof connected>[0] = {},
): Promise<Served & { streams: ServerResponse[] }> {
  const streams: ServerResponse[] = []
  const served = await serve((_, response) => {
    streams.push(response)
    streamHead(response)
    response.write(connected({ id: at(0), ...details }))
  })
  return Object.assign(served, { streams })
}

test('[keepProcessAlive] false: with an open, idle stream the program ends by itself, and well', async () => {
  const { url, streams } = await serveIdle({ heartbeatMs: 15_000 })
  const running = start('follow', url, false)
  expect([await running.ended, running.lines, running.complaints]).toEqual([0, ['connecting', 'connected'], ''])
  // It has left: the stream was still open when it did.
  expect(streams[0]?.writableEnded).toBe(false)
})

test('[keepProcessAlive] false: nor does the wait for the next attempt', async () => {
  const running = start('follow', `http://127.0.0.1:${await ownPort()}/events`, false)
  expect([await running.ended, running.complaints]).toEqual([0, ''])
  expect(running.lines).toEqual(['connecting', 'NETWORK', 'reconnecting'])
})

test('[keepProcessAlive] false: nor do the watchdog and a renewal that is due', async () => {
  const { url } = await serveIdle({ heartbeatMs: 15_000, expiresInMs: 20_000 })
  const running = start('follow', url, false)
  expect([await running.ended, running.lines, running.complaints]).toEqual([0, ['connecting', 'connected'], ''])
})

test('[keepProcessAlive] false: a refusal, an end and a 503 end it just as well', async () => {
  const answers = [
    (response: ServerResponse) => void response.writeHead(503, { 'Retry-After': '60' }).end('later'),
    (response: ServerResponse) => void response.writeHead(403).end(),
    (response: ServerResponse) => {
      streamHead(response)
      response.end(connected({ id: at(0) }))
    },
  ]
  for (const answer of answers) {
    const { url } = await serve((_, response) => answer(response))
    const running = start('follow', url, false)
    expect([await running.ended, running.complaints]).toEqual([0, ''])
  }
})

test('[keepProcessAlive] false: an EventSource on the same platform', async () => {
  const { url } = await serveIdle()
  const running = start('source', url, false)
  expect([await running.ended, running.lines, running.complaints]).toEqual([0, ['connected'], ''])
})

test('[keepProcessAlive] by default an idle stream keeps the program, until close()', async () => {
  const { url, streams } = await serveIdle({ heartbeatMs: 15_000 })
  const [without] = [start('follow', url, false)]
  const running = start('follow', url, 'default')
  await until(() => expect(running.lines).toEqual(['connecting', 'connected']))
  // Meanwhile one that was started in the same moment, with the other choice, has come to its end.
  await without?.ended
  for (const stream of streams) stream.write(named('program:go-on', null, at(1)))
  await until(() => expect(running.lines).toContain('program:go-on'))
  for (const stream of streams) stream.write(named('program:close', null, at(2)))
  expect([await running.ended, running.lines.slice(2), running.complaints]).toEqual([
    0,
    ['program:go-on', 'program:close', 'disconnected'],
    '',
  ])
})

test('[keepProcessAlive] true: the wait for a server that is down keeps it, until that is back', async () => {
  const port = await ownPort()
  const running = start('follow', `http://127.0.0.1:${port}/events`, true)
  await until(() => expect(running.lines).toContain('reconnecting'))
  const server = createServer((_, response) => {
    streamHead(response)
    response.write(connected({ id: at(0) }))
    response.write(named('program:close', null, at(1)))
  })
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  expect(await running.ended).toBe(0)
  expect(running.lines.slice(-2)).toEqual(['program:close', 'disconnected'])
  await new Promise((resolve) => server.close(resolve))
})

test('[keepProcessAlive] true: a renewal comes while nothing else happens', async () => {
  const { url, streams } = await serveIdle({ heartbeatMs: 15_000, expiresInMs: 1_200 })
  const running = start('follow', url, true)
  await until(() => expect(running.lines).toContain('expiring'))
  await until(() => expect(streams.length).toBeGreaterThan(1))
  for (const stream of streams) stream.write(named('program:close', null, at(1)))
  expect([await running.ended, running.complaints]).toEqual([0, ''])
})

test('[keepProcessAlive] connected and closed twenty times in a row it leaves nothing, and says nothing', async () => {
  const { url, streams } = await serveIdle()
  const running = start('again', url, true)
  await until(() => expect(running.lines.at(-1)).toBe('connected'))
  for (const stream of streams) stream.write(named('program:close', null, at(1)))
  expect([await running.ended, running.complaints]).toEqual([0, ''])
})
