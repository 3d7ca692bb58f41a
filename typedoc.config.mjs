import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** The API reference: whatever the packages export, found as a consumer would find it. */
const PACKAGES = ['sse-protocol', 'sse-server', 'sse-client']
const at = (/** @type {string} */ file) => fileURLToPath(new URL(file, import.meta.url))

/** The sources behind a package's entries. @param {string} name */
function entries(name) {
  const { exports } = JSON.parse(readFileSync(at(`packages/${name}/package.json`), 'utf8'))
  return Object.keys(exports)
    .filter((entry) => !/[*]|\.json$/.test(entry))
    .map((entry) => {
      const src = `packages/${name}/src`
      const bases =
        entry === '.'
          ? [`${src}/index`]
          : ['mounts', 'adapters', 'bindings', '.'].map((folder) => `${src}/${folder}/${entry.slice(2)}`)
      const files = bases.flatMap((base) => [`${base}.ts`, `${base}.tsx`, `${base}/index.ts`])
      const found = files.find((file) => existsSync(at(file)))
      if (!found) throw new Error(`@entitycast/${name} exports ${entry}, and has none of ${files.join(', ')}`)
      return found
    })
}

/** @type {Partial<import('typedoc').TypeDocOptions> & Record<string, unknown>} */
export default {
  name: 'Entitycast',
  plugin: ['typedoc-plugin-markdown'],
  entryPoints: PACKAGES.flatMap(entries),
  tsconfig: 'docs/tsconfig.json',
  out: 'docs/api',
  readme: 'none',
  hideGenerator: true,
  disableSources: true,
  excludePrivate: true,
  excludeInternal: true,
  treatWarningsAsErrors: true,
  treatValidationWarningsAsErrors: true,
  validation: { notExported: true, invalidLink: true, rewrittenLink: true, notDocumented: false },
}
