/**
 * The floors of ARCHITECTURE.md, checked: imports go down only. There is no way to switch a finding off: no comment is read, no list of exceptions exists.
 *
 *   5  examples, bench, interop                  only published entry points
 *   4  adapters/*  mounts/*  bindings/*          leaves, and `conformance`, the suite for authors of adapters
 *   3  every other folder of a package           engines; the files beside `src/index.ts` put a package together
 *   2  seams/*                                   contracts and ports
 *   1  sse-protocol                              pure: no timers, no Node, no DOM
 *
 * `node scripts/floors.mjs` checks this repository; `checkFloors(files)` checks any set of files, so that a test can prove that it fails.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { builtinModules } from 'node:module'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { importsOf, impureUses } from './imports.mjs'

export const SOFT_LINES = 250
export const HARD_LINES = 400
const SCOPE = '@entitycast/'
const LEAF_FOLDERS = ['adapters', 'mounts', 'bindings']
/** A leaf that is a whole folder, with its entry in `index.ts`. */
const CONFORMANCE = 'conformance'
/** Mounts that are thin over the one for Node's http. */
const MAY_IMPORT_NODE_MOUNT = ['mounts/express', 'mounts/nest', 'mounts/fastify']
/** The client runs in browsers. Whoever imports this leaf of it is a program. */
const MAY_IMPORT_NODE = 'bindings/node'
/** Names that say nothing about what is inside. */
const EMPTY_NAMES = /^(?:utils?|helpers?|common|types?|misc)$/
const BUILTINS = new Set(builtinModules.map((name) => name.replace(/^node:/, '')))

/**
 * @typedef {{ file: string, line: number, rule: string, message: string }} Finding
 * @typedef {import('./imports.mjs').Import} Import
 * @typedef {{ floor: 1 | 2 | 3 | 4 | 5, room: string, pkg?: string, entry?: boolean }} Place
 */

/**
 * Every breach, in the order of the files.
 *
 * @param {Record<string, string>} files the text of each file by its path in the repository, with `/`; package.json files too
 * @returns {Finding[]}
 */
export function checkFloors(files) {
  /** @type {Finding[]} */
  const findings = []
  /** @type {Map<string, { target: string, line: number }[]>} */
  const graph = new Map()
  const packages = readPackages(files)

  for (const [file, text] of Object.entries(files)) {
    if (!/\.(?:[cm]?[jt]s|tsx|jsx)$/.test(file)) continue
    const report = (/** @type {number} */ line, /** @type {string} */ rule, /** @type {string} */ message) =>
      findings.push({ file, line, rule, message })

    checkNames(file, report)
    const lines = countLines(text)
    if (lines > HARD_LINES)
      report(HARD_LINES + 1, 'length', `${lines} lines; at most ${HARD_LINES}: split where the concept splits`)

    const place = placeOf(file)
    if (!place) continue
    const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true)
    if (place.floor === 1)
      for (const use of impureUses(source))
        report(use.line, 'pure', `uses ${use.name}; the protocol has no timers, no Node and no DOM`)

    /** @type {{ target: string, line: number }[]} */
    const edges = []
    graph.set(file, edges)
    for (const found of importsOf(source)) {
      const target = checkImport({ file, place, found, files, packages, report })
      if (target) edges.push({ target, line: found.line })
    }
  }
  for (const cycle of cyclesOf(graph)) {
    findings.push({
      file: cycle.file,
      line: cycle.line,
      rule: 'cycle',
      message: `imports itself: ${cycle.path.join(' -> ')}`,
    })
  }
  return findings
}

/**
 * Files over the soft limit, longest first: not wrong, but asked about in review.
 *
 * @param {Record<string, string>} files
 */
export function longFiles(files) {
  return Object.entries(files)
    .filter(([file]) => /\.(?:[cm]?[jt]s|tsx|jsx)$/.test(file))
    .map(([file, text]) => ({ file, lines: countLines(text) }))
    .filter(({ lines }) => lines > SOFT_LINES)
    .sort((a, b) => b.lines - a.lines)
}

/**
 * Where a file lives; `undefined` for what stands outside the house (tests, scripts, configuration).
 *
 * @param {string} file
 * @returns {Place | undefined}
 */
function placeOf(file) {
  const parts = file.split('/')
  if (['examples', 'bench', 'interop'].includes(parts[0] ?? '') && parts.length > 2)
    return { floor: 5, room: `${parts[0]}/${parts[1]}` }
  const [top, pkg, src, folder, leaf] = parts
  if (top !== 'packages' || src !== 'src' || !pkg || !folder) return undefined
  if (pkg === 'sse-protocol') return { floor: 1, room: pkg, pkg, entry: folder === 'index.ts' }
  if (parts.length === 4) return { floor: 3, room: stem(folder), pkg, entry: true }
  if (folder === 'seams') return { floor: 2, room: folder, pkg }
  if (folder === CONFORMANCE) return { floor: 4, room: folder, pkg }
  // A leaf that needs a second file names it after itself: node.ts, node-stream.ts.
  if (LEAF_FOLDERS.includes(folder)) return { floor: 4, room: `${folder}/${stem(leaf ?? '').split('-')[0]}`, pkg }
  return { floor: 3, room: folder, pkg }
}

/**
 * Checks one import and returns the file that it names, if it is one of ours.
 *
 * @param {{ file: string, place: Place, found: Import, files: Record<string, string>, packages: Map<string, PackageInfo>,
 *   report: (line: number, rule: string, message: string) => void }} question
 * @returns {string | undefined}
 */
function checkImport({ file, place, found, files, packages, report }) {
  const { specifier, line } = found
  if (specifier.startsWith('.')) {
    const target = resolveRelative(file, specifier, files)
    const reached = path.posix.normalize(path.posix.join(path.posix.dirname(file), specifier))
    if (place.floor === 5) {
      if (/^packages\//.test(reached))
        report(line, 'published', `imports ${specifier}; use the published name of the package`)
      return target
    }
    const there = placeOf(target ?? reached)
    if (!there || there.pkg !== place.pkg) {
      report(line, 'outside', `imports ${specifier}, which is not in its own package's src`)
      return undefined
    }
    checkStep({ place, there, found, report })
    return target
  }
  if (specifier.startsWith(SCOPE)) return checkScoped({ place, found, files, packages, report })
  checkForeign({ place, found, packages, report })
  return undefined
}

/** @param {{ place: Place, there: Place, found: Import, report: (line: number, rule: string, message: string) => void }} step */
function checkStep({ place, there, found, report }) {
  const { specifier, line } = found
  if (there.floor === 4 && place.floor === 4 && there.room !== place.room) {
    report(line, 'sideways', `imports ${specifier}: a leaf never imports another leaf`)
  } else if (there.floor > place.floor && !isDefaultAdapter(place, there)) {
    report(line, 'up', `imports ${specifier}: from floor ${place.floor} up to floor ${there.floor}`)
  } else if (place.floor === 4 && there.floor === 3) {
    report(
      line,
      'inside',
      `imports ${specifier}: a leaf takes the engine by its published name, so that there is one copy of it`,
    )
  } else if (place.floor === 4 && there.floor === 2 && !found.typeOnly && !place.room.startsWith('adapters/')) {
    report(
      line,
      'inside',
      `imports ${specifier}: a leaf takes values by the published name; only types come from a seam`,
    )
  } else if (there.entry && !place.entry && there.floor === place.floor) {
    report(
      line,
      'up',
      `imports ${specifier}: the files beside index.ts put the package together, nothing inside imports them`,
    )
  }
}

/** The one step up that exists: the package is put together with the adapter that needs no broker. */
function isDefaultAdapter(/** @type {Place} */ place, /** @type {Place} */ there) {
  return place.entry === true && there.room === 'adapters/memory'
}

/**
 * @param {{ place: Place, found: Import, files: Record<string, string>, packages: Map<string, PackageInfo>,
 *   report: (line: number, rule: string, message: string) => void }} question
 */
function checkScoped({ place, found, files, packages, report }) {
  const { specifier, line } = found
  const [name = '', ...rest] = specifier.slice(SCOPE.length).split('/')
  const subpath = rest.join('/')
  const info = packages.get(name)
  if (!info || !isExported(info, subpath)) {
    report(line, 'published', `imports ${specifier}, which no package exports`)
    return undefined
  }
  const target = entryFile(name, subpath, files)
  if (place.room === CONFORMANCE && !found.typeOnly) {
    report(
      line,
      'contract',
      `imports ${specifier}: conformance takes types only, since it tests a contract and no engine`,
    )
  }
  if (place.floor === 5 || (name === 'sse-protocol' && place.floor > 1)) return target
  if (name !== place.pkg) {
    report(line, place.floor === 1 ? 'up' : 'sideways', `imports ${specifier}: ${place.pkg} may only use sse-protocol`)
  } else if (place.floor < 4) {
    report(line, 'up', `imports ${specifier}: below the leaves nothing imports its own package by name`)
  } else if (subpath !== '' && !(subpath === 'node' && MAY_IMPORT_NODE_MOUNT.includes(place.room))) {
    report(line, 'sideways', `imports ${specifier}: a leaf never imports another leaf`)
  }
  return target
}

/** @param {{ place: Place, found: Import, packages: Map<string, PackageInfo>, report: (line: number, rule: string, message: string) => void }} question */
function checkForeign({ place, found, packages, report }) {
  const { specifier, line } = found
  const bare = specifier.replace(/^node:/, '')
  const isBuiltin = specifier.startsWith('node:') || BUILTINS.has(bare) || BUILTINS.has(bare.split('/')[0] ?? '')
  if (place.floor === 5) return
  if (isBuiltin) {
    if (place.floor === 1) report(line, 'pure', `imports ${specifier}; the protocol has no timers, no Node and no DOM`)
    if (place.pkg === 'sse-client' && place.room !== MAY_IMPORT_NODE)
      report(line, 'pure', `imports ${specifier}; the client runs in browsers`)
    return
  }
  const name = specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/')
  const info = packages.get(place.pkg ?? '')
  if (info?.dependencies.has(name)) return
  if (info?.peers.has(name)) {
    if (place.floor < 4)
      report(line, 'peer', `imports ${specifier}: importing a package's root never needs a peer; only a leaf has one`)
    return
  }
  report(
    line,
    'peer',
    `imports ${specifier}, which the package.json of ${place.pkg} does not name as a dependency or peer`,
  )
}

/** @typedef {{ dependencies: Set<string>, peers: Set<string>, exports: string[] }} PackageInfo */

/** @param {Record<string, string>} files */
function readPackages(files) {
  /** @type {Map<string, PackageInfo>} */
  const packages = new Map()
  for (const [file, text] of Object.entries(files)) {
    const match = /^packages\/([^/]+)\/package\.json$/.exec(file)
    if (!match?.[1]) continue
    const json = JSON.parse(text)
    packages.set(match[1], {
      dependencies: new Set(Object.keys(json.dependencies ?? {})),
      peers: new Set(Object.keys(json.peerDependencies ?? {})),
      exports: Object.keys(json.exports ?? {}),
    })
  }
  return packages
}

function isExported(/** @type {PackageInfo} */ info, /** @type {string} */ subpath) {
  const wanted = subpath === '' ? '.' : `./${subpath}`
  return info.exports.some((name) => name === wanted || (name.endsWith('*') && wanted.startsWith(name.slice(0, -1))))
}

function entryFile(
  /** @type {string} */ pkg,
  /** @type {string} */ subpath,
  /** @type {Record<string, string>} */ files,
) {
  const src = `packages/${pkg}/src`
  const bases =
    subpath === ''
      ? [`${src}/index`]
      : [...LEAF_FOLDERS.map((folder) => `${src}/${folder}/${subpath}`), `${src}/${subpath}`]
  return bases.flatMap((base) => [`${base}.ts`, `${base}.tsx`, `${base}/index.ts`]).find((file) => file in files)
}

function resolveRelative(
  /** @type {string} */ file,
  /** @type {string} */ specifier,
  /** @type {Record<string, string>} */ files,
) {
  const base = path.posix.normalize(path.posix.join(path.posix.dirname(file), specifier))
  const bare = base.replace(/\.js$/, '')
  return [base, `${bare}.ts`, `${bare}.tsx`, `${base}/index.ts`].find((candidate) => candidate in files)
}

/** @param {Map<string, { target: string, line: number }[]>} graph */
function cyclesOf(graph) {
  /** @type {{ file: string, line: number, path: string[] }[]} */
  const cycles = []
  /** @type {Map<string, 'open' | 'done'>} */
  const state = new Map()
  /** @type {string[]} */
  const stack = []
  const walk = (/** @type {string} */ file) => {
    state.set(file, 'open')
    stack.push(file)
    for (const { target, line } of graph.get(file) ?? []) {
      if (state.get(target) === 'open')
        cycles.push({ file, line, path: [...stack.slice(stack.indexOf(target)), target] })
      else if (!state.has(target) && graph.has(target)) walk(target)
    }
    stack.pop()
    state.set(file, 'done')
  }
  for (const file of graph.keys()) if (!state.has(file)) walk(file)
  return cycles
}

function checkNames(
  /** @type {string} */ file,
  /** @type {(line: number, rule: string, message: string) => void} */ report,
) {
  for (const part of file.split('/')) {
    // Tests of types live in test/types: there the word names a kind of test, not a heap of things.
    if (EMPTY_NAMES.test(stem(part)) && !/(?:^|\/)test\/types\//.test(file))
      report(1, 'name', `"${part}" says nothing: name the concept that is inside`)
  }
}

function stem(/** @type {string} */ name) {
  return name.replace(/\..*$/, '')
}

function countLines(/** @type {string} */ text) {
  return text === '' ? 0 : text.split('\n').length - (text.endsWith('\n') ? 1 : 0)
}

/** Every file of this repository that the check looks at: tracked, or new and not ignored. */
export function readRepository(/** @type {string} */ root) {
  const list = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
  })
  /** @type {Record<string, string>} */
  const files = {}
  for (const file of list.split('\n')) {
    if (!/\.(?:[cm]?[jt]s|tsx|jsx)$|^packages\/[^/]+\/package\.json$/.test(file)) continue
    try {
      files[file] = readFileSync(path.join(root, file), 'utf8')
    } catch (error) {
      // Deleted in the work tree, not yet in the index.
      if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'ENOENT') throw error
    }
  }
  return files
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const files = readRepository(fileURLToPath(new URL('..', import.meta.url)))
  for (const { file, lines } of longFiles(files))
    console.log(`note: ${file} has ${lines} lines (soft limit ${SOFT_LINES})`)
  const findings = checkFloors(files)
  for (const { file, line, rule, message } of findings) console.error(`${file}:${line} [${rule}] ${message}`)
  console.log(
    findings.length === 0
      ? `floors: ${Object.keys(files).length} files, nothing found`
      : `floors: ${findings.length} found`,
  )
  process.exitCode = findings.length === 0 ? 0 : 1
}
