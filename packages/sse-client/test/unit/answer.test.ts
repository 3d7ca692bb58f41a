import { expect, test } from 'vitest'
import { judge, parseRetryAfter } from '../../src/retry/answer'

const NOW = Date.UTC(2026, 0, 1)
const BODY = {
  getReader: () => ({ read: async () => ({ done: true }), cancel: async () => {} }),
  cancel: async () => {},
}

function answer(status: number, fields: Record<string, string> = {}, extra: object = {}) {
  return { status, headers: { get: (name: string) => fields[name] ?? null }, body: BODY, ...extra }
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
  expect(judge(answer(status), false, NOW)).toMatchObject({ action: 'stop', code, status })
})

test.each([{ redirected: true }, { type: 'opaqueredirect', status: 0 }])(
  '[A5] what was or would be redirected stops: %j',
  (extra) => {
    expect(judge(answer(200, { 'content-type': 'text/event-stream' }, extra), false, NOW)).toMatchObject({
      code: 'REDIRECTED',
    })
  },
)

test("[A5] what it says: the reason is in the body where there is one, and 204, a redirect and React Native's fetch have none", () => {
  const stream = { 'content-type': 'text/event-stream' }
  const said = (of: ReturnType<typeof answer>) => judge(of, false, NOW)?.message
  expect(said(answer(403))).toBe('status 403: see its body')
  expect(said(answer(200, { 'content-type': 'text/html' }))).toBe('status 200: see its body')
  expect(said(answer(204, {}, { body: null }))).toBe('status 204: do not come back')
  expect(said(answer(301))).toBe('status 301: no redirect is followed')
  expect(said(answer(0, {}, { type: 'opaqueredirect', body: null }))).toBe('status 0: no redirect is followed')
  for (const body of [null, undefined]) {
    expect(judge(answer(200, stream, { body }), false, NOW)).toMatchObject({
      action: 'retry',
      code: 'NOT_A_STREAM',
      message: 'status 200: fetch gives no body; expo/fetch does',
    })
  }
})

test('[A4] 401 asks for fresh headers', () => {
  expect(judge(answer(401), false, NOW)).toMatchObject({ action: 'refresh', code: 'UNAUTHORIZED', status: 401 })
})

test.each([409, 431])('[A6] %i to a request with a cursor drops it', (status) => {
  expect(judge(answer(status), true, NOW)).toMatchObject({ action: 'forget', code: 'CURSOR_REFUSED', status })
})

test.each([202, 206, 408, 425, 429, 500, 502, 503, 504, 520, 524, 599])('[A7] %i is retried', (status) => {
  expect(judge(answer(status), true, NOW)).toMatchObject({ action: 'retry', code: 'UNAVAILABLE', status, minimumMs: 0 })
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
