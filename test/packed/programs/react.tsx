// The README's page with React, in StrictMode.
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'

const projectId = 'proj_123'
const headers = async () => ({ authorization: 'Bearer secret' })
const flags = { sse: true }
const initial = [{ id: 'doc_456', chunks: 12, embeddedChunks: 0 }]

// >>> react
import { applyEntityEvent } from '@entitycast/sse-client'
import { DataUpdatesProvider, useDataUpdates, useEntityUpdates, useSSE } from '@entitycast/sse-client/react'
import { useState } from 'react'

export function App() {
  return (
    <DataUpdatesProvider url="/api/events/stream" projectId={projectId} headers={headers} enabled={flags.sse}>
      <Documents />
    </DataUpdatesProvider>
  )
}

function Documents() {
  const { connectionState } = useDataUpdates()
  const [documents, setDocuments] = useState(initial)
  const [notes, setNotes] = useState(0)
  useEntityUpdates('document:*', (event) => setDocuments((rows) => applyEntityEvent(rows, event)))
  useSSE(['validation', 'notifications'], () => setNotes((count) => count + 1))   // all events of these channels
  return (
    <section data-state={connectionState} data-notes={notes}>
      {documents.map(({ id, chunks, embeddedChunks }) => (
        <p key={id}>{id}: {embeddedChunks}/{chunks} embedded</p>
      ))}
    </section>
  )
}
// <<<

createRoot(document.getElementById('root')!).render(
  <StrictMode>
    <App />
  </StrictMode>,
)
