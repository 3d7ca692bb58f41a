/** The page of `engines.test.ts`: a table that is loaded once and then kept by events, and the indicator of its connection. Bundled by the test. */
import { applyEntityEvent, EventSubscriber } from '@entitycast/sse-client'

interface Row {
  id: string
  n: number
  version: number
}

const { cursor, rows, count }: { cursor: string; rows: Row[]; count: number } = await (await fetch('/rows')).json()
const page = {
  rows,
  counts: [count],
  resyncs: [] as string[],
  states: [] as string[],
  state: 'none',
  restored: 0,
  errors: [] as string[],
}
Object.assign(globalThis, { page })
addEventListener('error', ({ message }) => page.errors.push(message))
addEventListener('unhandledrejection', ({ reason }) => page.errors.push(String(reason)))
const updates = new EventSubscriber('/events', { since: cursor })
updates.subscribe('document:*', (event) => {
  page.rows = applyEntityEvent(page.rows, event)
})
updates.on('counter:moved', ({ data }) => page.counts.push((data as { count: number }).count))
updates.onResync(({ reason }) => {
  page.resyncs.push(reason)
})
updates.onState((state) => {
  page.state = state
  page.states.push(state)
})
updates.onError(() => {})
addEventListener('pageshow', ({ persisted }) => {
  if (persisted) page.restored++
})
updates.connect()
