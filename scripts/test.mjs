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
import { readReport, summarize } from './tally.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const startedAt = Date.now()
/** Longer than any sound run on two cores: a test that hangs beyond its own time limit must not hang the whole. */
const SUITE_LIMIT_MS = 20 * 60_000

// An example that has only a package.json yet cannot be built.
const examples = readdirSync(path.join(root, 'examples')).filter((name) =>
  existsSync(path.join(root, 'examples', name, 'server')),
)
const workspaces = ['--filter=./packages/*', ...examples.map((name) => `--filter=./examples/${name}`)]

/** @type {import('./tally.mjs').Result[]} */
const results = []

const isBuilt = await step('build', 'turbo', ['run', 'build', '--output-logs=errors-only', ...workspaces])
await step('format and lint', 'biome', ['check', '--error-on-warnings', '.'])
await step('types', 'turbo', ['run', 'typecheck', '--output-logs=errors-only', ...workspaces])
await step('types of the repository', 'tsc', ['-p', 'test/tsconfig.json'])
if (isBuilt) await suite()
else results.push({ name: 'the test suite', state: 'failed', detail: 'not run: the build failed' })

const { lines, ok } = summarize(results, process.env.ENTITYCAST_REQUIRE_SERVICES !== '1')
console.log(`\nTook ${Math.round((Date.now() - startedAt) / 1000)} s.\n${lines.join('\n')}`)
process.exitCode = ok ? 0 : 1

/** @param {string} name @param {string} command @param {string[]} args */
async function step(name, command, args) {
  const code = await run(command, args)
  results.push(
    code === 0 ? { name, state: 'passed' } : { name, state: 'failed', detail: `${command} ended with ${code}` },
  )
  return code === 0
}

/** In the order that takes the least time: what waits for brokers does so while browsers and sockets are busy. */
async function suite() {
  const args = process.argv.slice(2)
  if (args.length > 0) return vitest(args)
  await vitest(projects('fast', 'packed'))
  await Promise.all([vitest(projects('io')), vitest(projects('brokers'))])
}

/** @param {string[]} names */
function projects(...names) {
  return names.flatMap((name) => ['--project', name])
}

/** One run of vitest; what it found is added to the results. @param {string[]} chosen */
async function vitest(chosen) {
  const folder = mkdtempSync(path.join(tmpdir(), 'entitycast-report-'))
  const report = path.join(folder, 'report.json')
  const args = ['run', '--reporter=default', '--reporter=json', `--outputFile.json=${report}`, ...chosen]
  const code = await run('vitest', args, SUITE_LIMIT_MS)
  results.push(...readReport(existsSync(report) ? readFileSync(report, 'utf8') : undefined, code, root))
  rmSync(folder, { recursive: true, force: true })
}

/**
 * Runs a tool of this repository; what it prints is seen at once. Resolves with its exit code, or why it has none.
 *
 * @param {string} command @param {string[]} args @param {number} [limitMs]
 * @returns {Promise<number | string>}
 */
function run(command, args, limitMs) {
  console.log(`\n> ${command} ${args.join(' ')}`)
  return new Promise((resolve) => {
    const child = spawn(path.join(root, 'node_modules/.bin', command), args, {
      cwd: root,
      stdio: ['ignore', 'inherit', 'inherit'],
      env: { ...process.env, TURBO_TELEMETRY_DISABLED: '1', DO_NOT_TRACK: '1' },
    })
    const limit = limitMs && setTimeout(() => child.kill('SIGKILL'), limitMs)
    child.on('error', (error) => resolve(error.message))
    child.on('exit', (code, signal) => {
      clearTimeout(limit)
      resolve(code ?? `${signal}, after ${Math.round((Date.now() - startedAt) / 60_000)} min in all`)
    })
  })
}
