import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { at, connected, named, updated } from '../support/frames'
import { serve, streamHead, until } from '../support/server'

const source = (file: string) => fileURLToPath(new URL(`../../${file}`, import.meta.url))
const folder = mkdtempSync(path.join(tmpdir(), 'entitycast-react-native-'))
const program = path.join(folder, 'program.mjs')

beforeAll(() =>
  build({
    entryPoints: [source('test/integration/react-native-program.ts')],
    outfile: program,
    bundle: true,
    platform: 'node',
    format: 'esm',
    alias: {
      '@entitycast/sse-protocol': source('../sse-protocol/src/index.ts'),
      '@entitycast/sse-client': source('src/index.ts'),
    },
  }),
)
afterAll(() => rmSync(folder, { recursive: true }))

/** A program without what React Native has not got, and what it says. It ends by itself when it has closed. */
function start(what: 'own' | 'endless' | 'expo' | 'bare', url: string) {
  const child = spawn(process.execPath, [program, what, url])
  const said = { out: '', err: '' }
  child.stdout.on('data', (text) => {
    said.out += text
  })
  child.stderr.on('data', (text) => {
    said.err += text
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const lines = () => said.out.split('\n').slice(0, -1)
  return {
    lines,
    says: (line: string) => until(() => expect(lines(), said.err).toContain(line)),
    ended: once(child, 'close').then(([code]) => ({ code, err: said.err })),
  }
}
const well = { code: 0, err: '' }

test('[React Native] with the fetch of Expo, whose reader does nothing but read, and none of the globals that it lacks: live, resumed, closed', async () => {
  const streams: ServerResponse[] = []
  const { url, requests } = await serve((_, response, number) => {
    streams.push(response)
    streamHead(response)
    response.write(connected({ id: at(number - 1), heartbeatMs: 0, resume: number === 1 ? 'live' : 'replayed' }))
    response.write(updated(`doc_${number}`, at(number)))
  })
  const running = start('expo', url)
  await until(() => expect(running.lines().join()).toContain('doc_1'))
  streams[0]?.destroy()
  await until(() => expect(running.lines().join()).toContain('doc_2'))
  expect(requests.map(({ headers }) => headers['last-event-id'])).toEqual([undefined, at(1)])
  streams[1]?.write(named('program:close', null, at(3)))
  expect(await running.ended).toEqual(well)
  expect(running.lines().at(-1)).toBe('disconnected')
})

test("[React Native] its own fetch has no answer before the stream's end: the error names fetch", async () => {
  const { url } = await serve((_, response) => {
    streamHead(response)
    response.write(connected({ id: at(0) }))
  })
  const running = start('endless', url)
  expect(await running.ended).toEqual(well)
  expect(running.lines()).toEqual([
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
  expect(await running.ended).toEqual(well)
  expect(running.lines()).toEqual([
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
  expect(await running.ended).toEqual(well)
  expect(running.lines()).toEqual([
    'connecting',
    'NETWORK the request or the stream broke TextDecoder is not defined',
    'disconnected',
  ])
})
