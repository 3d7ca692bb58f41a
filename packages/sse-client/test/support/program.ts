import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { afterAll, beforeAll, onTestFinished } from 'vitest'

/** A program that has started. */
export interface Running {
  /** With which code it has ended, and all that it said has been read. */
  readonly ended: Promise<number | null>
  /** What it has said, by line. */
  readonly lines: string[]
  /** What it has said on its standard error. */
  readonly complaints: string
}

const source = (file: string) => fileURLToPath(new URL(`../../${file}`, import.meta.url))

/** Bundles a program of `test/integration` from the sources, for the tests of this file. The result starts it in a process of its own. */
export function program(file: string): (...args: readonly string[]) => Running {
  const folder = mkdtempSync(path.join(tmpdir(), 'entitycast-program-'))
  const outfile = path.join(folder, 'program.mjs')
  beforeAll(() =>
    build({
      entryPoints: [source(`test/integration/${file}`)],
      outfile,
      bundle: true,
      platform: 'node',
      format: 'esm',
      alias: {
        '@entitycast/sse-protocol': source('../sse-protocol/src/index.ts'),
        '@entitycast/sse-client': source('src/index.ts'),
        '@entitycast/sse-client/node': source('src/bindings/node.ts'),
        '@entitycast/sse-client/event-source': source('src/bindings/event-source.ts'),
      },
    }),
  )
  afterAll(() => rmSync(folder, { recursive: true }))
  return (...args) => {
    const child = spawn(process.execPath, [outfile, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
    const said = { out: '', err: '' }
    child.stdout.on('data', (text) => {
      said.out += text
    })
    child.stderr.on('data', (text) => {
      said.err += text
    })
    onTestFinished(() => void child.kill('SIGKILL'))
    return {
      ended: new Promise((resolve) => child.on('close', resolve)),
      get lines() {
        return said.out.split('\n').slice(0, -1)
      },
      get complaints() {
        return said.err
      },
    }
  }
}
