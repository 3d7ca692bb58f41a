// @vitest-environment jsdom
import { useConnection, useEntityUpdates, useEvents, useResync } from '@entitycast/sse-client/solid'
import { createFakeServer } from '@entitycast/sse-client/testing'
import { createEffect, createRoot, createSignal } from 'solid-js'
import { expect, it, vi } from 'vitest'
import { bindingSuite } from './binding-suite'

// Node is given the build for servers, in which nothing is reactive.
vi.mock('solid-js', () => import('solid-js/dist/solid.js' as 'solid-js'))

bindingSuite({
  name: 'solid',
  mount: ({ subscriber, pattern, handler, onResync }) =>
    createRoot((unmount) => {
      const shown: string[] = []
      const [newest, setNewest] = createSignal(handler)
      const readers = [useConnection(subscriber), useConnection(subscriber)]
      for (const [i, reader] of readers.entries()) createEffect(() => (shown[i] = reader().state))
      useEntityUpdates(subscriber, pattern, (event) => newest()(event))
      useResync(subscriber, ({ reason }) => onResync(reason))
      return { shown: () => [...shown], handle: (next) => void setNewest(() => next), unmount }
    }),
})

it('another pattern is another subscription, and useEvents goes by type', async () => {
  const server = createFakeServer()
  const subscriber = server.subscriber()
  const got: unknown[] = []
  const [id, setId] = createSignal('a')
  const dispose = createRoot((end) => {
    useEntityUpdates(
      subscriber,
      () => `document:${id()}`,
      (event) => got.push(event.id),
    )
    useEvents(subscriber, 'lock:*', ({ data }) => got.push(data))
    return end
  })
  await server.connect(subscriber)
  const both = [
    { type: 'entity.updated', entity: 'document', id: 'a' },
    { type: 'entity.updated', entity: 'document', id: 'b' },
  ] as const
  await server.push(...both)
  setId('b')
  await server.push(...both, { type: 'lock:acquired', data: 1 })
  dispose()
  await server.push(...both, { type: 'lock:acquired', data: 2 })
  expect(got).toEqual(['a', 'b', 1])
  server.close()
})
