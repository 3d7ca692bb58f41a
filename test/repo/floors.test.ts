import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { checkFloors, HARD_LINES, readRepository } from '../../scripts/floors.mjs'

/** A house in which everything is where it belongs; each test below breaks one thing in it. */
const sound: Record<string, string> = {
  'packages/sse-protocol/package.json': JSON.stringify({
    exports: { '.': {}, './vectors/*': {} },
    dependencies: { valibot: '1' },
  }),
  'packages/sse-protocol/src/index.ts': "export { channel } from './channel'",
  'packages/sse-protocol/src/channel.ts': "import * as v from 'valibot'\nexport const channel = v.string()",
  'packages/sse-server/package.json': JSON.stringify({
    exports: {
      '.': {},
      './node': {},
      './express': {},
      './nest': {},
      './fastify': {},
      './fetch': {},
      './conformance': {},
    },
    dependencies: { '@entitycast/sse-protocol': '1' },
    peerDependencies: { express: '5' },
  }),
  'packages/sse-server/src/index.ts':
    "export { EventHub } from './event-hub'\nexport { MemoryAdapter } from './adapters/memory'\nexport type { Sink } from './seams/sink'",
  'packages/sse-server/src/event-hub.ts':
    "import { Hub } from './hub/hub'\nimport { MemoryAdapter } from './adapters/memory'\nexport class EventHub extends Hub { log = MemoryAdapter }",
  'packages/sse-server/src/hub/hub.ts': "import { Feed } from '../feed/feed'\nexport class Hub extends Feed {}",
  'packages/sse-server/src/feed/feed.ts':
    "import type { Sink } from '../seams/sink'\nimport { channel } from '@entitycast/sse-protocol'\nexport class Feed { sink?: Sink; c = channel }",
  'packages/sse-server/src/seams/sink.ts': 'export interface Sink { write(): boolean }',
  'packages/sse-server/src/adapters/memory.ts':
    "import type { Sink } from '../seams/sink'\nexport class MemoryAdapter { sink?: Sink }",
  'packages/sse-server/src/conformance/index.ts':
    "import type { EventHub } from '@entitycast/sse-server'\nexport { checks } from './checks'\nexport let hub: EventHub",
  'packages/sse-server/src/conformance/checks.ts': 'export const checks = []',
  'packages/sse-server/src/mounts/node.ts':
    "import http from 'node:http'\nimport { EventHub } from '@entitycast/sse-server'\nexport const node = [http, EventHub]",
  'packages/sse-server/src/mounts/express.ts':
    "import type { Request } from 'express'\nimport { node } from '@entitycast/sse-server/node'\nexport const express = (_: Request) => node",
  'packages/sse-server/src/mounts/fetch.ts':
    "import type { EventHub } from '@entitycast/sse-server'\nexport const fetcher = (_: EventHub) => 1",
  'packages/sse-client/package.json': JSON.stringify({
    exports: { '.': {}, './react': {} },
    dependencies: { '@entitycast/sse-protocol': '1', 'eventsource-parser': '3' },
    peerDependencies: { react: '19' },
  }),
  'packages/sse-client/src/index.ts': "export { EventSubscriber } from './subscriber/subscriber'",
  'packages/sse-client/src/subscriber/subscriber.ts':
    "import { createParser } from 'eventsource-parser'\nimport { delay } from '../retry/backoff'\nexport class EventSubscriber { p = createParser; d = delay }",
  'packages/sse-client/src/retry/backoff.ts': 'export const delay = 1',
  'packages/sse-client/src/bindings/react.tsx':
    "import { useEffect } from 'react'\nimport { EventSubscriber } from '@entitycast/sse-client'\nexport const use = [useEffect, EventSubscriber]",
  'examples/shop/server/main.ts':
    "import { EventHub } from '@entitycast/sse-server'\nimport './routes'\nimport fs from 'node:fs'\nnew EventHub(fs)",
  'examples/shop/server/routes.ts': "import { node } from '@entitycast/sse-server/node'\nexport default node",
}

/** The sound house with one file replaced or added, and what is found in it. */
function broken(file: string, text: string) {
  return checkFloors({ ...sound, [file]: text }).map(({ rule, file: where, line }) => `${rule} ${where}:${line}`)
}

const SERVER = 'packages/sse-server/src'
const CLIENT = 'packages/sse-client/src'
const PROTOCOL = 'packages/sse-protocol/src'

describe('[floors] this repository', () => {
  it('[floors] every import in it goes down', () => {
    expect(checkFloors(readRepository(fileURLToPath(new URL('../..', import.meta.url))))).toEqual([])
  })

  it('[floors] is read whole: sources, tests and examples, with the package.json of each package', () => {
    const files = Object.keys(readRepository(fileURLToPath(new URL('../..', import.meta.url))))
    expect(files).toContain('packages/sse-protocol/package.json')
    expect(files).toContain('packages/sse-protocol/src/codec.ts')
    expect(files).toContain('scripts/floors.mjs')
  })
})

describe('[floors] the check can fail', () => {
  it('[floors] nothing is found in a sound house', () => {
    expect(checkFloors(sound)).toEqual([])
  })

  it('[floors] the one leaf of the client that is for programs may import Node', () => {
    expect(broken(`${CLIENT}/bindings/node.ts`, "import 'node:http'")).toEqual([])
  })

  it.each([
    ['a seam imports an engine', `${SERVER}/seams/sink.ts`, "import '../hub/hub'", 'up'],
    [
      'a seam imports a type of an engine',
      `${SERVER}/seams/sink.ts`,
      "export type X = import('../hub/hub').EventHub",
      'up',
    ],
    ['an engine imports a leaf', `${SERVER}/feed/feed.ts`, "import '../mounts/node'", 'up'],
    [
      'an engine imports the default adapter',
      `${SERVER}/hub/hub.ts`,
      "import { MemoryAdapter } from '../adapters/memory'",
      'up',
    ],
    [
      'an engine imports its package by name',
      `${SERVER}/hub/hub.ts`,
      "import type { Sink } from '@entitycast/sse-server'",
      'up',
    ],
    ['an engine imports the entry file', `${SERVER}/hub/hub.ts`, "export * from '../index'", 'up'],
    [
      'an engine imports what puts the package together',
      `${SERVER}/hub/hub.ts`,
      "import type { EventHub } from '../event-hub'",
      'up',
    ],
    [
      'a leaf imports what puts the package together',
      `${SERVER}/mounts/fetch.ts`,
      "import { EventHub } from '../event-hub'",
      'inside',
    ],
    ['the entry file imports a mount', `${SERVER}/index.ts`, "export * from './mounts/node'", 'up'],
    ['the protocol imports the server', `${PROTOCOL}/channel.ts`, "import '@entitycast/sse-server'", 'up'],
    ['the server imports the client', `${SERVER}/hub/hub.ts`, "import '@entitycast/sse-client'", 'sideways'],
    [
      'a leaf imports an engine by path',
      `${SERVER}/mounts/fetch.ts`,
      "import { EventHub } from '../hub/hub'",
      'inside',
    ],
    [
      'a leaf imports the entry file by path',
      `${SERVER}/mounts/fetch.ts`,
      "import type { EventHub } from '../index'",
      'inside',
    ],
    [
      'a mount imports a value of a seam',
      `${SERVER}/mounts/fetch.ts`,
      "import { Chunk } from '../seams/sink'",
      'inside',
    ],
    [
      'a mount imports another mount by path',
      `${SERVER}/mounts/express.ts`,
      "import { node } from './node'",
      'sideways',
    ],
    ['a mount imports an adapter', `${SERVER}/mounts/node.ts`, "import '../adapters/memory'", 'sideways'],
    ['an engine imports the conformance suite', `${SERVER}/hub/hub.ts`, "import '../conformance/checks'", 'up'],
    [
      'the conformance suite imports an adapter',
      `${SERVER}/conformance/checks.ts`,
      "import '../adapters/memory'",
      'sideways',
    ],
    [
      'an adapter imports the conformance suite',
      `${SERVER}/adapters/memory.ts`,
      "import '@entitycast/sse-server/conformance'",
      'sideways',
    ],
    [
      'fetch imports the mount of node',
      `${SERVER}/mounts/fetch.ts`,
      "import '@entitycast/sse-server/node'",
      'sideways',
    ],
    [
      'express imports the mount of fetch',
      `${SERVER}/mounts/express.ts`,
      "import '@entitycast/sse-server/fetch'",
      'sideways',
    ],
    [
      'conformance imports a value of an engine',
      `${SERVER}/conformance/checks.ts`,
      "import { EventHub } from '@entitycast/sse-server'",
      'contract',
    ],
    [
      'conformance imports the protocol',
      `${SERVER}/conformance/checks.ts`,
      "import { channel } from '@entitycast/sse-protocol'",
      'contract',
    ],
    [
      'conformance imports an engine by path',
      `${SERVER}/conformance/checks.ts`,
      "import type { Feed } from '../feed/feed'",
      'inside',
    ],
    [
      'conformance imports a value of a seam',
      `${SERVER}/conformance/checks.ts`,
      "import { Sink } from '../seams/sink'",
      'inside',
    ],
    [
      'conformance imports an adapter',
      `${SERVER}/conformance/checks.ts`,
      "import { MemoryAdapter } from '../adapters/memory'",
      'sideways',
    ],
    [
      'an adapter imports conformance',
      `${SERVER}/adapters/memory.ts`,
      "import '@entitycast/sse-server/conformance'",
      'sideways',
    ],
    ['an engine imports conformance', `${SERVER}/feed/feed.ts`, "import { checks } from '../conformance/checks'", 'up'],
    [
      'a package reaches into another by path',
      `${CLIENT}/retry/backoff.ts`,
      "import '../../../sse-protocol/src/channel'",
      'outside',
    ],
    ['a file reaches out of src', `${SERVER}/hub/hub.ts`, "import '../../test/fixture'", 'outside'],
    [
      'a subpath that is not exported',
      `${SERVER}/hub/hub.ts`,
      "import '@entitycast/sse-protocol/src/codec'",
      'published',
    ],
    [
      'an example reaches into a package',
      'examples/shop/server/routes.ts',
      "import '../../../packages/sse-server/src/hub/hub'",
      'published',
    ],
    [
      'an example uses a subpath that is not exported',
      'examples/shop/server/routes.ts',
      "import '@entitycast/sse-server/hub'",
      'published',
    ],
    ['the root needs a peer', `${SERVER}/hub/hub.ts`, "import type { Request } from 'express'", 'peer'],
    ['a leaf needs what no package.json names', `${SERVER}/mounts/node.ts`, "import 'koa'", 'peer'],
    ['the client imports Node', `${CLIENT}/retry/backoff.ts`, "import 'node:timers'", 'pure'],
    ['a leaf of the client imports Node', `${CLIENT}/bindings/react.tsx`, "import 'node:timers'", 'pure'],
    ['the protocol imports Node', `${PROTOCOL}/channel.ts`, "import { Buffer } from 'buffer'", 'pure'],
  ])('[floors] %s', (_, file, text, rule) => {
    // What goes up often comes round as well.
    expect(broken(file, text).filter((found) => !found.startsWith('cycle'))).toEqual([`${rule} ${file}:1`])
  })

  it.each([
    ["import type { EventHub } from '../hub/hub'"],
    ["import { type EventHub } from '../hub/hub'"],
    ["export type { EventHub } from '../hub/hub'"],
    ["export * from '../hub/hub'"],
    ["const hub = await import('../hub/hub')"],
    ["import hub = require('../hub/hub')"],
    ["const hub = require('../hub/hub')"],
    ["let hub: import('../hub/hub').EventHub"],
    ["let hub: typeof import('../hub/hub')"],
  ])('[floors] an import is an import however it is written: %s', (text) => {
    expect(broken(`${SERVER}/mounts/fetch.ts`, text)).toEqual([`inside ${SERVER}/mounts/fetch.ts:1`])
  })

  it.each([
    ['a timer', 'setTimeout(() => {}, 1)'],
    ['a timer behind globalThis', 'globalThis.setTimeout(() => {}, 1)'],
    ['a Node global', 'export const bytes = Buffer.from("x")'],
    ['the environment', 'export const debug = process.env.DEBUG'],
    ['the DOM', 'export const title = document.title'],
    ['the network', 'export const load = () => fetch("/")'],
    ['a global as a value', 'export const ports = { setTimeout }'],
  ])('[floors] the protocol uses %s', (_, text) => {
    expect(broken(`${PROTOCOL}/channel.ts`, text)).toEqual([`pure ${PROTOCOL}/channel.ts:1`])
  })

  it('[floors] a field or a parameter that is called like a global is not one', () => {
    const text =
      'export interface A { document: string }\nexport const of = (process: A) => ({ document: process.document })'
    expect(broken(`${PROTOCOL}/channel.ts`, text)).toEqual([])
  })

  it('[floors] two files that import each other', () => {
    const found = checkFloors({
      ...sound,
      [`${SERVER}/feed/feed.ts`]: "export type { EventHub } from '../hub/hub'\nexport class Feed {}",
    })
    expect(found.map(({ rule }) => rule)).toEqual(['cycle'])
    expect(found[0]?.message).toContain('hub/hub.ts -> packages/sse-server/src/feed/feed.ts')
  })

  it('[floors] a cycle through the published name', () => {
    const files = {
      ...sound,
      [`${SERVER}/adapters/memory.ts`]: "import type { EventHub } from '@entitycast/sse-server'",
    }
    expect(checkFloors(files).map(({ rule }) => rule)).toEqual(['cycle'])
  })

  it("[floors] a leaf's second file is named after it, and is no other leaf's", () => {
    const stream = { [`${SERVER}/mounts/node-stream.ts`]: 'export const stream = 1' }
    const from = (mount: string) =>
      checkFloors({ ...sound, ...stream, [`${SERVER}/mounts/${mount}.ts`]: "export { stream } from './node-stream'" })
    expect(from('node')).toEqual([])
    expect(from('fetch').map(({ rule }) => rule)).toEqual(['sideways'])
  })

  it('[floors] a file one line over the limit', () => {
    expect(broken(`${SERVER}/feed/long.ts`, '\n'.repeat(HARD_LINES))).toEqual([])
    expect(broken(`${SERVER}/feed/long.ts`, '\n'.repeat(HARD_LINES + 1))).toEqual([
      `length ${SERVER}/feed/long.ts:${HARD_LINES + 1}`,
    ])
  })

  it.each(['utils.ts', 'util.ts', 'helpers.ts', 'test-less/helper.ts', 'common/log.ts', 'types.ts', 'utils.test.ts'])(
    '[floors] a name that says nothing: %s',
    (name) => {
      expect(broken(`${SERVER}/feed/${name}`, '')).toEqual([`name ${SERVER}/feed/${name}:1`])
    },
  )

  it.each(['// floors-ignore', '// biome-ignore lint: no', '/* eslint-disable */', '// @ts-nocheck', '// @ts-ignore'])(
    '[floors] no comment switches it off: %s',
    (comment) => {
      expect(broken(`${SERVER}/mounts/fetch.ts`, `${comment}\nimport '../hub/hub'`)).toEqual([
        `inside ${SERVER}/mounts/fetch.ts:2`,
      ])
    },
  )
})
