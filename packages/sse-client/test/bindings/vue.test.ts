// @vitest-environment jsdom
import { createFakeServer } from '@entitycast/sse-client/testing'
import { useConnection, useEntityUpdates, useEvents, useResync } from '@entitycast/sse-client/vue'
import { expect, it } from 'vitest'
import { createApp, defineComponent, effectScope, h, nextTick, ref, shallowRef } from 'vue'
import { bindingSuite } from './binding-suite'

bindingSuite({
  name: 'vue',
  async act(change) {
    await change()
    await nextTick()
  },
  mount({ subscriber, pattern, handler, onResync }) {
    const newest = shallowRef(handler)
    const Reader = defineComponent(() => {
      const connection = useConnection(subscriber)
      return () => h('p', connection.value.state)
    })
    const app = createApp(
      defineComponent(() => {
        useEntityUpdates(subscriber, pattern, (event) => newest.value(event))
        useResync(subscriber, ({ reason }) => onResync(reason))
        return () => [h(Reader), h(Reader)]
      }),
    )
    const root = document.createElement('div')
    app.mount(root)
    return nextTick().then(() => ({
      shown: () => [...root.querySelectorAll('p')].map((p) => p.textContent ?? ''),
      handle: (next) => {
        newest.value = next
      },
      unmount: () => app.unmount(),
    }))
  },
})

it('another pattern is another subscription, at once', async () => {
  const server = createFakeServer()
  const subscriber = server.subscriber()
  const id = ref('a')
  const got: unknown[] = []
  const scope = effectScope()
  scope.run(() =>
    useEntityUpdates(
      subscriber,
      () => `document:${id.value}`,
      (event) => got.push(event.id),
    ),
  )
  await server.connect(subscriber)
  const both = [
    { type: 'entity.updated', entity: 'document', id: 'a' },
    { type: 'entity.updated', entity: 'document', id: 'b' },
  ] as const
  await server.push(...both)
  id.value = 'b'
  await server.push(...both)
  scope.stop()
  await server.push(...both)
  expect(got).toEqual(['a', 'b'])
  server.close()
})

it('useEvents gets the events of its types, in an effect scope too, until that stops', async () => {
  const server = createFakeServer()
  const subscriber = server.subscriber()
  subscriber.onError(() => {})
  const got: unknown[] = []
  const scope = effectScope()
  const connection = scope.run(() => {
    useEvents(subscriber, 'lock:*', ({ data }) => got.push(data))
    return useConnection(subscriber)
  })
  await server.connect(subscriber)
  await server.push({ type: 'lock:acquired', data: 1 }, { type: 'metrics:updated', data: 2 })
  expect([connection?.value.state, got]).toEqual(['connected', [1]])
  scope.stop()
  await server.push({ type: 'lock:acquired', data: 3 })
  await server.drop()
  expect([connection?.value.state, got]).toEqual(['connected', [1]])
  server.close()
})
