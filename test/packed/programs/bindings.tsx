// The programs of docs/bindings.md, each on the fake server or on a hub in memory.
import { createEnvironmentInjector, type EnvironmentInjector, NgZone, PLATFORM_ID, runInInjectionContext } from '@angular/core'
import { defineEvents } from '@entitycast/sse-protocol'
import { EventHub } from '@entitycast/sse-server'
import { QueryClient } from '@tanstack/query-core'
import assert from 'node:assert/strict'
import { renderToString } from 'react-dom/server'
import { createRoot } from 'solid-js'
import { effectScope } from 'vue'
import { z } from 'zod'

const events = defineEvents({
  entities: { document: z.object({ chunks: z.number() }).partial() },
  named: { 'lock:acquired': z.object({ by: z.string() }), 'metrics:updated': z.number() },
})
interface Document {
  id: string
  chunks: number
  version?: number
}
const loaded: Document[] = [{ id: 'doc_1', chunks: 0, version: 0 }]
const shown: unknown[] = []
const show = (...what: unknown[]) => void shown.push(...what)

// >>> binding-testing
import { createFakeServer } from '@entitycast/sse-client/testing'

const server = createFakeServer()
const updates = server.subscriber<typeof events>()               // an EventSubscriber like any other; give it to your components
// <<<
// What it is told below: a cut, a 401, and a resync that these programs answer with the query cache.
updates.onError(() => {})
updates.onResync(() => {})
// >>> binding-testing
await server.connect(updates)
await server.push({ type: 'entity.updated', entity: 'document', id: 'doc_1', data: { chunks: 1 }, version: 1 })

await server.drop()                                             // the network cuts the stream …
await server.advance(2_000)                                     // … and two seconds later it is back: no test waits for them
await server.gap()                                              // the server cannot prove that nothing was missed
server.silence()                                                // dead Wi-Fi: not a byte, and no end
server.status(401)                                              // what the next requests are answered
await server.sleep(3_600_000)                                   // the laptop was shut for an hour
// <<<

server.status(200)
await server.wake()
await server.advance(60_000)
assert.equal(updates.state, 'connected')
const queryClient = new QueryClient()
queryClient.setQueryData(['documents'], loaded)

// >>> binding-tanstack
import { bindQueryClient } from '@entitycast/sse-client/tanstack-query'

const unbind = bindQueryClient(
  updates,
  queryClient,
  {
    patterns: {
      'document:*': { patch: ['documents'], invalidate: ({ id }) => ['document-history', id] },
    },
    types: {
      'metrics:updated': { invalidate: ['metrics'] },
    },
  },
  { poll: { afterMs: 60_000, everyMs: 30_000 } },               // where no stream gets through
)
// <<<

// >>> binding-rxjs
import { applyEntityEvent } from '@entitycast/sse-client'
import { connectionState$, fromPattern, fromType } from '@entitycast/sse-client/rxjs'
import { scan } from 'rxjs'

const rows$ = fromPattern(updates, 'document:*').pipe(scan((rows, event) => applyEntityEvent(rows, event), loaded))
const locks$ = fromType(updates, 'lock:*')                       // its events are typed: { by: string }
const state$ = connectionState$(updates)                         // the state now, and each new one
// <<<

const subscriptions = [rows$.subscribe(show), locks$.subscribe(({ data }) => show(data.by)), state$.subscribe(show)]

// >>> binding-react
import { DataUpdatesProvider, useConnectionState } from '@entitycast/sse-client/react'

function Retrying() {
  const attempt = useConnectionState(({ state, attempt }) => (state === 'reconnecting' ? attempt : 0))
  return attempt > 3 ? <p>Still trying: {attempt}</p> : null     // renders when `attempt` changes, and not with each event
}
// <<<

const page = (
  <DataUpdatesProvider url="/api/events/stream">
    <Retrying />
  </DataUpdatesProvider>
)
assert.equal(renderToString(page), '')

// >>> binding-angular
import { inject, signal } from '@angular/core'
import { Entitycast, injectEntityUpdates, provideEntitycast } from '@entitycast/sse-client/angular'

const providers = [provideEntitycast({ url: 'https://app.example.com/api/events/stream', projectId: 'proj_1' })]

class Documents {
  readonly state = inject(Entitycast).connectionState            // {{ state() }}
  readonly rows = signal(loaded)
  readonly updates = injectEntityUpdates('document:*', (event) => this.rows.update((rows) => applyEntityEvent(rows, event)))
}
// <<<

const platform = [
  { provide: NgZone, useValue: { runOutsideAngular: (run: () => void) => run() } },
  { provide: PLATFORM_ID, useValue: 'server' },
]
const injector = createEnvironmentInjector([...platform, ...providers], undefined as unknown as EnvironmentInjector)
const component = runInInjectionContext(injector, () => new Documents())
assert.equal(component.state(), 'disconnected')
injector.destroy()

// >>> binding-vue
import { useConnection, useEntityUpdates } from '@entitycast/sse-client/vue'
import { shallowRef } from 'vue'

function useDocuments(initial: Document[]) {
  const rows = shallowRef(initial)
  const connection = useConnection(updates)                      // {{ connection.state }}
  useEntityUpdates(updates, 'document:*', (event) => {
    rows.value = applyEntityEvent(rows.value, event)
  })
  return { rows, connection }
}
// <<<

// >>> binding-svelte
import { connectionState } from '@entitycast/sse-client/svelte'

const live = connectionState(updates)                            // {$live}
// In a component, events are onMount(() => updates.subscribe('document:*', (event) => { rows = applyEntityEvent(rows, event) }))
// <<<

// >>> binding-solid
import { useConnection as createConnection, useEntityUpdates as onEntityUpdates } from '@entitycast/sse-client/solid'
import { createSignal } from 'solid-js'

function createDocuments(initial: Document[]) {
  const [rows, setRows] = createSignal(initial)
  const connection = createConnection(updates)                   // {connection().state}
  onEntityUpdates(updates, 'document:*', (event) => setRows((now) => applyEntityEvent(now, event)))
  return { rows, connection }
}
// <<<

const scope = effectScope()
const vue = scope.run(() => useDocuments(loaded)) ?? assert.fail()
const stopLive = live.subscribe((state) => show(`svelte ${state}`))
assert.equal(createRoot(() => createDocuments(loaded)).connection().state, 'connected')

await server.push({ type: 'entity.updated', entity: 'document', id: 'doc_1', data: { chunks: 2 }, version: 2 })
await server.push({ type: 'lock:acquired', data: { by: 'ann' } })
const row = { id: 'doc_1', chunks: 2, version: 2 }
assert.deepEqual(queryClient.getQueryData(['documents']), [row])
assert.deepEqual(vue.rows.value, [row])
assert.equal(vue.connection.value.state, 'connected')
assert.deepEqual(shown, ['connected', 'svelte connected', [row], 'ann'])

unbind()
for (const subscription of subscriptions) subscription.unsubscribe()
scope.stop()
stopLive()
server.close()

const hub = new EventHub()

// >>> binding-server-testing
import { connect } from '@entitycast/sse-server/testing'

const ann = await connect({ hub, grant: { projectId: 'proj_1', userId: 'ann' } })   // or the address of a server that runs
await hub.project('proj_1').updated('document', 'doc_1', { chunks: 3 })
const { data } = await ann.received('entity.updated')           // now, or as soon as it comes; after 5 s an error says what did come

await hub.project('proj_2').updated('document', 'secret')       // must not arrive
await hub.project('proj_1').emit('test:fence', null)            // arrives after it
await ann.quiet('test:fence')                                   // and nothing else has
ann.close()
// <<<

assert.deepEqual(data.data, { chunks: 3 })
await hub.close()
queryClient.clear()
console.log('ran')
