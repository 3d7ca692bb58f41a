import { beforeAll, describe, expect, it } from 'vitest'
import { type Consumer, consumer } from './consumer'
import { CLEAN, compile, compilers, typescript } from './typescript'

/** Every entry, and what inference has to give. */
const SOURCE = `
import { defineEvents, type EntityEvent, matchesPattern } from '@entitycast/sse-protocol'
import { EventHub, HubError } from '@entitycast/sse-server'
import { eventStats as expressStats, eventStream as expressStream } from '@entitycast/sse-server/express'
import { eventStream as fastifyStream } from '@entitycast/sse-server/fastify'
import { eventStream as fetchStream } from '@entitycast/sse-server/fetch'
import { EventsModule, openStream } from '@entitycast/sse-server/nest'
import { eventStream as nodeStream } from '@entitycast/sse-server/node'
import { applyEntityEvent, EventSubscriber } from '@entitycast/sse-client'
import { DataUpdatesProvider, useEntityUpdates } from '@entitycast/sse-client/react'
import { bindQueryClient } from '@entitycast/sse-client/tanstack-query'
import { fromPattern, fromType } from '@entitycast/sse-client/rxjs'
import { createFakeServer } from '@entitycast/sse-client/testing'
import { connect } from '@entitycast/sse-server/testing'
import { QueryClient } from '@tanstack/query-core'
import { z } from 'zod'

const events = defineEvents({
  entities: { document: z.object({ embeddedChunks: z.number() }) },
  named: { 'lock:acquired': z.object({ entityId: z.number() }) },
})
export const hub = new EventHub({ events })
export const published: Promise<string> = hub.project('p').updated('document', 'd', { embeddedChunks: 5 })
// @ts-expect-error a string is no number
hub.project('p').updated('document', 'd', { embeddedChunks: '5' })
// @ts-expect-error not defined
hub.project('p').emit('lock:released', { entityId: 1 })

const updates = new EventSubscriber<typeof events>('/stream')
updates.subscribe('document:*', (event) => {
  const chunks: number | undefined = event.data?.embeddedChunks
  return void chunks
})
updates.on('lock:acquired', (event) => {
  const id: number = event.data.entityId
  return void id
})
// @ts-expect-error not defined
updates.subscribe('chunk:*', () => {})
// @ts-expect-error misspelt
updates.on('lock:aquired', () => {})
declare const nobody: string | undefined
declare const none: undefined
export const fromEnvironment = () => new EventHub({ heartbeatIntervalMs: none, retention: { ageMs: none }, limits: { perUser: none } })
export const anonymous = () =>
  hub.publish({ type: 'entity.updated', entity: 'document', id: 'd', projectId: 'p', userId: nobody, channel: nobody, version: none, data: none })
fromPattern(updates, 'document:*').subscribe(({ data }) => data?.embeddedChunks.toFixed())
fromType(updates, 'lock:acquired').subscribe(({ data }) => data.entityId.toFixed())
bindQueryClient(updates, new QueryClient(), {
  patterns: { 'document:*': { patch: ['documents'], invalidate: ({ id, data }) => ['chunks', id, data?.embeddedChunks.toFixed()] } },
  types: { 'lock:acquired': { invalidate: ({ data }) => ['locks', data.entityId.toFixed()] } },
})
// @ts-expect-error not defined
bindQueryClient(updates, new QueryClient(), { patterns: { 'chunk:*': {} } })
void [createFakeServer, connect]

export const disposable: Disposable = updates

const rows: { id: string; chunks: number }[] = applyEntityEvent([{ id: 'd', chunks: 1 }], {} as EntityEvent)
const authorize = () => ({ projectId: 'p' })
export const all = [
  rows, matchesPattern('*', {}), HubError, EventsModule, openStream, fastifyStream, useEntityUpdates, DataUpdatesProvider,
  expressStream(new EventHub(), { authorize }), fetchStream(new EventHub(), { authorize }), nodeStream(new EventHub(), { authorize }),
]
// A hub and a subscriber with definitions fit wherever one without does.
export const typed = [
  expressStream(hub, { authorize }), expressStats(hub), fetchStream(hub, { authorize }), nodeStream(hub, { authorize }),
  EventsModule.forRoot({ hub }), EventsModule.forRoot({ hub: { events } }),
  connect({ hub, grant: { projectId: 'p' } }), DataUpdatesProvider({ subscriber: updates }),
]
export const plugin: Parameters<typeof fastifyStream>[1] = { hub, authorize }
// @ts-expect-error authorize is required
nodeStream(new EventHub(), {})
`

const OLD_SOURCE = `
import { EventHub } from '@entitycast/sse-server'
import { eventStream } from '@entitycast/sse-server/express'
import { EventsModule, openStream } from '@entitycast/sse-server/nest'
import { EventSubscriber } from '@entitycast/sse-client'
import { useEntityUpdates } from '@entitycast/sse-client/react'
export const hub: EventHub = new EventHub()
export const all = [eventStream(hub, { authorize: (req) => (req.path ? { projectId: 'p' } : null) }), EventsModule, openStream, EventSubscriber, useEntityUpdates]
`

describe.each(compilers)('[packed] a consumer with %s', (compiler) => {
  let folder: Consumer

  beforeAll(async () => {
    folder = await typescript()
    folder.write('consumer.ts', SOURCE)
    folder.write('consumer.cts', SOURCE)
  })

  it.each([
    ['ESM', 'consumer.ts', {}],
    ['CommonJS', 'consumer.cts', {}],
    ['a bundler', 'consumer.ts', { module: 'esnext', moduleResolution: 'bundler' }],
  ])('[packed] compiles every entry, strict: %s', async (_, file, resolution) => {
    // The peers' own types are not ours to check with an old compiler; ours are checked by each use above.
    expect(await compile(compiler, folder, [file], { ...resolution, skipLibCheck: true })).toEqual(CLEAN)
  })
})

// What "module": "commonjs" means before TypeScript 6: it knows no exports of a package.
describe('[packed] a project of old, such as Nest used to make', () => {
  it.each(compilers.filter((compiler) => compiler.startsWith('typescript-5')))(
    '[packed] finds the types of each entry with %s',
    async (compiler) => {
      const folder = await typescript()
      folder.write('old.ts', OLD_SOURCE)
      const flags = '--noEmit --strict --skipLibCheck --target es2022 --module commonjs --lib es2023,dom old.ts'
      const args = [`node_modules/${compiler}/bin/tsc`, ...flags.split(' ')]
      expect(await folder.node(args, { timeoutMs: 120_000 })).toEqual(CLEAN)
    },
  )
})

describe('[packed] our declarations are sound by themselves', () => {
  it.each(compilers)('[packed] %s: the client needs no library beyond ES2022 and DOM', async (compiler) => {
    const folder = await consumer('bare')
    folder.write(
      'client.ts',
      "import { EventSubscriber } from '@entitycast/sse-client'\nnew EventSubscriber('/stream').close()\n",
    )
    expect(await compile(compiler, folder, ['client.ts'], { types: [] })).toEqual(CLEAN)
  })

  it('[packed] with skipLibCheck off, where no peer is installed', async () => {
    const folder = await consumer('bare')
    const entries = ['sse-protocol', 'sse-server', 'sse-server/fetch', 'sse-client']
    folder.write(
      'declarations.ts',
      entries.map((entry) => `export * as ${entry.replace(/\W/g, '_')} from '@entitycast/${entry}'`).join('\n'),
    )
    const typeRoots = [`${(await typescript()).folder}/node_modules/@types`]
    expect(await compile('typescript-6.0', folder, ['declarations.ts'], { typeRoots })).toEqual(CLEAN)
  })
})
