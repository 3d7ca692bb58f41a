/**
 * Every clause of PROTOCOL.md has a test that names it: a title that begins with `[D3]`, or `[D3 K1]` for several at once.
 *
 * `node scripts/clauses.mjs` lists the clauses that no test names and fails if there are any; it also prints, for information, which rows
 * of the list of faults (P1 … B5) are named. A test that is skipped, still to do, or only a comment names nothing.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

export const PROTOCOL = 'packages/sse-protocol/PROTOCOL.md'
const TESTS = /^(?:packages\/[^/]+\/test|examples\/[^/]+\/test|test)\/.*\.(?:[cm]?ts|tsx)$/
const RUNNERS = new Set(['describe', 'it', 'suite', 'test'])
const SKIPPING = new Set(['skip', 'todo'])

/** The rows of the list of faults, by letter: how many there are. They share no letter with the clauses. */
const FAULTS = { P: 7, C: 10, S: 8, K: 9, B: 5 }

/**
 * @typedef {{ id: string, text: string }} Clause
 * @typedef {{ clauses: Clause[], missing: Clause[], doubled: string[], unknown: string[], faults: { named: string[], unnamed: string[] },
 *   named: Map<string, string[]> }} Report
 */

/**
 * @param {string} protocol the text of PROTOCOL.md
 * @param {Record<string, string>} tests the text of each test file by its path
 * @returns {Report}
 */
export function checkClauses(protocol, tests) {
  const clauses = clausesOf(protocol)
  const ids = clauses.map(({ id }) => id)
  /** @type {Map<string, string[]>} */
  const named = new Map()
  for (const [file, text] of Object.entries(tests)) {
    for (const title of titlesOf(file, text)) {
      for (const id of idsOf(title)) named.set(id, [...(named.get(id) ?? []), `${file}: ${title}`])
    }
  }
  const rows = Object.entries(FAULTS).flatMap(([letter, count]) =>
    Array.from({ length: count }, (_, i) => `${letter}${i + 1}`),
  )
  return {
    clauses,
    missing: clauses.filter(({ id }) => !named.has(id)),
    doubled: ids.filter((id, i) => ids.indexOf(id) !== i || rows.includes(id)),
    unknown: [...named.keys()].filter((id) => !ids.includes(id) && !rows.includes(id)).sort(),
    faults: { named: rows.filter((row) => named.has(row)), unnamed: rows.filter((row) => !named.has(row)) },
    named,
  }
}

/**
 * The clauses of a text, as `**[D3]** What must hold.` up to the end of the paragraph or list entry.
 *
 * @param {string} protocol
 * @returns {Clause[]}
 */
export function clausesOf(protocol) {
  return [...protocol.matchAll(/^(?:- )?\*\*\[([A-Z][0-9]+)\]\*\* ((?:.+\n?)+?)(?=^- |^\s*$|$(?![\s\S]))/gm)].map(
    ([, id = '', text = '']) => ({ id, text: text.replace(/\s+/g, ' ').trim() }),
  )
}

/**
 * Titles, and whatever else in a test file is text that begins with `[`: a table of cases names its clauses too.
 *
 * @param {string} file
 * @param {string} text
 * @returns {string[]}
 */
export function titlesOf(file, text) {
  /** @type {string[]} */
  const titles = []
  const visit = (/** @type {ts.Node} */ node) => {
    if (ts.isCallExpression(node) && isSkipped(node.expression)) return
    if (ts.isStringLiteralLike(node) || ts.isTemplateHead(node)) {
      if (node.text.startsWith('[')) titles.push(node.text)
    }
    ts.forEachChild(node, visit)
  }
  visit(ts.createSourceFile(file, text, ts.ScriptTarget.Latest, false, ts.ScriptKind.TSX))
  return titles
}

/**
 * Whether a call is `it.skip(…)`, `describe.todo(…)`, `test.skip.each(…)(…)` and the like.
 *
 * @param {ts.Expression} callee
 */
function isSkipped(callee) {
  let skips = false
  let at = callee
  while (ts.isPropertyAccessExpression(at) || ts.isCallExpression(at) || ts.isTaggedTemplateExpression(at)) {
    if (ts.isPropertyAccessExpression(at)) skips ||= SKIPPING.has(at.name.text)
    at = ts.isTaggedTemplateExpression(at) ? at.tag : at.expression
  }
  return skips && ts.isIdentifier(at) && RUNNERS.has(at.text)
}

/** @param {string} title */
function idsOf(title) {
  const inside = /^\[([^\]]*)\]/.exec(title)?.[1] ?? ''
  return inside.split(/[\s,/]+/).filter((word) => /^[A-Z][0-9]{1,2}$/.test(word))
}

/**
 * PROTOCOL.md and every test file of this repository: tracked, or new and not ignored.
 *
 * @param {string} root
 */
export function readClauses(root) {
  const list = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
  })
  /** @type {Record<string, string>} */
  const tests = {}
  for (const file of list.split('\n').filter((name) => TESTS.test(name))) {
    try {
      tests[file] = readFileSync(path.join(root, file), 'utf8')
    } catch (error) {
      // Deleted in the work tree, not yet in the index.
      if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'ENOENT') throw error
    }
  }
  return { protocol: readFileSync(path.join(root, PROTOCOL), 'utf8'), tests }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { protocol, tests } = readClauses(fileURLToPath(new URL('..', import.meta.url)))
  const { clauses, missing, doubled, unknown, faults } = checkClauses(protocol, tests)
  for (const { id, text } of missing) console.error(`no test names [${id}]: ${text}`)
  for (const id of doubled) console.error(`[${id}] is used twice`)
  if (unknown.length > 0) console.log(`note: tests name ${unknown.join(', ')}, which are neither clauses nor faults`)
  console.log(`faults named by a test: ${faults.named.join(' ')}`)
  if (faults.unnamed.length > 0) console.log(`faults not named yet: ${faults.unnamed.join(' ')}`)
  console.log(`clauses: ${clauses.length}, ${clauses.length - missing.length} named by a test`)
  process.exitCode = missing.length + doubled.length === 0 ? 0 : 1
}
