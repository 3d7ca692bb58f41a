import { expect, test } from 'vitest'
import { judge, parseRetryAfter } from '../../src/retry/answer'

const NOW = Date.UTC(2026, 0, 1)

function answer(status: number, fields: Record<string, string> = {}, extra: object = {}) {
  return { status, headers: { get: (name: string) => fields[name] ?? null }, body: null, ...extra }
}

test.each([
  'text/event-stream',
  'text/event-stream; charset=utf-8',
  'Text/Event-Stream;charset=UTF-8',
  ' text/event-stream ',
])('[A1] 200 with %j is read', (type) => {
  expect(judge(answer(200, { 'content-type': type }), false, NOW)).toBeUndefined()
})

test.each(['text/html', 'text/event-streams', 'application/json', undefined])(
  '[K4] 200 with the type %j is retried',
  (type) => {
    const fields: Record<string, string> = type === undefined ? {} : { 'content-type': type }
    expect(judge(answer(200, fields), false, NOW)).toMatchObject({ action: 'retry', code: 'NOT_A_STREAM' })
  },
)

test.each([
  [204, 'NO_CONTENT'],
  [301, 'REDIRECTED'],
  [302, 'REDIRECTED'],
  [304, 'REDIRECTED'],
  [307, 'REDIRECTED'],
  [400, 'REFUSED'],
  [403, 'FORBIDDEN'],
  [404, 'NOT_FOUND'],
  [405, 'REFUSED'],
  [406, 'REFUSED'],
  [409, 'REFUSED'],
  [410, 'REFUSED'],
  [431, 'REFUSED'],
  [451, 'REFUSED'],
])('[A5] %i stops with %s', (status, code) => {
  expect(judge(answer(status), false, NOW)).toEqual({ action: 'stop', code })
})

test.each([{ redirected: true }, { type: 'opaqueredirect', status: 0 }])(
  '[A5] what was or would be redirected stops: %j',
  (extra) => {
    expect(judge(answer(200, { 'content-type': 'text/event-stream' }, extra), false, NOW)).toMatchObject({
      code: 'REDIRECTED',
    })
  },
)

test('[A4] 401 asks for fresh headers', () => {
  expect(judge(answer(401), false, NOW)).toEqual({ action: 'refresh', code: 'UNAUTHORIZED' })
})

test.each([409, 431])('[A6] %i to a request with a cursor drops it', (status) => {
  expect(judge(answer(status), true, NOW)).toEqual({ action: 'forget', code: 'CURSOR_REFUSED' })
})

test.each([202, 206, 408, 425, 429, 500, 502, 503, 504, 520, 524, 599])('[A7] %i is retried', (status) => {
  expect(judge(answer(status), true, NOW)).toEqual({ action: 'retry', code: 'UNAVAILABLE', minimumMs: 0 })
})

test.each([
  ['7', 7_000],
  [' 7 ', 7_000],
  ['0', 0],
  ['Thu, 01 Jan 2026 00:01:00 GMT', 60_000],
  ['Wed, 31 Dec 2025 23:00:00 GMT', 0],
  ['-5', 0],
  ['soon', 0],
  ['', 0],
  [null, 0],
])('[A7] Retry-After %j is %i ms', (value, ms) => {
  expect(parseRetryAfter(value, NOW)).toBe(ms)
})
