/**
 * `npm run bench`, `npm run bench:quick`: compiles the generator, the C server and the programs into `bench/dist`, and runs them.
 * Needs Linux and a C compiler (`cc`). `--help` lists what can be chosen.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { build } from 'esbuild'

const bench = path.dirname(fileURLToPath(import.meta.url))
// A folder for each run, named after its process: two runs at a time do not disturb each other, but for the time that they take.
const dist = path.join(bench, 'dist')
const out = path.join(dist, String(process.pid))
mkdirSync(out, { recursive: true })
for (const name of readdirSync(dist))
  if (!existsSync(`/proc/${name}`)) rmSync(path.join(dist, name), { recursive: true, force: true })
process.on('exit', () => rmSync(out, { recursive: true, force: true }))

if (process.platform !== 'linux') {
  console.error('The bench reads /proc and uses epoll: it runs on Linux.')
  process.exit(1)
}

function compile(name, ...flags) {
  execFileSync('cc', ['-O2', '-o', path.join(out, name), path.join(bench, 'c', `${name}.c`), ...flags], {
    stdio: ['ignore', 'inherit', 'pipe'],
  })
}

try {
  compile('fanout')
  try {
    compile('load', '-DWITH_ZLIB', '-lz')
  } catch {
    // Without zlib's header only the compressed rows are missing.
    compile('load')
  }
} catch (error) {
  console.error(`The load generator is a C program and could not be compiled; install a C compiler.\n${error.message}`)
  process.exit(1)
}

const programs = [
  'harness/main.ts',
  'contenders/serve.ts',
  ...readdirSync(path.join(bench, 'workloads'))
    .filter((file) => file.endsWith('-program.ts'))
    .map((file) => `workloads/${file}`),
]
// The peers are loaded as they are installed. Our own packages are put in from what they have built, so that a build that somebody starts
// meanwhile does not reach into a run.
const { dependencies } = JSON.parse(readFileSync(path.join(bench, 'package.json'), 'utf8'))
const peers = Object.keys(dependencies).filter((name) => !name.startsWith('@entitycast/'))
await build({
  entryPoints: programs.map((file) => path.join(bench, file)),
  outdir: out,
  entryNames: '[name]',
  bundle: true,
  external: peers,
  platform: 'node',
  target: 'node20',
  format: 'esm',
  splitting: true,
  outExtension: { '.js': '.mjs' },
  sourcemap: 'linked',
  logLevel: 'warning',
  logOverride: { 'ignored-bare-import': 'silent' },
})
await import(pathToFileURL(path.join(out, 'main.mjs')).href)
