import { EventSubscriber } from '@entitycast/sse-client'
import { DataUpdatesProvider, useDataUpdates, useEntityUpdates, useSSE } from '@entitycast/sse-client/react'
import { defineEvents } from '@entitycast/sse-protocol'
import { expectTypeOf, test } from 'vitest'
import { z } from 'zod'

const events = defineEvents({
  entities: { document: z.object({ embeddedChunks: z.number() }) },
  named: { 'lock:acquired': z.object({ entityId: z.number() }) },
})

declare module '@entitycast/sse-client/react' {
  interface Register {
    events: typeof events
  }
}

test('once the events are registered every hook knows the type of data', () => {
  // Never rendered: only its types are looked at.
  function Page() {
    useEntityUpdates('document:*', ({ data }) =>
      expectTypeOf(data).toEqualTypeOf<{ embeddedChunks: number } | undefined>(),
    )
    // @ts-expect-error no such entity is defined
    useEntityUpdates('dokument:*', () => {})
    const { subscribe, on, connectionState } = useDataUpdates()
    subscribe('document:a', ({ entity }) => expectTypeOf(entity).toEqualTypeOf<'document'>())
    on('lock:*', ({ data }) => expectTypeOf(data).toEqualTypeOf<{ entityId: number }>())
    useSSE(['validation'], (event) => expectTypeOf(event.type).not.toEqualTypeOf<string>())
    return connectionState
  }
  expectTypeOf(Page).returns.toBeString()
})

test('a provider takes an address or a subscriber, and not both', () => {
  const subscriber = new EventSubscriber<typeof events>('https://app.test/')
  const good = () => [
    <DataUpdatesProvider key="1" url="/stream" projectId="p" enabled={false} headers={async () => ({})} />,
    <DataUpdatesProvider key="2" subscriber={subscriber} />,
  ]
  // @ts-expect-error neither
  const neither = () => <DataUpdatesProvider projectId="p" />
  // @ts-expect-error the subscriber has its address
  const both = () => <DataUpdatesProvider subscriber={subscriber} url="/stream" />
  expectTypeOf([good, neither, both]).toBeArray()
})
