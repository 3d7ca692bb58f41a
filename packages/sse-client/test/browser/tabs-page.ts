/** The page of `tabs.test.ts`: a table that is loaded once and then kept by events. Bundled by the test. */
import { applyEntityEvent } from '@entitycast/sse-client'
import { shareAcrossTabs } from '@entitycast/sse-client/tabs'

interface Row {
  id: string
  n: number
  version: number
}

interface Loaded {
  cursor: string
  rows: Row[]
  count: number
}

interface TabsPage {
  rows: Row[]
  /** The numbers of `counter:moved`, as they came. */
  counts: number[]
  resyncs: string[]
  /** What nobody has caught. */
  errors: string[]
  role(): string
  state(): string
}

const page: TabsPage = { rows: [], counts: [], resyncs: [], errors: [], role: () => 'none', state: () => 'none' }
const shown = () => ({ ...page, role: page.role(), state: page.state() })
Object.assign(globalThis, { tabs: page, page: { toJSON: shown } })
addEventListener('error', ({ message }) => page.errors.push(message))
addEventListener('unhandledrejection', ({ reason }) => page.errors.push(String(reason)))

const load = async (): Promise<Loaded> => (await fetch('/rows')).json()
const { cursor, rows, count } = await load()
page.rows = rows
page.counts = [count]
const identity = new URLSearchParams(location.search).get('identity') ?? 'u1'
const updates = shareAcrossTabs('/events', { identity, since: cursor, headers: { 'x-tab': `${Math.random()}` } })
page.role = () => updates.getSnapshot().role
page.state = () => updates.state
updates.subscribe('document:*', (event) => {
  page.rows = applyEntityEvent(page.rows, event)
})
updates.on('counter:moved', ({ data }) => {
  const { count } = data as { count: number }
  // What was loaded after a resync may be newer than the events that follow it.
  if (page.resyncs.length === 0 || count > (page.counts.at(-1) ?? 0)) page.counts.push(count)
})
// The page stops without a word, in the middle of whatever it does, until the server answers.
updates.on('leader:freeze', () => {
  if (page.role() !== 'leader') return
  const request = new XMLHttpRequest()
  request.open('GET', '/thaw', false)
  request.send()
})
updates.onResync(async ({ reason }) => {
  page.resyncs.push(reason)
  const loaded = await load()
  page.rows = loaded.rows
  page.counts = [loaded.count]
})
updates.onError((error) => console.warn(`${error.code}: ${error.message}`))
updates.connect()
