import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { programs, quickStart, readSnippets } from './snippets'

const root = fileURLToPath(new URL('../..', import.meta.url))
const listed = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '*.md'], {
  cwd: root,
  encoding: 'utf8',
})
/** The protocol is no TypeScript, and decisions quote what is no more. */
const texts = listed.split('\n').filter((file) => file && !/^docs\/decisions\/|PROTOCOL\.md$|CHANGELOG\.md$/.test(file))
const regions = new Map([...quickStart, ...programs.flatMap((program) => [...program.regions])])

describe('[docs] every snippet is a program that runs', () => {
  it.each(texts)('[docs] %s shows only what programs.test.ts compiles and runs', (file) => {
    for (const { name, line, text } of readSnippets(readFileSync(path.join(root, file), 'utf8'))) {
      expect(name, `${file}:${line} has no marker <!-- run: name --> before its fence`).toBeDefined()
      expect(
        regions.has(name!),
        `${file}:${line} names ${name}, and no program in test/packed/programs has that region`,
      ).toBe(true)
      expect(text, `${file}:${line} is not what the program of ${name} has`).toBe(regions.get(name!))
    }
  })

  it('[docs] the README shows a quick start, a server with Express and with Nest, and a client with and without React', () => {
    const shown = readSnippets(readFileSync(path.join(root, 'README.md'), 'utf8')).map(({ name }) => name)
    expect(shown).toEqual([
      'quick-start-server',
      'quick-start-index',
      'express-server',
      'nest-server',
      'client',
      'react',
    ])
  })

  it('[docs] a fence without a marker is found, whatever it is written like', () => {
    const text =
      '<!-- run: a -->\n```ts\nlet a\n```\n\n```tsx\nlet b\n```\n~~~typescript\nlet c\n~~~\n```sh\nls\n```\n- x\n  ```js\n  d()\n  ```\n'
    expect(readSnippets(text).map(({ name, line, text: body }) => [name, line, body])).toEqual([
      ['a', 2, 'let a'],
      [undefined, 6, 'let b'],
      [undefined, 9, 'let c'],
      [undefined, 16, '  d()'],
    ])
  })
})
