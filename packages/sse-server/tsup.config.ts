import { defineConfig } from 'tsup'

export default defineConfig({
  entry: {
    index: 'src/index.ts',
    node: 'src/mounts/node.ts',
    express: 'src/mounts/express.ts',
    fastify: 'src/mounts/fastify.ts',
    fetch: 'src/mounts/fetch.ts',
    nest: 'src/mounts/nest.ts',
    redis: 'src/adapters/redis.ts',
    postgres: 'src/adapters/postgres.ts',
    nats: 'src/adapters/nats.ts',
    cluster: 'src/adapters/cluster.ts',
    conformance: 'src/conformance/index.ts',
    testing: 'src/mounts/testing.ts',
  },
  format: ['esm', 'cjs'],
  dts: { compilerOptions: { ignoreDeprecations: '6.0' } },
  // Leaves import the package by its published name: one copy of EventHub in every process, ESM and CommonJS alike.
  external: [/^@entitycast\//],
  target: 'es2022',
  clean: true,
  treeshake: true,
})
