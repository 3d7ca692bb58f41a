// The client of docs/sharing-tabs.md, in a page. What the page shows goes to `globalThis.page`, where the test looks.
const projectId = 'proj_123'
const user = { id: 'u1' }
const headers = async () => ({ authorization: 'Bearer secret' })
interface Document {
  id: string
  embeddedChunks: number
}
let rows: Document[] = [{ id: 'doc_456', embeddedChunks: 0 }]
const page = { rows, role: '' }
Object.assign(globalThis, { page })
const render = (now: Document[]) => void (page.rows = now)
const showRole = (role: string) => void (page.role = role)

// >>> tabs
import { applyEntityEvent } from '@entitycast/sse-client'
import { shareAcrossTabs } from '@entitycast/sse-client/tabs'

const updates = shareAcrossTabs('/api/events/stream', { projectId, headers, identity: user.id })
updates.subscribe('document:*', (event) => {
  rows = applyEntityEvent(rows, event)
  render(rows)
})
updates.onChange(({ role }) => showRole(role))        // 'leader', 'follower'; 'single' where tabs cannot share
updates.connect()
// <<<
