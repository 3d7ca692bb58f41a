// The README's client, in a page. What the page shows goes to `globalThis.page`, where the test looks.
const projectId = 'proj_123'
const token = async () => 'secret'
interface Document {
  id: string
  embeddedChunks: number
  chunks: number
}
let rows: Document[] = [{ id: 'doc_456', embeddedChunks: 0, chunks: 12 }]
const page = { rows, lock: null as unknown, states: [] as string[], reloads: [] as string[], off: () => {} }
Object.assign(globalThis, { page })
const render = (now: Document[]) => void (page.rows = now)
const showLock = (data: unknown) => void (page.lock = data)
const reload = (reason: string) => void page.reloads.push(reason)
const showState = (state: string) => void page.states.push(state)

// >>> client
import { applyEntityEvent, EventSubscriber } from '@entitycast/sse-client'

const updates = new EventSubscriber('/api/events/stream', {
  projectId,
  headers: async () => ({ authorization: `Bearer ${await token()}` }),   // asked anew for each attempt
})
const off = updates.subscribe('document:*', (event) => {                // by entity; 'document:doc_456' is that one
  rows = applyEntityEvent(rows, event)                                  // created, updated, deleted, batch applied to an array
  render(rows)
})
updates.on('lock:*', (event) => showLock(event.data))                   // by type
updates.onResync(({ reason }) => reload(reason))                        // continuity cannot be proven: load the data again; events wait
updates.onState((state) => showState(state))                            // 'connecting' | 'connected' | 'resyncing' | 'reconnecting' | 'disconnected'
updates.connect()
// <<<

page.off = off
