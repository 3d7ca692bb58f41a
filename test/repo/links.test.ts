import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))
const listed = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '*.md'], {
  cwd: root,
  encoding: 'utf8',
})
const texts = listed.split('\n').filter((file) => file && existsSync(path.join(root, file)))

/** What npm packs of each, at the top of its folder. */
const packages = ['sse-protocol', 'sse-server', 'sse-client'].map((name) => {
  const folder = `packages/${name}`
  const { files } = JSON.parse(readFileSync(path.join(root, folder, 'package.json'), 'utf8')) as { files: string[] }
  return { name, folder, shipped: [...files, 'README.md', 'LICENSE', 'package.json'] }
})

/** Text without fenced and inline code: what looks like a link in there is none. */
const prose = (markdown: string) =>
  markdown.replace(/^\s*(`{3,}|~{3,})[^\n]*\n[\s\S]*?^\s*\1\s*$/gm, '').replace(/`[^`\n]*`/g, 'code')

/** The anchors that a renderer gives to the headings. */
function anchors(markdown: string): Set<string> {
  const found = new Set<string>()
  for (const [, heading = ''] of markdown
    .replace(/^\s*(`{3,}|~{3,})[^\n]*\n[\s\S]*?^\s*\1\s*$/gm, '')
    .matchAll(/^#{1,6}\s+(.+)$/gm)) {
    const slug = heading
      .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .trim()
      .replace(/\s/g, '-')
    let anchor = slug
    for (let copy = 1; found.has(anchor); copy++) anchor = `${slug}-${copy}`
    found.add(anchor)
  }
  return found
}

/** What is linked to that is no address on the web. */
function targets(markdown: string): string[] {
  return [...prose(markdown).matchAll(/\]\(([^)\s]+)(?:\s+"[^"]*")?\)/g)]
    .map(([, target = '']) => target)
    .filter((target) => !/^[a-z][a-z0-9+.-]*:/i.test(target))
}

/** Links to files and headings of this repository that lead nowhere. */
function broken(file: string, markdown: string): string[] {
  return targets(markdown).filter((target) => {
    const [where = '', anchor] = target.split('#')
    const reached = where === '' ? file : path.posix.join(path.posix.dirname(file), decodeURI(where))
    if (!existsSync(path.join(root, reached))) return true
    return (
      anchor !== undefined &&
      reached.endsWith('.md') &&
      !anchors(readFileSync(path.join(root, reached), 'utf8')).has(anchor)
    )
  })
}

describe('[docs] every link inside the repository leads somewhere', () => {
  it.each(texts)('[docs] %s', (file) => {
    expect(broken(file, readFileSync(path.join(root, file), 'utf8'))).toEqual([])
  })

  it.each(packages)(
    '[docs] what $name ships links to nothing outside of the package, and names only guides that are there',
    ({ folder, shipped }) => {
      for (const file of shipped.filter((name) => name.endsWith('.md'))) {
        const markdown = readFileSync(path.join(root, folder, file), 'utf8')
        const outside = targets(markdown).filter((target) => {
          const [where = ''] = target.split('#')
          return where !== '' && !shipped.includes(path.posix.normalize(where).split('/')[0] as string)
        })
        expect(outside, file).toEqual([])
        const guides = [...markdown.matchAll(/\bdocs\/[\w/.-]*\w/g)].map(([guide]) => guide)
        expect(
          guides.filter((guide) => !existsSync(path.join(root, guide))),
          file,
        ).toEqual([])
      }
    },
  )

  it('[docs] a link to a file or a heading that is not there is found', () => {
    expect(
      broken('README.md', '[a](ARCHITECTURE.md#the-floors) [b](nowhere.md) [c](ARCHITECTURE.md#nowhere) `[d](x)`'),
    ).toEqual(['nowhere.md', 'ARCHITECTURE.md#nowhere'])
  })

  it('[docs] no text names a registry of packages by its host', () => {
    const named = texts.filter((file) =>
      /\bregistry\.npmjs|npmjs\.com|unpkg\.com|jsdelivr/.test(readFileSync(path.join(root, file), 'utf8')),
    )
    expect(named).toEqual([])
  })
})
