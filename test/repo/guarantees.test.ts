import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { titlesOf } from '../../scripts/clauses.mjs'

const docs = fileURLToPath(new URL('../../docs', import.meta.url))
const page = readFileSync(path.join(docs, 'guarantees.md'), 'utf8')
const cited = [...page.matchAll(/^- \[[^\]]+\]\(([^)]+)\): `(.+)`$/gm)].map(([, file = '', title = '']) => ({
  file,
  title,
}))

describe('docs/guarantees.md', () => {
  it('cites tests for each clause of the delivery contract, in the form that is looked up here', () => {
    const sections = page.split(/^## /m).slice(1)
    for (const clause of ['D1', 'D2', 'D3', 'D4', 'D5', 'D6', 'D7', 'D8', 'D9']) {
      const section = sections.find((text) => text.split(' · ')[0]?.split(', ').includes(clause)) ?? ''
      expect(section.match(/^- \[/gm)?.length ?? 0, clause).toBeGreaterThanOrEqual(3)
      expect(section, clause).toContain('Not promised:')
    }
    expect(cited.length).toBe(page.match(/^- \[/gm)?.length)
  })

  it.each(cited)('$file has: $title', ({ file, title }) => {
    const test = path.join(docs, file)
    expect(existsSync(test), file).toBe(true)
    const titles = titlesOf(test, readFileSync(test, 'utf8'))
    expect(titles.some((one) => one.includes(title))).toBe(true)
  })
})
