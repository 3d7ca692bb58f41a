import { execFile } from 'node:child_process'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { build } from 'vite'
import { beforeAll, describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))
const run = promisify(execFile)
const tool = (name: string, args: string[]) => run(path.join(root, 'node_modules/.bin', name), args, { cwd: root })

interface Measured {
  name: string
  size: number
  sizeLimit: number
}

/** What a page pays, minified and gzipped. The limits are in `.size-limit.json`: they go down, and up only with a reason in the commit. */
describe('[size] what a page downloads', () => {
  beforeAll(() => tool('turbo', ['run', 'build', '--filter=./packages/sse-client']))

  it('[size] the client with its parser and protocol, and the React binding, tabs and the EventSource by themselves, are within their limits', async () => {
    // size-limit ends with 1 where a limit is broken; its report says which.
    const { stdout } = await tool('size-limit', ['--json']).catch((error: { stdout: string }) => error)
    const measured: Measured[] = JSON.parse(stdout)
    expect(measured).toHaveLength(4)
    for (const { name, size, sizeLimit } of measured) expect(size, name).toBeLessThanOrEqual(sizeLimit)
  })

  it('[size] what is in it is ours: no parser and no schema library comes with a client that uses no schema', async () => {
    const lib = { entry: path.join(root, 'packages/sse-client/dist/index.js'), formats: ['es' as const] }
    const built = await build({ configFile: false, logLevel: 'silent', build: { write: false, lib } })
    const chunks = (Array.isArray(built) ? built : [built]).flatMap((one) => ('output' in one ? one.output : []))
    const kept = chunks.flatMap((chunk) => (chunk.type === 'chunk' ? Object.entries(chunk.modules) : []))
    const sources = kept
      .filter(([, { renderedLength }]) => renderedLength > 0)
      .map(([id]) => /(?:packages|node_modules)\/((?:@[^/]+\/)?[^/]+)/.exec(path.relative(root, id))?.[1])
    expect([...new Set(sources)].sort()).toEqual(['sse-client', 'sse-protocol'])
  })
})
