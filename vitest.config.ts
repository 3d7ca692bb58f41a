import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url))

/** Tests run the sources; `test/packed` is what proves the built tarballs. */
const alias = [
  { find: /^@entitycast\/sse-protocol$/, replacement: at('packages/sse-protocol/src/index.ts') },
  { find: /^@entitycast\/sse-server$/, replacement: at('packages/sse-server/src/index.ts') },
  { find: /^@entitycast\/sse-server\/(node|express|fastify|fetch|nest)$/, replacement: `${at('packages/sse-server/src/mounts')}/$1.ts` },
  { find: /^@entitycast\/sse-client$/, replacement: at('packages/sse-client/src/index.ts') },
  { find: /^@entitycast\/sse-client\/react$/, replacement: at('packages/sse-client/src/bindings/react.tsx') },
]

export default defineConfig({
  resolve: { alias },
  test: {
    include: ['packages/*/test/**/*.test.{ts,tsx}', 'examples/*/test/**/*.test.ts', 'test/**/*.test.ts'],
    testTimeout: 20_000,
    hookTimeout: 60_000,
  },
})
