import type { ServerResponse } from 'node:http'
import { expect, test } from 'vitest'
import { at, connected, named, updated } from '../support/frames'
import { program } from '../support/program'
import { serve, streamHead, until } from '../support/server'

/** A program without what React Native has not got. It ends by itself when it has closed. */
const run = program('react-native-program.ts')
const start = (what: 'own' | 'endless' | 'expo' | 'bare', url: string) => run(what, url)

test('[React Native] with the fetch of Expo, whose reader does nothing but read, and none of the globals that it lacks: live, resumed, closed', async () => {
  const streams: ServerResponse[] = []
  const { url, requests } = await serve((_, response, number) => {
    streams.push(response)
    streamHead(response)
    response.write(connected({ id: at(number - 1), heartbeatMs: 0, resume: number === 1 ? 'live' : 'replayed' }))
    response.write(updated(`doc_${number}`, at(number)))
  })
  const running = start('expo', url)
  await until(() => expect(running.lines.join()).toContain('doc_1'))
  streams[0]?.destroy()
  await until(() => expect(running.lines.join()).toContain('doc_2'))
  expect(requests.map(({ headers }) => headers['last-event-id'])).toEqual([undefined, at(1)])
  streams[1]?.write(named('program:close', null, at(3)))
  expect([await running.ended, running.complaints]).toEqual([0, ''])
  expect(running.lines.at(-1)).toBe('disconnected')
})

test("[React Native] its own fetch has no answer before the stream's end: the error names fetch", async () => {
  const { url } = await serve((_, response) => {
    streamHead(response)
    response.write(connected({ id: at(0) }))
  })
  const running = start('endless', url)
  expect([await running.ended, running.complaints]).toEqual([0, ''])
  expect(running.lines).toEqual([
    'connecting',
    'CONNECT_TIMEOUT no "connected" in 45000 ms: held back by a proxy, or by fetch? ',
    'disconnected',
  ])
})

test('[React Native] nor is there a body then: the error names the fetch to take', async () => {
  const { url } = await serve((_, response) => {
    streamHead(response)
    response.end(connected({ id: at(0) }))
  })
  const running = start('own', url)
  expect([await running.ended, running.complaints]).toEqual([0, ''])
  expect(running.lines).toEqual([
    'connecting',
    'NOT_A_STREAM status 200: fetch gives no body; expo/fetch does ',
    'disconnected',
  ])
})

test('[React Native] before 0.85 and without Expo there is no TextDecoder: the cause says so', async () => {
  const { url } = await serve((_, response) => {
    streamHead(response)
    response.write(connected({ id: at(0) }))
  })
  const running = start('bare', url)
  expect([await running.ended, running.complaints]).toEqual([0, ''])
  expect(running.lines).toEqual([
    'connecting',
    'NETWORK the request or the stream broke TextDecoder is not defined',
    'disconnected',
  ])
})
