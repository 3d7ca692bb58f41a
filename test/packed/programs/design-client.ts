// The design's lines for the client as they stand there.
import { applyEntityEvent, type EntityEvent } from '@entitycast/sse-client'

const projectId = 'proj_123'
const token = async () => 'secret'
const reload = () => {}
let rows = [{ id: 'doc_456', embeddedChunks: 0 }]
const event: EntityEvent = {
  type: 'entity.updated',
  entity: 'document',
  id: 'doc_456',
  projectId,
  timestamp: new Date().toISOString(),
  data: { embeddedChunks: 5 },
}

// >>> design-client
import { EventSubscriber } from '@entitycast/sse-client'
const updates = new EventSubscriber('/api/events/stream', { projectId, headers: async () => ({ authorization: `Bearer ${await token()}` }) })
const off = updates.subscribe('document:*', (event) => { /* EntityEvent */ })
updates.on('lock:*', (event) => {})            // by type
updates.onResync(({ reason }) => reload())     // continuity cannot be proven: load the data again
updates.onState((state) => {})                 // 'connecting' | 'connected' | 'reconnecting' | 'disconnected'
updates.connect(); updates.close()
rows = applyEntityEvent(rows, event)           // created, updated, deleted, batch applied to an array
// <<<

off()
// What was just closed can be opened again, and then works.
let seen: unknown
updates.subscribe('document:*', (changed) => void (seen = changed.data))
updates.connect()
Object.assign(globalThis, { page: { get: () => ({ rows, state: updates.state, seen }) } })
