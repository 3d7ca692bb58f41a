// The design's lines for React as they stand there; its "…" is the page.
import { applyEntityEvent, type EntityEvent, type ProjectEvent } from '@entitycast/sse-client'
import { DataUpdatesProvider, useDataUpdates, useEntityUpdates, useSSE } from '@entitycast/sse-client/react'
import { StrictMode, useState } from 'react'
import { createRoot } from 'react-dom/client'

const projectId = 'proj_123'
const headers = async () => ({ authorization: 'Bearer secret' })
const flags = { sse: true }

function App() {
  return (
// >>> design-react
<DataUpdatesProvider url="/api/events/stream" projectId={projectId} headers={headers} enabled={flags.sse}>{<Page />}</DataUpdatesProvider>
// <<<
  )
}

function Page() {
  const [documents, setDocuments] = useState([{ id: 'doc_456', chunks: 12, embeddedChunks: 0 }])
  const [notes, setNotes] = useState(0)
  const [early, setEarly] = useState('')
  const handler = (event: EntityEvent) => setDocuments((rows) => applyEntityEvent(rows, event))
  const onEvent = (_event: ProjectEvent) => setNotes((count) => count + 1)
// >>> design-react
const { subscribe, connectionState } = useDataUpdates()
useEntityUpdates('document:*', handler);  useSSE(['validation', 'notifications'], onEvent)
// <<<
  return (
    <section data-state={connectionState} data-notes={notes} data-early={early}>
      <button type="button" onClick={() => subscribe('document:doc_456', (event) => setEarly(event.type))}>
        follow
      </button>
      {documents.map(({ id, chunks, embeddedChunks }) => (
        <p key={id}>{id}: {embeddedChunks}/{chunks} embedded</p>
      ))}
    </section>
  )
}

createRoot(document.getElementById('root')!).render(
  <StrictMode>
    <App />
  </StrictMode>,
)
