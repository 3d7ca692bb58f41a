import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { transform } from 'esbuild'
import { expect, test } from 'vitest'

const folder = fileURLToPath(new URL('../../src/bindings/', import.meta.url))
/** Sharing a stream and the fake server are machinery of their own, with the limits of every file. */
const NO_BINDINGS = /^(?:tabs|testing)/
const MOST = 120

/** Lines with something on them that is no comment. */
function linesOfCode(file: string): number {
  const lines = readFileSync(`${folder}${file}`, 'utf8').split('\n')
  return lines.filter((line) => !/^\s*(?:\/\/.*|\/?\*.*)?$/.test(line)).length
}

test(`[bindings] none has more than ${MOST} lines of code: what is hard is in the engine`, () => {
  const files = readdirSync(folder).filter((file) => !NO_BINDINGS.test(file))
  expect(files).toContain('react.tsx')
  const long = files.map((file) => [file, linesOfCode(file)] as const).filter(([, lines]) => lines > MOST)
  expect(long).toEqual([])
})

test.each(['vue', 'svelte', 'solid'])(
  '[bindings] %s is the same seam in twenty lines: without its types, imports and comments',
  async (name) => {
    const { code } = await transform(readFileSync(`${folder}${name}.ts`, 'utf8'), { loader: 'ts' })
    const lines = code.replace(/^(?:import|export) [^;]*;$/gm, '').split('\n')
    expect(lines.filter((line) => !/^\s*(?:\/\/.*)?$/.test(line)).length).toBeLessThanOrEqual(20)
  },
)
