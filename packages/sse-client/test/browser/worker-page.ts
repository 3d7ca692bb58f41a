/** A page of `engines.test.ts` whose subscriber lives in a worker: the same script in both, bundled by the test. */
import { applyEntityEvent, EventSubscriber } from '@entitycast/sse-client'

interface Shown {
  rows: { id: string; n: number; version: number }[]
  counts: number[]
  resyncs: string[]
  errors: string[]
  state: string
}

if ('document' in globalThis) {
  const worker = new Worker('/page.js', { type: 'module' })
  worker.onmessage = ({ data }: MessageEvent<Shown>) => Object.assign(globalThis, { page: data })
} else {
  const { cursor, rows, count } = await (await fetch('/rows')).json()
  const page: Shown = { rows, counts: [count], resyncs: [], errors: [], state: 'none' }
  const show = () => postMessage(page)
  addEventListener('unhandledrejection', ({ reason }) => {
    page.errors.push(String(reason))
    show()
  })
  const updates = new EventSubscriber('/events', { since: cursor })
  updates.subscribe('document:*', (event) => {
    page.rows = applyEntityEvent(page.rows, event)
  })
  updates.on('counter:moved', ({ data }) => {
    page.counts.push((data as { count: number }).count)
    show()
  })
  updates.onResync(({ reason }) => {
    page.resyncs.push(reason)
    show()
  })
  updates.onState((state) => {
    page.state = state
    show()
  })
  updates.onError(() => {})
  updates.connect()
}
