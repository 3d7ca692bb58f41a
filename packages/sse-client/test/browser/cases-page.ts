/** The page of `engines.test.ts` that reads each stream of the standard's cases with the engine's own EventSource and with ours. Bundled by the test. */
import { EventSource as Ours } from '@entitycast/sse-client/event-source'
import { type AnyEventSource, CASES, collect, type Dispatched } from '../bindings/event-source-cases'

const page = { native: [] as Dispatched[][], ours: [] as Dispatched[][], isDone: false }
Object.assign(globalThis, { page })
const Native = globalThis.EventSource as new (url: string) => AnyEventSource
for (const [i] of CASES.entries()) {
  const read = (Any: new (url: string) => AnyEventSource) => collect(new Any(`/case?${i}`))
  const [native, ours] = await Promise.all([read(Native), read(Ours)])
  page.native.push(native)
  page.ours.push(ours)
}
page.isDone = true
