import { describe, expect, it } from 'vitest'
import { CLEAN, compile, typescript } from './typescript'

/** What both halves have, each from its own declarations. */
const HALF = `
import { type AnyHub, type Adapter, defineEvents, EventHub, HubError, MemoryAdapter } from '@entitycast/sse-server'
import { eventStream } from '@entitycast/sse-server/node'
import { EventSubscriber, eventsOf, SubscriberError } from '@entitycast/sse-client'
import { EventSource } from '@entitycast/sse-client/event-source'
import { NodeSubscriber } from '@entitycast/sse-client/node'
import { createFakeServer } from '@entitycast/sse-client/testing'
import { HandlerIndex } from '@entitycast/sse-protocol'
import { z } from 'zod'

export const events = defineEvents({
  entities: { document: z.object({ embeddedChunks: z.number() }) },
  named: { 'lock:acquired': z.object({ entityId: z.number() }) },
})
export const adapter: Adapter = new MemoryAdapter()
export const hub = new EventHub({ logger: false })
export const typedHub = new EventHub({ events })
export const updates = new EventSubscriber('http://127.0.0.1/')
export const typedUpdates = new EventSubscriber<typeof events>('http://127.0.0.1/')
export const nodeUpdates = new NodeSubscriber<typeof events>('http://127.0.0.1/')
export const source = () => new EventSource('http://127.0.0.1/')
export const fakeServer = createFakeServer()
export const handlers = new HandlerIndex()
export const errors: { hub?: HubError; subscriber?: SubscriberError } = {}
export const authorize = () => ({ projectId: 'p' })
export type Mount = AnyHub
export { EventHub, eventStream, eventsOf }
`

/** One half takes all that the other has made; what is wrong in one half is wrong across. */
const across = (own: string, other: string) => `
import type * as Own from '${own}'
import * as own from '${own}'
import * as other from '${other}'

export const taken: Omit<typeof Own, 'EventHub' | 'eventStream' | 'eventsOf' | 'default'> = other
export const mounted: Own.Mount[] = [other.hub, other.typedHub]
export const streams = [own.eventStream(other.hub, other), own.eventStream(other.typedHub, own)]
export const made = [new own.EventHub({ adapter: other.adapter }), new own.EventHub({ events: other.events })]
export async function follow() {
  for await (const event of own.eventsOf(other.typedUpdates, 'document:*')) event.data?.embeddedChunks.toFixed()
  // @ts-expect-error a number is no string
  for await (const event of own.eventsOf(other.typedUpdates, 'document:*')) event.data?.embeddedChunks.trim()
  // @ts-expect-error not defined
  own.eventsOf(other.typedUpdates, 'chunk:*')
}
// @ts-expect-error a hub is no subscriber
own.eventsOf(other.hub, 'document:*')
// @ts-expect-error and a subscriber no hub
own.eventStream(other.updates, own)
`

describe('[packed] a program that is half ESM and half CommonJS', () => {
  // 5.4 relates fewer conditional types: there all of it fits but a subscriber that has definitions. 6.0 and 5.9 are one compiler here.
  it.each(['typescript-5.9', 'typescript-7.0'])(
    '[packed] has one type of each class, in both directions: %s',
    async (compiler) => {
      const folder = await typescript()
      folder.write('esm.mts', HALF)
      folder.write('commonjs.cts', HALF)
      folder.write('esm-takes.mts', across('./esm.mjs', './commonjs.cjs'))
      folder.write('esm-gives.mts', across('./commonjs.cjs', './esm.mjs'))
      const files = ['esm-takes.mts', 'esm-gives.mts']
      expect(await compile(compiler, folder, files, { skipLibCheck: true })).toEqual(CLEAN)
    },
  )
})
