import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { consumer } from './consumer'

/** Versions that users have: what TOOLCHAIN pins, and the oldest and newest major that a peer range names. */
const NEST = { '@nestjs/common': '12.5.1', '@nestjs/core': '12.5.1', rxjs: '7.8.2', 'reflect-metadata': '0.2.2' }
const PEERS = [
  'express',
  'fastify',
  '@nestjs/common',
  '@nestjs/core',
  '@nestjs/event-emitter',
  'rxjs',
  'react',
  '@tanstack/query-core',
  '@angular/core',
  'vue',
  'svelte',
  'solid-js',
  'redis',
  'ioredis',
  'pg',
  '@nats-io/transport-node',
]

interface Entry {
  specifier: string
  exports: string[]
}

const SERVER = {
  specifier: '@entitycast/sse-server',
  exports: ['EventHub', 'HubError', 'MemoryAdapter', 'defineEvents'],
}
const CLIENT = { specifier: '@entitycast/sse-client', exports: ['EventSubscriber', 'applyEntityEvent'] }
const PROTOCOL = {
  specifier: '@entitycast/sse-protocol',
  exports: [
    'EntityEventSchema',
    'channelName',
    'parseChannelName',
    'matchesPattern',
    'matchesType',
    'formatCursor',
    'parseCursor',
    'encodeFrame',
    'defineEvents',
  ],
}

const CASES: { name: string; dependencies: Record<string, string>; peers: string[]; entries: Entry[] }[] = [
  {
    name: 'bare',
    dependencies: {},
    peers: [],
    entries: [
      PROTOCOL,
      SERVER,
      CLIENT,
      { specifier: '@entitycast/sse-server/node', exports: ['eventStream', 'eventStats', 'openStream'] },
      { specifier: '@entitycast/sse-server/fetch', exports: ['eventStream', 'eventStats'] },
      { specifier: '@entitycast/sse-server/testing', exports: ['connect', 'TestClientError'] },
      { specifier: '@entitycast/sse-server/cluster', exports: ['ClusterAdapter', 'startClusterLog'] },
      { specifier: '@entitycast/sse-server/conformance', exports: ['describeAdapter', 'adapterChecks'] },
      { specifier: '@entitycast/sse-client/testing', exports: ['createFakeServer'] },
      { specifier: '@entitycast/sse-client/tabs', exports: ['shareAcrossTabs'] },
      { specifier: '@entitycast/sse-client/event-source', exports: ['EventSource'] },
      { specifier: '@entitycast/sse-client/node', exports: ['NodeSubscriber', 'nodePlatform'] },
    ],
  },
  {
    name: 'express',
    dependencies: { express: '5.3.0' },
    peers: ['express'],
    entries: [SERVER, { specifier: '@entitycast/sse-server/express', exports: ['eventStream', 'eventStats'] }],
  },
  {
    name: 'express-4',
    dependencies: { express: '4.21.2' },
    peers: ['express'],
    entries: [SERVER, { specifier: '@entitycast/sse-server/express', exports: ['eventStream', 'eventStats'] }],
  },
  {
    name: 'fastify',
    dependencies: { fastify: '5.12.8' },
    peers: ['fastify'],
    entries: [SERVER, { specifier: '@entitycast/sse-server/fastify', exports: ['eventStream', 'eventStats'] }],
  },
  {
    name: 'redis',
    dependencies: { redis: '6.3.1' },
    peers: ['redis'],
    entries: [SERVER, { specifier: '@entitycast/sse-server/redis', exports: ['RedisAdapter'] }],
  },
  {
    name: 'ioredis',
    dependencies: { ioredis: '6.0.0' },
    peers: ['ioredis'],
    entries: [SERVER, { specifier: '@entitycast/sse-server/redis', exports: ['RedisAdapter'] }],
  },
  {
    name: 'postgres',
    dependencies: { pg: '8.23.1' },
    peers: ['pg'],
    entries: [SERVER, { specifier: '@entitycast/sse-server/postgres', exports: ['PostgresAdapter'] }],
  },
  {
    name: 'nats',
    dependencies: { '@nats-io/transport-node': '3.4.0' },
    peers: ['@nats-io/transport-node'],
    entries: [SERVER, { specifier: '@entitycast/sse-server/nats', exports: ['NatsAdapter'] }],
  },
  {
    name: 'nest',
    dependencies: NEST,
    peers: ['@nestjs/common', '@nestjs/core', 'rxjs'],
    entries: [SERVER, { specifier: '@entitycast/sse-server/nest', exports: ['EventsModule', 'openStream'] }],
  },
  {
    name: 'nest-event-emitter',
    dependencies: { ...NEST, '@nestjs/event-emitter': '12.0.1' },
    peers: ['@nestjs/common', '@nestjs/core', '@nestjs/event-emitter', 'rxjs'],
    entries: [SERVER, { specifier: '@entitycast/sse-server/nest', exports: ['EventsModule', 'openStream'] }],
  },
  {
    name: 'react',
    dependencies: { react: '19.3.1' },
    peers: ['react'],
    entries: [
      CLIENT,
      {
        specifier: '@entitycast/sse-client/react',
        exports: ['DataUpdatesProvider', 'useDataUpdates', 'useEntityUpdates', 'useSSE', 'useConnectionState'],
      },
    ],
  },
  {
    name: 'react-18',
    dependencies: { react: '18.3.1' },
    peers: ['react'],
    entries: [CLIENT, { specifier: '@entitycast/sse-client/react', exports: ['DataUpdatesProvider', 'useSSE'] }],
  },
  {
    name: 'tanstack-query',
    dependencies: { '@tanstack/query-core': '5.108.0' },
    peers: ['@tanstack/query-core'],
    entries: [CLIENT, { specifier: '@entitycast/sse-client/tanstack-query', exports: ['bindQueryClient'] }],
  },
  {
    name: 'rxjs',
    dependencies: { rxjs: '7.8.2' },
    peers: ['rxjs'],
    entries: [
      CLIENT,
      { specifier: '@entitycast/sse-client/rxjs', exports: ['fromPattern', 'fromType', 'connectionState$', 'resync$'] },
    ],
  },
  {
    name: 'angular',
    dependencies: { '@angular/core': '21.2.26', rxjs: '7.8.2' },
    peers: ['rxjs', '@angular/core'],
    entries: [
      CLIENT,
      {
        specifier: '@entitycast/sse-client/angular',
        exports: ['provideEntitycast', 'Entitycast', 'injectEntityUpdates'],
      },
    ],
  },
  {
    name: 'vue',
    dependencies: { vue: '3.5.45' },
    peers: ['vue'],
    entries: [CLIENT, { specifier: '@entitycast/sse-client/vue', exports: ['useConnection', 'useEntityUpdates'] }],
  },
  {
    name: 'svelte',
    dependencies: { svelte: '5.57.3' },
    peers: ['svelte'],
    entries: [CLIENT, { specifier: '@entitycast/sse-client/svelte', exports: ['connection', 'connectionState'] }],
  },
  {
    name: 'solid',
    dependencies: { 'solid-js': '1.9.19' },
    peers: ['solid-js'],
    entries: [CLIENT, { specifier: '@entitycast/sse-client/solid', exports: ['useConnection', 'useEntityUpdates'] }],
  },
]

/** A program for each module system that loads every entry, asks for its exports, and has to end by itself. */
function programs(entries: Entry[]): Record<string, string> {
  const checks = entries
    .flatMap(({ specifier, exports }, i) =>
      exports.map(
        (name) =>
          `if (!['function', 'object'].includes(typeof m${i}.${name})) throw new Error('${specifier} has no ${name}')`,
      ),
    )
    .join('\n')
  const all = `${checks}\nconsole.log('loaded')\n`
  return {
    'load.mjs': `${entries.map(({ specifier }, i) => `import * as m${i} from '${specifier}'`).join('\n')}\n${all}`,
    'load.cjs': `${entries.map(({ specifier }, i) => `const m${i} = require('${specifier}')`).join('\n')}\n${all}`,
  }
}

describe.each(CASES)('[packed] a folder with $peers', ({ name, dependencies, peers, entries }) => {
  it.each(['load.mjs', 'load.cjs'])('[packed] loads its entries, and ends by itself: %s', async (file) => {
    const folder = await consumer(name, dependencies)
    expect(PEERS.filter((peer) => folder.has(peer))).toEqual(peers)
    folder.write(file, programs(entries)[file] ?? '')
    expect(await folder.node([file])).toEqual({ code: 0, stdout: 'loaded\n', stderr: '' })
  })
})

/** Publishes through the root's class and reads through the subpath's mount: both must mean the same class. */
const IDENTITY = `
const hub = new EventHub({ logger: false })
const server = createServer(node.eventStream(hub, { authorize: () => ({ projectId: 'p' }) }))
server.listen(0, '127.0.0.1', async () => {
  const response = await fetch('http://127.0.0.1:' + server.address().port)
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
  let text = ''
  while (!text.includes('event: connected')) text += (await reader.read()).value
  await hub.project('p').updated('document', 'doc_1', { chunks: 3 })
  while (!text.includes('"chunks":3')) text += (await reader.read()).value
  await hub.close()
  server.close()
  while (!(await reader.read()).done);
  console.log('same')
})
`

describe('[packed] there is one EventHub', () => {
  it('[packed] in ESM: the hub of the root is served by the mount of a subpath', async () => {
    const folder = await consumer('bare')
    const head = `import { createServer } from 'node:http'\nimport { EventHub } from '@entitycast/sse-server'\nimport * as node from '@entitycast/sse-server/node'\n`
    folder.write('identity.mjs', head + IDENTITY)
    expect(await folder.node(['identity.mjs'])).toEqual({ code: 0, stdout: 'same\n', stderr: '' })
  })

  it('[packed] in CommonJS too', async () => {
    const folder = await consumer('bare')
    const head = `const { createServer } = require('node:http')\nconst { EventHub } = require('@entitycast/sse-server')\nconst node = require('@entitycast/sse-server/node')\n`
    folder.write('identity.cjs', head + IDENTITY)
    expect(await folder.node(['identity.cjs'])).toEqual({ code: 0, stdout: 'same\n', stderr: '' })
  })

  it('[packed] and of the two in a program that is half ESM and half CommonJS, each fits the mounts of the other', async () => {
    const folder = await consumer('bare')
    const head = `import { createServer } from 'node:http'\nimport { createRequire } from 'node:module'\n`
    const esm = (name: string, entry: string) => `import ${name} from '@entitycast/sse-server${entry}'\n`
    const commonjs = (name: string, entry: string) =>
      `const ${name} = createRequire(import.meta.url)('@entitycast/sse-server${entry}')\n`
    folder.write('esm-takes.mjs', head + esm('* as node', '/node') + commonjs('{ EventHub }', '') + IDENTITY)
    folder.write('esm-gives.mjs', head + esm('{ EventHub }', '') + commonjs('node', '/node') + IDENTITY)
    expect(await folder.node(['esm-takes.mjs'])).toEqual({ code: 0, stdout: 'same\n', stderr: '' })
    expect(await folder.node(['esm-gives.mjs'])).toEqual({ code: 0, stdout: 'same\n', stderr: '' })
  })

  it('[packed] Nest injects the class of the root, in ESM and in CommonJS', async () => {
    const folder = await consumer('nest', NEST)
    // The providers of a dynamic module name the class that they provide.
    const check = `
      const { providers } = EventsModule.forRoot()
      if (!providers.some((one) => one === EventHub || one.provide === EventHub)) throw new Error('another EventHub')
      console.log('same')
    `
    folder.write(
      'identity.mjs',
      `import 'reflect-metadata'\nimport { EventHub } from '@entitycast/sse-server'\nimport { EventsModule } from '@entitycast/sse-server/nest'\n${check}`,
    )
    folder.write(
      'identity.cjs',
      `require('reflect-metadata')\nconst { EventHub } = require('@entitycast/sse-server')\nconst { EventsModule } = require('@entitycast/sse-server/nest')\n${check}`,
    )
    expect(await folder.node(['identity.mjs'])).toEqual({ code: 0, stdout: 'same\n', stderr: '' })
    expect(await folder.node(['identity.cjs'])).toEqual({ code: 0, stdout: 'same\n', stderr: '' })
  })

  it('[packed] no leaf carries a copy of an engine', async () => {
    const { folder } = await consumer('bare')
    for (const [name, engine] of [
      [
        'sse-server',
        /class (?:EventHub|Hub|Feed|MemoryAdapter|Chunk)\b|\b(?:EventHub|Hub|Feed|MemoryAdapter|Chunk) = class\b/,
      ],
      ['sse-client', /class EventSubscriber\b|\bEventSubscriber = class\b/],
    ] as const) {
      const dist = path.join(folder, 'node_modules/@entitycast', name, 'dist')
      const leaves = readdirSync(dist).filter((file) => /\.c?js$/.test(file) && !file.startsWith('index.'))
      expect(leaves.length).toBeGreaterThan(1)
      expect(leaves.filter((file) => engine.test(readFileSync(path.join(dist, file), 'utf8')))).toEqual([])
      expect(engine.test(readFileSync(path.join(dist, 'index.js'), 'utf8'))).toBe(true)
    }
  })
})
