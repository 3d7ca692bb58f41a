import type { DocumentRow } from '../shared/model'
import { Progress, StatusChip, timeOf } from './marks'

interface Props {
  documents: DocumentRow[]
  openId: string | null
  selected: ReadonlySet<string>
  onOpen: (id: string) => void
  onSelect: (ids: ReadonlySet<string>) => void
  onDelete: (document: DocumentRow) => void
}

export function DocumentsTable({ documents, openId, selected, onOpen, onSelect, onDelete }: Props) {
  const all = documents.length > 0 && documents.every(({ id }) => selected.has(id))
  const some = !all && documents.some(({ id }) => selected.has(id))

  const toggle = (id: string) => {
    const next = new Set(selected)
    if (!next.delete(id)) next.add(id)
    onSelect(next)
  }

  return (
    <table className="documents" data-testid="documents">
      <caption className="visually-hidden">Documents of this project</caption>
      <thead>
        <tr>
          <th scope="col" className="cell-check">
            <input
              type="checkbox"
              aria-label="Select all documents"
              checked={all}
              ref={(box) => {
                if (box) box.indeterminate = some
              }}
              onChange={() => onSelect(all ? new Set() : new Set(documents.map(({ id }) => id)))}
            />
          </th>
          <th scope="col">Document</th>
          <th scope="col" className="cell-progress">
            Progress
          </th>
          <th scope="col" className="cell-status">
            Status
          </th>
          <th scope="col" className="cell-time">
            Updated
          </th>
          <th scope="col" className="cell-action">
            <span className="visually-hidden">Delete</span>
          </th>
        </tr>
      </thead>
      <tbody>
        {documents.map((document) => (
          <tr
            key={document.id}
            data-testid="document"
            data-id={document.id}
            className={document.id === openId ? 'row-open' : undefined}
          >
            <td className="cell-check">
              <input
                type="checkbox"
                aria-label={`Select ${document.title}`}
                checked={selected.has(document.id)}
                onChange={() => toggle(document.id)}
              />
            </td>
            <th scope="row" className="cell-title">
              <button
                type="button"
                className="title"
                aria-pressed={document.id === openId}
                onClick={() => onOpen(document.id)}
              >
                {document.title}
              </button>
              <span className="muted small">
                {sizeOf(document.bytes)} · {document.chunks} {document.chunks === 1 ? 'chunk' : 'chunks'}
              </span>
            </th>
            <td className="cell-progress">
              <Progress
                label={`Embedded chunks of ${document.title}`}
                done={document.embeddedChunks}
                all={document.chunks}
              />
              <span className="progress-text" data-testid="progress">
                <b>
                  {document.embeddedChunks}/{document.chunks}
                </b>{' '}
                embedded
              </span>
            </td>
            <td className="cell-status">
              <StatusChip status={document.status} />
            </td>
            <td className="cell-time muted small">
              <time dateTime={document.updatedAt}>{timeOf(document.updatedAt, 'medium')}</time>
            </td>
            <td className="cell-action">
              <button
                type="button"
                className="icon-button"
                aria-label={`Delete ${document.title}`}
                title="Delete"
                onClick={() => onDelete(document)}
              >
                <svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
                  <path
                    d="M3 4.5h10M6.5 4.5V3h3v1.5M4.5 4.5l.6 8.5h5.8l.6-8.5M6.8 7v3.6M9.2 7v3.6"
                    fill="none"
                    stroke="currentColor"
                    strokeWidth="1.2"
                    strokeLinecap="round"
                    strokeLinejoin="round"
                  />
                </svg>
              </button>
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}

function sizeOf(bytes: number): string {
  return bytes < 1024 ? `${bytes} B` : `${(bytes / 1024).toFixed(1)} KB`
}
