/** The page of `compression.test.ts`: the browser's own EventSource and ours, side by side. Bundled by the test. */
import { EventSubscriber } from '@entitycast/sse-client'

const URL = '/api/events/stream'
const page = { native: [] as number[], ours: [] as number[], resyncs: 0 }
Object.assign(globalThis, { page })

const native = new EventSource(URL)
native.addEventListener('entity.updated', ({ data }) => page.native.push(JSON.parse(data).data.n))
native.addEventListener('resync', () => page.resyncs++)

const updates = new EventSubscriber(URL)
updates.subscribe('document:*', ({ data }) => page.ours.push((data as { n: number }).n))
updates.onResync(() => {
  page.resyncs++
})
updates.onError(() => {})
updates.connect()
