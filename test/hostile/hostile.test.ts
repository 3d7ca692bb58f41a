import { readFileSync } from 'node:fs'
import { type Clock, EventSubscriber, type StreamRequestInit, type StreamResponse } from '@entitycast/sse-client'
import { createFakeServer } from '@entitycast/sse-client/testing'
import { expect, test } from 'vitest'
import { AGAIN_MS, type Hostile, servers } from './servers'

const encoder = new TextEncoder()

/** The same answer as over a socket, in virtual time. */
function respond(
  { status, headers = {}, text = '', after }: Hostile,
  clock: Clock,
  init: StreamRequestInit,
): StreamResponse {
  const fields = new Headers(headers)
  if (status === 0) throw new TypeError('fetch failed')
  let isOver = false
  const chunks = text === '' ? [] : [text]
  const ended = new Promise<void>((resolve) => init.signal.addEventListener('abort', () => resolve()))
  const read = async (): Promise<{ done: boolean; value?: Uint8Array }> => {
    const next = chunks.shift()
    if (next !== undefined) return { done: false, value: encoder.encode(next) }
    if (isOver || after === 'end') return { done: true }
    if (after === 'silence') await ended
    else {
      let cancelTimer = () => {}
      const again = new Promise<void>((resolve) => {
        cancelTimer = clock.after(AGAIN_MS, resolve)
      })
      await Promise.race([ended, again])
      cancelTimer()
    }
    if (init.signal.aborted || after === 'silence') return { done: true }
    return { done: false, value: encoder.encode(after.again) }
  }
  const cancel = async () => {
    isOver = true
  }
  return { status, headers: fields, body: { getReader: () => ({ read, cancel }), cancel } }
}

/** Ours, for so long. Chance is always in the middle. */
async function run(hostile: Hostile, ms: number) {
  const { clock } = createFakeServer()
  const sent: (string | undefined)[] = []
  const told: string[] = []
  const fetch = async (_: string, init: StreamRequestInit) => {
    sent.push(init.headers['last-event-id'])
    return respond(hostile, clock, init)
  }
  const subscriber = new EventSubscriber('https://hostile.test/events', { fetch }, { clock, random: () => 0.5 })
  subscriber.onError(({ code }) => told.push(code))
  subscriber.onResync(({ reason }) => {
    told.push(`resync: ${reason}`)
  })
  subscriber.connect()
  await clock.advance(ms)
  const { state } = subscriber
  const { length } = sent
  subscriber.close()
  await clock.advance(0)
  return { requests: length, state, told: [...new Set(told)], cursor: sent.at(-1), pending: clock.pending }
}

type Seen = Awaited<ReturnType<typeof run>>

/** With chance in the middle the requests of a growing delay are at 0, 0.5, 1.5, 3.5 and 7.5 s. */
const retried = (...told: string[]): Partial<Seen> => ({ requests: 5, state: 'reconnecting', told })
const stopped = (told: string, requests = 1): Partial<Seen> => ({ requests, state: 'disconnected', told: [told] })
const ENDED = ['STREAM_ENDED', 'resync: bad-cursor', 'STREAM_LOOP']

const EXPECTED: Readonly<Record<string, Partial<Seen>>> = {
  'clean end': { ...retried(...ENDED), cursor: 'log.2' },
  '500': retried('UNAVAILABLE'),
  '429': retried('UNAVAILABLE'),
  '429 with Retry-After: 4': { ...retried('UNAVAILABLE'), requests: 3 },
  '503': retried('UNAVAILABLE'),
  '503 with Retry-After: 4': { ...retried('UNAVAILABLE'), requests: 3 },
  '401': stopped('UNAUTHORIZED', 2),
  '403': stopped('FORBIDDEN'),
  '404': stopped('NOT_FOUND'),
  '204': stopped('NO_CONTENT'),
  HTML: retried('NOT_A_STREAM'),
  // Three heartbeats of the second that it has promised; then it is asked again, and answers.
  silence: { requests: 4, state: 'connected', told: ['SILENT'], cursor: 'log.1' },
  'id-only frames, then the end': { ...retried(...ENDED), cursor: 'log.5' },
  'non-ASCII ids, then the end': { ...retried('INVALID_CURSOR', ...ENDED), cursor: undefined },
  'a line without end': { requests: 5, told: ['TOO_LARGE'], cursor: 'log.1' },
  '`data:` lines without end': { requests: 5, told: ['TOO_LARGE'], cursor: 'log.1' },
  'immediate close': retried('NETWORK'),
}

test.each(servers)(
  '[K2, K4, K5] for 10 s a server gives $name: few requests, a true state, and the application is told',
  async (hostile) => {
    const seen = await run(hostile, 10_000)
    expect(seen).toMatchObject(EXPECTED[hostile.name] ?? { name: 'it has no row here' })
    expect(seen.pending).toBe(0)
  },
)

test('[docs] docs/hostile-servers.md has a row for each server, and ours in it', () => {
  const text = readFileSync(new URL('../../docs/hostile-servers.md', import.meta.url), 'utf8')
  const [, table = ''] = text.split(/<!-- \/?measured -->/)
  const names = [...table.matchAll(/^\| \*\*(.+?)\*\* \|/gm)].map(([, name]) => name)
  expect(names).toEqual(servers.map(({ name }) => name))
  expect(table.match(/\| ours \|/g)).toHaveLength(servers.length)
})
