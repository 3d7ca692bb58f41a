import { useRef, useState } from 'react'
import type { BulkAction, DocumentRow } from '../shared/model'
import { ActivityList } from './activity-list'
import type { Api } from './api'
import { BulkActions } from './bulk-actions'
import { ChunksPanel } from './chunks-panel'
import { DocumentsTable } from './documents-table'
import { useLiveRows } from './live-rows'
import { Progress } from './marks'
import type { Rows } from './rows'
import { Search } from './search'
import { UploadArea } from './upload-area'

/** The tables and what can be done with them. Nothing here waits for an answer to change a row: rows change by events. */
export function Board({ api, initial }: { api: Api; initial: Rows }) {
  const { rows, stale } = useLiveRows(api, initial)
  const { documents, chunks, activity } = rows
  const [open, setOpen] = useState<{ documentId: string; chunkId: string | null } | null>(null)
  const [selection, setSelection] = useState<ReadonlySet<string>>(new Set())
  const { busy, problem, perform, dismiss } = useAction()

  // A document that was deleted, here or elsewhere, is not selected any more.
  const selected = new Set(documents.filter(({ id }) => selection.has(id)).map(({ id }) => id))
  const opened = documents.find(({ id }) => id === open?.documentId)
  const all = chunks.length
  const embedded = documents.reduce((sum, document) => sum + document.embeddedChunks, 0)
  const untouched = documents.length > 0 && documents.every(({ status }) => status === 'pending')

  const bulk = (action: BulkAction) =>
    perform(async () => {
      await api.bulk(action, selected.size > 0 ? [...selected] : null)
      setSelection(new Set())
    })

  const remove = (document: DocumentRow) => {
    if (confirm(`Delete “${document.title}” and its chunks?`)) void perform(() => api.remove(document.id))
  }

  const upload = (files: File[]) =>
    perform(async () => {
      for (const file of files) await api.upload(file)
    })

  return (
    <main className="page">
      <div className="page-main">
        <div className="summary">
          <div>
            <h1>
              {documents.length} {documents.length === 1 ? 'document' : 'documents'}
            </h1>
            <p className="muted" data-testid="summary">
              {embedded} of {all} chunks embedded
              {stale && ' · loading again…'}
            </p>
          </div>
          <BulkActions documents={documents} selected={selected} busy={busy} onAction={bulk} />
        </div>
        <Progress label="Embedded chunks of all documents" done={embedded} all={all} />
        <p className="visually-hidden" role="status">
          {all > 0 && embedded === all && 'All chunks are embedded.'}
        </p>

        {problem && (
          <p className="notice notice-bad" role="alert">
            <span>{problem}</span>
            <button type="button" className="link" onClick={dismiss}>
              Dismiss
            </button>
          </p>
        )}
        {untouched && (
          <p className="notice" data-testid="hint">
            <span>
              Nothing is embedded yet. Open this page in{' '}
              <a href="/" target="_blank" rel="noopener opener">
                a second tab
              </a>
              , then press <b>Embed all</b>: both tabs follow by themselves.
            </span>
          </p>
        )}

        <section className="card" aria-label="Documents">
          {documents.length === 0 ? (
            <div className="empty">
              <p>
                <b>No documents yet</b>
              </p>
              <p className="muted">Upload a text file. It is cut into chunks and embedded while you watch.</p>
            </div>
          ) : (
            <DocumentsTable
              documents={documents}
              openId={opened?.id ?? null}
              selected={selected}
              onOpen={(id) => setOpen(id === opened?.id ? null : { documentId: id, chunkId: null })}
              onSelect={setSelection}
              onDelete={remove}
            />
          )}
          <UploadArea onFiles={upload} />
        </section>

        {opened && (
          <ChunksPanel
            document={opened}
            chunks={chunks.filter((chunk) => chunk.documentId === opened.id).sort((a, b) => a.ordinal - b.ordinal)}
            highlight={open?.chunkId ?? null}
            onClose={() => setOpen(null)}
          />
        )}
      </div>
      <aside className="page-side">
        <Search api={api} onOpen={(documentId, chunkId) => setOpen({ documentId, chunkId })} />
        <ActivityList activity={activity} />
      </aside>
    </main>
  )
}

/** One action at a time; what went wrong is shown until it is dismissed or the next one begins. */
function useAction() {
  const [busy, setBusy] = useState(false)
  const [problem, setProblem] = useState<string | null>(null)
  const running = useRef(false)

  const perform = async (action: () => Promise<void>) => {
    if (running.current) return
    running.current = true
    setBusy(true)
    setProblem(null)
    try {
      await action()
    } catch (error) {
      setProblem((error as Error).message)
    } finally {
      running.current = false
      setBusy(false)
    }
  }
  return { busy, problem, perform, dismiss: () => setProblem(null) }
}
