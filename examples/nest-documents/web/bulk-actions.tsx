import type { BulkAction, DocumentRow } from '../shared/model'

interface Props {
  documents: DocumentRow[]
  selected: ReadonlySet<string>
  busy: boolean
  onAction: (action: BulkAction) => void
}

/** What can be done to the selected documents, or to all of them. */
export function BulkActions({ documents, selected, busy, onAction }: Props) {
  const chosen = selected.size > 0 ? documents.filter(({ id }) => selected.has(id)) : documents
  const whom = selected.size > 0 ? `${chosen.length} selected` : 'all'
  const pending = chosen.filter(({ status }) => status === 'pending').length
  const touched = chosen.length - pending

  return (
    <div className="actions" role="toolbar" aria-label="Bulk actions">
      <button
        type="button"
        className="button button-primary"
        data-testid="embed"
        disabled={busy || pending === 0}
        onClick={() => onAction('embed')}
      >
        Embed {whom}
      </button>
      <button type="button" className="button" disabled={busy || touched === 0} onClick={() => onAction('re-embed')}>
        Re-embed {whom}
      </button>
      <button
        type="button"
        className="button"
        data-testid="reset"
        disabled={busy || touched === 0}
        onClick={() => onAction('reset')}
      >
        Mark {whom} pending
      </button>
    </div>
  )
}
