import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const folder = fileURLToPath(new URL('programs', import.meta.url))

/** A program that is compiled and run against the tarballs: regions of it are what the docs show, the rest makes them run. */
export interface Program {
  readonly file: string
  readonly text: string
  /** The lines between `// >>> name` and `// <<<`, put together in order. */
  readonly regions: ReadonlyMap<string, string>
}

export const programs: readonly Program[] = readdirSync(folder).map((file) => {
  const text = readFileSync(`${folder}/${file}`, 'utf8')
  return { file, text, regions: readRegions(file, text) }
})

/** The quick start's files, which are shown whole; quick-start.test.ts runs them. */
export const quickStart: ReadonlyMap<string, string> = new Map(
  ['server.mjs', 'index.html'].map((file) => [
    `quick-start-${file.replace(/\..*/, '')}`,
    readFileSync(fileURLToPath(new URL(`quick-start/${file}`, import.meta.url)), 'utf8').trimEnd(),
  ]),
)

/** A fenced block of TypeScript in a text, with the name that its marker gives it. */
export interface Snippet {
  readonly line: number
  readonly name: string | undefined
  readonly text: string
}

/** Every fenced block of TypeScript, JavaScript or HTML. Other fences are no programs. */
export function readSnippets(markdown: string): Snippet[] {
  const snippets: Snippet[] = []
  const lines = markdown.split('\n')
  for (let i = 0; i < lines.length; i++) {
    const fence = /^\s*(`{3,}|~{3,})\s*(\w*)/.exec(lines[i] ?? '')
    if (!fence) continue
    const end = lines.findIndex((line, at) => at > i && line.trim() === fence[1])
    if (end < 0) throw new Error(`the fence of line ${i + 1} has no end`)
    if (/^(?:ts|tsx|typescript|js|jsx|mjs|javascript|html)$/i.test(fence[2] ?? '')) {
      const marker = /^<!-- run: ([\w-]+) -->$/.exec(lines[i - 1] ?? '')
      snippets.push({ line: i + 1, name: marker?.[1], text: lines.slice(i + 1, end).join('\n') })
    }
    i = end
  }
  return snippets
}

function readRegions(file: string, text: string): Map<string, string> {
  const regions = new Map<string, string>()
  let open: { name: string; lines: string[] } | undefined
  for (const line of text.split('\n')) {
    const start = /^\/\/ >>> ([\w-]+)$/.exec(line)
    if (start?.[1]) {
      if (open) throw new Error(`${file}: ${start[1]} begins inside ${open.name}`)
      open = { name: start[1], lines: [] }
    } else if (line === '// <<<') {
      if (!open) throw new Error(`${file}: a region ends that has not begun`)
      const before = regions.get(open.name)
      regions.set(open.name, [...(before === undefined ? [] : [before]), ...open.lines].join('\n'))
      open = undefined
    } else open?.lines.push(line)
  }
  if (open) throw new Error(`${file}: ${open.name} has no end`)
  return regions
}
