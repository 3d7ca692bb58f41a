import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

/** @param {string} path */
const at = (path) => fileURLToPath(new URL(path, import.meta.url))

/** @typedef {(path: string, contents: string) => string} Change */

/**
 * Bundles the simulation with the packages' sources, each changed by `change` where it is given. The file can be run by `node`.
 *
 * @param {string} outfile
 * @param {Change} [change]
 */
export async function buildSimulation(outfile, change) {
  await build({
    entryPoints: [at('main.ts')],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    sourcemap: 'inline',
    logLevel: 'silent',
    alias: {
      '@entitycast/sse-protocol': at('../../packages/sse-protocol/src/index.ts'),
      '@entitycast/sse-server': at('../../packages/sse-server/src/index.ts'),
      '@entitycast/sse-client': at('../../packages/sse-client/src/index.ts'),
    },
    plugins: change ? [changed(change)] : [],
  })
}

/**
 * @param {Change} change
 * @returns {import('esbuild').Plugin}
 */
function changed(change) {
  return {
    name: 'changed',
    setup(context) {
      context.onLoad({ filter: /packages\/sse-[a-z]+\/src\/.*\.ts$/ }, async ({ path }) => {
        const contents = change(path, await readFile(path, 'utf8'))
        return { contents, loader: 'ts' }
      })
    },
  }
}
