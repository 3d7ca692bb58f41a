// @vitest-environment jsdom
import type { EventSubscriber } from '@entitycast/sse-client'
import {
  DataUpdatesProvider,
  type RegisteredEvents,
  useConnectionState,
  useEntityUpdates,
  useResync,
} from '@entitycast/sse-client/react'
import { act as reactAct, StrictMode, useState } from 'react'
import { createRoot } from 'react-dom/client'
import { beforeEach } from 'vitest'
import { bindingSuite, type Component } from './binding-suite'

beforeEach(() => {
  globalThis.IS_REACT_ACT_ENVIRONMENT = true
})

declare global {
  var IS_REACT_ACT_ENVIRONMENT: boolean
}

function Reader() {
  return <p>{useConnectionState()}</p>
}

for (const strict of [false, true]) {
  bindingSuite({
    name: strict ? 'react, in StrictMode' : 'react',
    act: (change) => reactAct(change),
    async mount(component) {
      let handle = (_: Component['handler']) => {}
      function Page() {
        const [handler, setHandler] = useState(() => component.handler)
        handle = (next) => setHandler(() => next)
        useEntityUpdates(component.pattern as 'document:*', handler)
        useResync(({ reason }) => component.onResync(reason))
        return (
          <>
            <Reader />
            <Reader />
          </>
        )
      }
      const page = (
        <DataUpdatesProvider subscriber={component.subscriber as unknown as EventSubscriber<RegisteredEvents>}>
          <Page />
        </DataUpdatesProvider>
      )
      const container = document.createElement('div')
      const root = createRoot(container)
      await reactAct(async () => root.render(strict ? <StrictMode>{page}</StrictMode> : page))
      return {
        shown: () => [...container.querySelectorAll('p')].map((p) => p.textContent ?? ''),
        handle: (next) => reactAct(async () => handle(next)),
        unmount: () => reactAct(async () => root.unmount()),
      }
    },
  })
}
