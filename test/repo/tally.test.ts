import { describe, expect, it } from 'vitest'
import { readReport, summarize } from '../../scripts/tally.mjs'

const report = (...files: object[]) => JSON.stringify({ testResults: files })
const file = (status: string, ...tests: [status: string, name: string][]) => ({
  name: '/repo/a.test.ts',
  status,
  message: 'SyntaxError: no\n  at x',
  assertionResults: tests.map(([state, fullName]) => ({
    status: state,
    fullName,
    failureMessages: ['Error: no\n at y'],
  })),
})
const last = (json: string | undefined, code: number | string, allowSkips = true) => {
  const { lines, ok } = summarize(readReport(json, code, '/repo'), allowSkips)
  return [lines.at(-1), ok]
}

describe('[tally] what npm test ends with', () => {
  it('[tally] counts what passed, failed and was skipped, and names what did not pass', () => {
    const json = report(file('failed', ['passed', 'one'], ['failed', 'two'], ['pending', 'three'], ['todo', 'four']))
    expect(summarize(readReport(json, 1, '/repo'), true)).toEqual({
      ok: false,
      lines: [
        '  failed: a.test.ts > two (Error: no)',
        '  skipped: a.test.ts > three',
        '  skipped: a.test.ts > four',
        '1 passed, 1 failed, 2 skipped',
      ],
    })
  })

  it('[tally] a sound run ends with exactly the two numbers', () => {
    expect(last(report(file('passed', ['passed', 'one'], ['passed', 'two'])), 0)).toEqual(['2 passed, 0 failed', true])
  })

  it('[tally] where no skip is allowed, a skipped test is a failed one', () => {
    const json = report(file('passed', ['passed', 'one'], ['pending', 'two']))
    expect(last(json, 0)).toEqual(['1 passed, 0 failed, 1 skipped', true])
    expect(last(json, 0, false)).toEqual(['1 passed, 1 failed', false])
  })

  it.each([
    ['a file that does not load', report(file('passed', ['passed', 'one']), file('failed')), 1],
    ['a hook that throws after a test has passed', report(file('failed', ['passed', 'one'])), 1],
    ['an unhandled rejection that fails no test', report(file('passed', ['passed', 'one'])), 1],
    ['a run that was killed after its report', report(file('passed', ['passed', 'one'])), 'SIGKILL'],
  ])('[tally] %s is one failed', (_, json, code) => {
    expect(last(json, code)).toEqual(['1 passed, 1 failed', false])
  })

  it.each([
    ['no report', undefined, 'SIGSEGV'],
    ['a report that was cut', '{"testResults":[', 0],
    ['a run without a test', report(), 0],
  ])('[tally] %s is one failed', (_, json, code) => {
    expect(last(json, code)).toEqual(['0 passed, 1 failed', false])
  })

  it('[tally] a run that left no report says what it ended with', () => {
    expect(summarize(readReport(undefined, 'SIGKILL', '/repo'), true).lines[0]).toBe(
      '  failed: the test suite (left no report that can be read: vitest ended with SIGKILL)',
    )
  })
})
