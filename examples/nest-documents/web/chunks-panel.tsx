import { useEffect, useRef } from 'react'
import type { ChunkRow, DocumentRow } from '../shared/model'
import { Progress, StatusChip } from './marks'

interface Props {
  document: DocumentRow
  chunks: ChunkRow[]
  /** A chunk to bring into view. */
  highlight: string | null
  onClose: () => void
}

/** The chunks of one document, each with its own state. */
export function ChunksPanel({ document, chunks, highlight, onClose }: Props) {
  const found = useRef<HTMLTableRowElement>(null)
  useEffect(() => {
    if (highlight) found.current?.scrollIntoView({ block: 'center' })
  }, [highlight])

  return (
    <section className="card chunks" aria-label={`Chunks of ${document.title}`} data-testid="chunks">
      <header className="card-head">
        <div>
          <h2>{document.title}</h2>
          <p className="muted small">
            {document.embeddedChunks} of {document.chunks} chunks embedded
          </p>
        </div>
        <button type="button" className="icon-button" aria-label="Close chunks" title="Close" onClick={onClose}>
          <svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
            <path d="M4 4l8 8M12 4l-8 8" stroke="currentColor" strokeWidth="1.4" strokeLinecap="round" />
          </svg>
        </button>
      </header>
      <Progress label="Embedded chunks" done={document.embeddedChunks} all={document.chunks} />
      <div className="chunks-scroll">
        <table>
          <caption className="visually-hidden">Chunks of {document.title}</caption>
          <thead>
            <tr>
              <th scope="col" className="cell-number">
                #
              </th>
              <th scope="col">Text</th>
              <th scope="col" className="cell-status">
                Status
              </th>
            </tr>
          </thead>
          <tbody>
            {chunks.map((chunk) => (
              <tr
                key={chunk.id}
                ref={chunk.id === highlight ? found : undefined}
                data-testid="chunk"
                data-id={chunk.id}
                data-status={chunk.status}
                className={chunk.id === highlight ? 'row-found' : undefined}
              >
                <td className="cell-number muted">{chunk.ordinal}</td>
                <td className="excerpt">{excerptOf(chunk)}</td>
                <td className="cell-status">
                  <StatusChip status={chunk.status} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  )
}

/** The beginning of the text, up to a whole word. */
function excerptOf({ excerpt, characters }: ChunkRow): string {
  const text = excerpt.replace(/\n+/g, '\n')
  return characters > excerpt.length ? `${text.replace(/\s+\S*$/, '')} …` : text
}
