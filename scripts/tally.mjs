/**
 * What a run of tests amounts to. Whatever is not known to have passed counts as failed: a file that does not load, a worker that
 * crashed, a report that was never written, a run without a test.
 */
import path from 'node:path'

/** @typedef {{ name: string, state: 'passed' | 'failed' | 'skipped', detail?: string }} Result */

/**
 * @param {string | undefined} json vitest's JSON report, if it left one
 * @param {number | string} code what vitest ended with
 * @param {string} root
 * @returns {Result[]}
 */
export function readReport(json, code, root) {
  /** @type {Result[]} */
  const results = []
  try {
    if (json === undefined) throw new Error(`vitest ended with ${code}`)
    for (const file of JSON.parse(json).testResults) results.push(...readFile(file, path.relative(root, file.name)))
  } catch (error) {
    results.push(
      failed('the test suite', `left no report that can be read: ${error instanceof Error ? error.message : error}`),
    )
  }
  if (results.length === 0) results.push(failed('the test suite', 'ran no test'))
  // An unhandled rejection or a crashed worker fails the run, but no test.
  if (code !== 0 && !results.some(({ state }) => state === 'failed')) {
    results.push(failed('the test suite', `vitest ended with ${code}: an error outside of any test`))
  }
  return results
}

/**
 * The lines to print at the end; the last one is `N passed, N failed`, and `, N skipped` where there are any.
 *
 * @param {Result[]} results
 * @param {boolean} allowSkips
 */
export function summarize(results, allowSkips) {
  const judged = results.map((result) =>
    result.state === 'skipped' && !allowSkips
      ? failed(result.name, 'skipped, and ENTITYCAST_REQUIRE_SERVICES=1 allows no skip')
      : result,
  )
  const count = (/** @type {Result['state']} */ state) => judged.filter((result) => result.state === state).length
  const lines = judged
    .filter(({ state }) => state !== 'passed')
    .map(({ name, state, detail }) => `  ${state}: ${name}${detail ? ` (${detail})` : ''}`)
  const skipped = count('skipped')
  lines.push(`${count('passed')} passed, ${count('failed')} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`)
  return { lines, ok: count('failed') === 0 }
}

/**
 * @typedef {{ status: string, fullName: string, failureMessages?: string[] }} Assertion
 * @param {{ status: string, message?: string, assertionResults: Assertion[] }} file
 * @param {string} name
 * @returns {Result[]}
 */
function readFile(file, name) {
  const results = file.assertionResults.map(({ status, fullName, failureMessages }) => {
    const title = `${name} > ${fullName}`
    if (status === 'failed') return failed(title, failureMessages?.[0]?.split('\n')[0])
    return /** @type {Result} */ ({ name: title, state: status === 'passed' ? 'passed' : 'skipped' })
  })
  // A file that could not be loaded, or whose hook threw, has no failed test of its own.
  if (file.status === 'failed' && !results.some(({ state }) => state === 'failed')) {
    return [...results, failed(name, file.message?.split('\n')[0])]
  }
  return results
}

/**
 * @param {string} name
 * @param {string} [detail]
 * @returns {Result}
 */
function failed(name, detail) {
  return { name, state: 'failed', ...(detail !== undefined && { detail }) }
}
