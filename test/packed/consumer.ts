import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { inject } from 'vitest'
import { PACKAGES } from './tarballs'

/** What a program left behind. */
export interface Outcome {
  code: number | null
  stdout: string
  stderr: string
}

/** A fresh folder, outside the workspaces, that has installed the tarballs as a user's project would. */
export interface Consumer {
  readonly folder: string
  /** Whether npm put this package into it. */
  has(dependency: string): boolean
  /** Writes a file into it. */
  write(file: string, text: string): void
  /** Runs Node in it: a file, or any arguments. The program must end by itself within the time. */
  node(args: readonly string[], options?: { timeoutMs?: number; env?: Record<string, string> }): Promise<Outcome>
  /** Runs one of the tools that it has installed. */
  tool(bin: string, args: readonly string[]): Promise<Outcome>
}

/**
 * A consumer with our three tarballs and these packages. One of a name is installed once a run, and shared by the tests that ask for it.
 *
 * @param dependencies `express@5.3.0`; an alias is `ts54: npm:typescript@5.4.5`
 */
export async function consumer(name: string, dependencies: Record<string, string> = {}): Promise<Consumer> {
  const folder = path.join(inject('packedFolder'), name)
  const done = path.join(folder, 'installed')
  if (!existsSync(done)) {
    mkdirSync(folder, { recursive: true })
    const tarballs = inject('tarballs')
    const own = Object.fromEntries(PACKAGES.map((one) => [`@entitycast/${one}`, `file:${tarballs[one]}`]))
    // The tarballs stand for each other too: nothing of ours is ever looked up in a registry.
    const manifest = { name, private: true, type: 'module', dependencies: { ...own, ...dependencies }, overrides: own }
    writeFileSync(path.join(folder, 'package.json'), JSON.stringify(manifest, null, 2))
    const flags = ['--prefer-offline', '--no-audit', '--no-fund', '--no-package-lock', '--loglevel=error']
    const installed = await execute('npm', ['install', ...flags], folder, 240_000)
    if (installed.code !== 0) throw new Error(`npm install failed in ${name}: ${installed.stderr}${installed.stdout}`)
    writeFileSync(done, '')
  }
  return {
    folder,
    has: (dependency) => existsSync(path.join(folder, 'node_modules', dependency)),
    write(file, text) {
      const target = path.join(folder, file)
      mkdirSync(path.dirname(target), { recursive: true })
      writeFileSync(target, text)
    },
    node: (args, { timeoutMs = 60_000, env } = {}) => execute(process.execPath, args, folder, timeoutMs, env),
    tool: (bin, args) => execute(path.join(folder, 'node_modules/.bin', bin), args, folder, 120_000),
  }
}

function execute(
  command: string,
  args: readonly string[],
  cwd: string,
  timeoutMs: number,
  env: Record<string, string> = {},
): Promise<Outcome> {
  return new Promise((resolve) => {
    // vitest's own variables would make a program believe that it is inside a test.
    const { NODE_ENV: _, VITEST: __, NODE_OPTIONS: ___, ...inherited } = process.env
    execFile(
      command,
      args,
      { cwd, timeout: timeoutMs, maxBuffer: 16 << 20, env: { ...inherited, ...env } },
      (error, stdout, stderr) => {
        const code = error ? (typeof error.code === 'number' ? error.code : null) : 0
        resolve({ code, stdout, stderr: error?.killed ? `${stderr}\nkilled after ${timeoutMs} ms` : stderr })
      },
    )
  })
}
