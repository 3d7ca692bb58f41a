import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import { describe, expect, inject, it } from 'vitest'
import { PACKAGES } from './tarballs'

const root = fileURLToPath(new URL('../..', import.meta.url))
const run = promisify(execFile)

describe.each(PACKAGES)('[packed] the tarball of %s', (name) => {
  const manifest = JSON.parse(readFileSync(path.join(root, 'packages', name, 'package.json'), 'utf8'))

  it('[packed] passes publint, strict, without a suggestion', async () => {
    const bytes = readFileSync(inject('tarballs')[name])
    const tarball = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer
    const { messages, pkg } = await publint({ pack: { tarball }, strict: true })
    expect(messages.map((message) => formatMessage(message, pkg))).toEqual([])
  })

  it('[packed] has the right types at every entry, from ESM and from CommonJS', async () => {
    const entries = Object.keys(manifest.exports).filter((entry) => !entry.includes('*') && !entry.endsWith('.json'))
    const args = [
      inject('tarballs')[name],
      '--profile',
      'node16',
      '--no-definitely-typed',
      '--format',
      'json',
      '--entrypoints',
      ...entries,
    ]
    const { stdout } = await run(path.join(root, 'node_modules/.bin/attw'), args, { cwd: root, maxBuffer: 16 << 20 })
    const { analysis, problems } = JSON.parse(stdout)
    expect(Object.keys(analysis.entrypoints)).toEqual(entries)
    const found = Object.values((problems ?? {}) as Record<string, { resolutionKind?: string }[]>).flat()
    // Node 10's resolution knows no subpaths; no supported Node and no bundler of today uses it. Types are found there by the test below.
    expect(found.filter(({ resolutionKind }) => resolutionKind !== 'node10')).toEqual([])
  })

  it('[packed] says of each entry where its types are to a compiler that reads no exports, too', () => {
    const entries = Object.entries<{ require?: { types: string } }>(manifest.exports)
    const types = entries
      .filter(([entry, { require }]) => entry !== '.' && require)
      .map(([entry, { require }]) => [entry.slice(2), [require?.types]])
    expect(manifest.typesVersions?.['*'] ?? {}).toEqual(Object.fromEntries(types))
  })

  it('[packed] has a README that names every entry', () => {
    const readme = readFileSync(path.join(root, 'packages', name, 'README.md'), 'utf8')
    const entries = Object.entries<{ require?: object }>(manifest.exports).filter(
      ([entry, { require }]) => entry !== '.' && require,
    )
    expect(entries.map(([entry]) => entry.slice(2)).filter((entry) => !readme.includes(`\`…/${entry}\``))).toEqual([])
  })

  it('[packed] holds the licence, and neither sources nor tests', async () => {
    const { stdout } = await run('tar', ['-tzf', inject('tarballs')[name]])
    const files = stdout
      .trim()
      .split('\n')
      .map((file) => file.replace(/^package\//, ''))
    expect(files).toContain('LICENSE')
    expect(files).toContain('README.md')
    expect(files.filter((file) => /^(?:src|test|scripts)\/|\.test\.|tsconfig|tsup/.test(file))).toEqual([])
  })
})
