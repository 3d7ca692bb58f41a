import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url))

/** Tests run the sources; `test/packed` is what proves the built tarballs. */
const alias = [
  { find: /^@entitycast\/sse-protocol$/, replacement: at('packages/sse-protocol/src/index.ts') },
  { find: /^@entitycast\/sse-server$/, replacement: at('packages/sse-server/src/index.ts') },
  {
    find: /^@entitycast\/sse-server\/(node|express|fastify|fetch|nest|testing)$/,
    replacement: `${at('packages/sse-server/src/mounts')}/$1.ts`,
  },
  {
    find: /^@entitycast\/sse-server\/(redis|postgres|nats|cluster)$/,
    replacement: `${at('packages/sse-server/src/adapters')}/$1.ts`,
  },
  {
    find: /^@entitycast\/sse-server\/conformance$/,
    replacement: at('packages/sse-server/src/conformance/index.ts'),
  },
  { find: /^@entitycast\/sse-client$/, replacement: at('packages/sse-client/src/index.ts') },
  { find: /^@entitycast\/sse-client\/([\w-]+)$/, replacement: `${at('packages/sse-client/src/bindings')}/$1` },
]

/** Kinds of tests that own browsers, servers or a thousand sockets: one file at a time, after everything else. */
const IO = '{api,browser,chaos,integration,interop,load,proxy,simulation}'
const all = ['packages/*/test/**/*.test.{ts,tsx}', 'examples/*/test/**/*.test.{ts,tsx}', 'test/**/*.test.{ts,tsx}']
const io = ['packages/*', 'examples/*', ''].map((folder) => `${folder && `${folder}/`}test/${IO}/**/*.test.{ts,tsx}`)
/** Tests that mostly wait: for a broker to be stopped, killed, wiped and started again. Three files at a time; `npm test` runs them beside the others. */
const brokers = ['packages/*/test/brokers/**/*.test.ts', 'test/brokers/**/*.test.ts']
const packed = ['test/packed/**/*.test.ts']

export default defineConfig({
  resolve: { alias },
  test: {
    // Upper limits of waiting, and no claims: two cores that have much else to do take their time.
    testTimeout: 60_000,
    hookTimeout: 120_000,
    projects: [
      {
        extends: true,
        test: {
          name: 'fast',
          include: all,
          exclude: [...io, ...brokers, ...packed, '**/node_modules/**'],
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: { name: 'io', include: io, fileParallelism: false, sequence: { groupOrder: 1 } },
      },
      {
        extends: true,
        test: {
          name: 'brokers',
          include: brokers,
          maxWorkers: 3,
          sequence: { groupOrder: 3 },
          // They wait for states, of several processes, beside everything else: each wait has its own end.
          testTimeout: 120_000,
          hookTimeout: 180_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'packed',
          include: packed,
          globalSetup: [at('test/packed/tarballs.ts')],
          fileParallelism: false,
          testTimeout: 120_000,
          hookTimeout: 300_000,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
})
