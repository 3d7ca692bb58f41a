/**
 * `npm test`: builds everything, checks format, lint and types, runs every test, and ends with `N passed, N failed`.
 *
 * Each step counts as one test, so that a run that could not even build never looks green. With `ENTITYCAST_REQUIRE_SERVICES=1`,
 * as in CI, a skipped test is a failed one. Arguments go to vitest: `npm test -- packages/sse-client`.
 */
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const requireServices = process.env.ENTITYCAST_REQUIRE_SERVICES === '1'
const startedAt = Date.now()

// An example that has only a package.json yet cannot be built.
const examples = readdirSync(path.join(root, 'examples')).filter((name) =>
  existsSync(path.join(root, 'examples', name, 'server')),
)
const built = ['--filter=./packages/*', ...examples.map((name) => `--filter=./examples/${name}`)]

/** @type {{ name: string, state: 'passed' | 'failed' | 'skipped', detail?: string }[]} */
const results = []

const isBuilt = await step('build', 'turbo', ['run', 'build', '--output-logs=errors-only', ...built])
await step('format and lint', 'biome', ['check', '--error-on-warnings', '.'])
await step('types', 'turbo', ['run', 'typecheck', '--output-logs=errors-only', ...built])
await step('types of the repository', 'tsc', ['-p', 'test/tsconfig.json'])
if (isBuilt) await suite()
else results.push({ name: 'the test suite', state: 'failed', detail: 'not run: the build failed' })
process.exitCode = summarize()

/** @param {string} name @param {string} command @param {string[]} args */
async function step(name, command, args) {
  const code = await run(command, args)
  results.push({
    name,
    state: code === 0 ? 'passed' : 'failed',
    ...(code !== 0 && { detail: `${command} ended with ${code}` }),
  })
  return code === 0
}

async function suite() {
  const folder = mkdtempSync(path.join(tmpdir(), 'entitycast-report-'))
  const report = path.join(folder, 'report.json')
  const code = await run('vitest', [
    'run',
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${report}`,
    ...process.argv.slice(2),
  ])
  const before = results.length
  try {
    for (const file of JSON.parse(readFileSync(report, 'utf8')).testResults) {
      const name = path.relative(root, file.name)
      for (const test of file.assertionResults) {
        const state = test.status === 'passed' ? 'passed' : test.status === 'failed' ? 'failed' : 'skipped'
        results.push({ name: `${name} > ${test.fullName}`, state, detail: test.failureMessages?.[0]?.split('\n')[0] })
      }
      // A file that could not be loaded, or whose hook threw, has no failed test of its own.
      if (
        file.status === 'failed' &&
        !file.assertionResults.some((/** @type {{ status: string }} */ test) => test.status === 'failed')
      ) {
        results.push({ name, state: 'failed', detail: file.message?.split('\n')[0] })
      }
    }
  } catch (error) {
    results.push({ name: 'the test suite', state: 'failed', detail: `left no report: ${error}` })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  const own = results.slice(before)
  if (own.length === 0) results.push({ name: 'the test suite', state: 'failed', detail: 'ran no test' })
  // An unhandled rejection or a crashed worker fails the run, but no test.
  if (code !== 0 && !own.some(({ state }) => state === 'failed')) {
    results.push({
      name: 'the test suite',
      state: 'failed',
      detail: `vitest ended with ${code}: an error outside of any test`,
    })
  }
}

function summarize() {
  if (requireServices) {
    for (const result of results) {
      if (result.state !== 'skipped') continue
      result.state = 'failed'
      result.detail = 'skipped, and ENTITYCAST_REQUIRE_SERVICES=1 allows no skip'
    }
  }
  const count = (/** @type {string} */ state) => results.filter((result) => result.state === state).length
  console.log(`\nTook ${Math.round((Date.now() - startedAt) / 1000)} s.`)
  for (const { name, state, detail } of results)
    if (state !== 'passed') console.log(`  ${state}: ${name}${detail ? ` (${detail})` : ''}`)
  const skipped = count('skipped')
  console.log(`${count('passed')} passed, ${count('failed')} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`)
  return count('failed') === 0 ? 0 : 1
}

/** Runs a tool of this repository; what it prints is seen at once. Resolves with its exit code. @param {string} command @param {string[]} args */
function run(command, args) {
  console.log(`\n> ${command} ${args.join(' ')}`)
  return new Promise((resolve) => {
    const child = spawn(path.join(root, 'node_modules/.bin', command), args, {
      cwd: root,
      stdio: ['ignore', 'inherit', 'inherit'],
      env: { ...process.env, TURBO_TELEMETRY_DISABLED: '1', DO_NOT_TRACK: '1' },
    })
    child.on('error', () => resolve(-1))
    child.on('exit', (code, signal) => resolve(code ?? signal))
  })
}
