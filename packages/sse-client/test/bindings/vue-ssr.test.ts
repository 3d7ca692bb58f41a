import { createFakeServer } from '@entitycast/sse-client/testing'
import { useConnection, useEntityUpdates } from '@entitycast/sse-client/vue'
import { expect, it, vi } from 'vitest'
import { createSSRApp, h } from 'vue'
import { renderToString } from 'vue/server-renderer'

it('on a server a component shows the state, and registers nothing that nobody would take away', async () => {
  const subscriber = createFakeServer().subscriber()
  const registered = [vi.spyOn(subscriber, 'subscribe'), vi.spyOn(subscriber, 'onChange')]
  function Page() {
    const connection = useConnection(subscriber)
    useEntityUpdates(subscriber, 'document:*', () => {})
    return () => h('p', connection.value.state)
  }
  expect(await renderToString(createSSRApp({ setup: Page }))).toBe('<p>disconnected</p>')
  for (const spy of registered) expect(spy).not.toHaveBeenCalled()
})
