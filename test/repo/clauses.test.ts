import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { checkClauses, clausesOf, readClauses, titlesOf } from '../../scripts/clauses.mjs'

const protocol = `# Title

- **[D1]** One clause
  on two lines.
- **[D2]** Another.

**[W1]** A paragraph
of two lines.

Text about [D9], which is no clause.
`

describe('scripts/clauses.mjs', () => {
  it('reads the clauses of a text, each to its end', () => {
    expect(clausesOf(protocol)).toEqual([
      { id: 'D1', text: 'One clause on two lines.' },
      { id: 'D2', text: 'Another.' },
      { id: 'W1', text: 'A paragraph of two lines.' },
    ])
  })

  it('finds a clause that no test names, and is content with one that several do', () => {
    const tests = { 'a.test.ts': "it('[D1 K2] holds', run)\ndescribe.each(rows)('[W1, D1] %s', run)" }
    const report = checkClauses(protocol, tests)
    expect(report.missing).toEqual([{ id: 'D2', text: 'Another.' }])
    expect(report.faults.named).toEqual(['K2'])
    expect(report.named.get('D1')).toHaveLength(2)
  })

  it('takes titles from calls, templates and tables, not from comments, skipped or unfinished tests', () => {
    const text = [
      "it('[D1] a call', run)",
      // biome-ignore lint/suspicious/noTemplateCurlyInString: it is the source of a template
      'it(`[D2] a template for ${name}`, run)',
      "const cases = [{ title: '[D3] a row' }]",
      "it.skipIf(noBroker)('[D4] only sometimes', run)",
      "// it('[E1] commented out', run)",
      "it.skip('[E2] skipped', run)",
      "describe.skip('all of it', () => { it('[E3] inside', run) })",
      "test.todo('[E4] to do')",
      "it.skip.each(rows)('[E5] %s', run)",
    ].join('\n')
    // Without the brackets, or this file would itself name the clauses.
    const found = titlesOf('a.test.ts', text).map((title) => title.slice(title.indexOf(']') + 2))
    expect(found).toEqual(['a call', 'a template for ', 'a row', 'only sometimes'])
  })

  it('finds an id that is used twice, or that is a fault’s', () => {
    expect(checkClauses('**[D1]** a\n\n**[D1]** b\n\n**[K1]** c\n', {}).doubled).toEqual(['D1', 'K1'])
  })
})

describe('PROTOCOL.md', () => {
  const { protocol: text, tests } = readClauses(fileURLToPath(new URL('../..', import.meta.url)))
  const { clauses, missing, doubled } = checkClauses(text, tests)

  it('has every marked clause in the form that the script reads, under an id of its own', () => {
    expect(clauses.map(({ id }) => id)).toEqual([...text.matchAll(/\*\*\[([^\]]+)\]\*\*/g)].map(([, id]) => id))
    expect(doubled).toEqual([])
  })

  it('has a test for each clause', () => {
    expect(missing.map(({ id, text: clause }) => `[${id}] ${clause}`)).toEqual([])
  })
})
