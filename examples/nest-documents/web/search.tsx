import { type FormEvent, useState } from 'react'
import type { SearchHit } from '../shared/model'
import type { Api } from './api'

interface Props {
  api: Api
  onOpen: (documentId: string, chunkId: string) => void
}

/** Nearest chunks by meaning (well: by words and parts of words), among those that are embedded. */
export function Search({ api, onOpen }: Props) {
  const [query, setQuery] = useState('')
  const [result, setResult] = useState<{ query: string; hits: SearchHit[] } | null>(null)
  const [problem, setProblem] = useState<string | null>(null)

  const search = async (event: FormEvent) => {
    event.preventDefault()
    const wanted = query.trim()
    if (wanted === '') return
    setProblem(null)
    try {
      setResult({ query: wanted, hits: await api.search(wanted) })
    } catch (error) {
      setProblem((error as Error).message)
    }
  }

  return (
    <search className="card search" aria-label="Embedded chunks">
      <form onSubmit={search}>
        <input
          type="search"
          value={query}
          placeholder="Search chunks"
          aria-label="Search the embedded chunks"
          maxLength={500}
          onChange={(event) => {
            setQuery(event.target.value)
            if (event.target.value === '') setResult(null)
          }}
        />
        <button type="submit" className="button">
          Search
        </button>
      </form>
      <div aria-live="polite">
        {problem && <p className="notice notice-bad">{problem}</p>}
        {result?.hits.length === 0 && (
          <p className="muted small search-empty">Nothing near “{result.query}” among the chunks that are embedded.</p>
        )}
        {result && result.hits.length > 0 && (
          <ol className="hits" data-testid="hits">
            {result.hits.map((hit) => (
              <li key={hit.chunkId}>
                <button type="button" onClick={() => onOpen(hit.documentId, hit.chunkId)}>
                  <span className="hit-head">
                    <strong>{hit.title}</strong>
                    <span className="muted small">
                      chunk {hit.ordinal} · {Math.round(hit.score * 100)} %
                    </span>
                  </span>
                  <span className="excerpt">{hit.text}</span>
                </button>
              </li>
            ))}
          </ol>
        )}
      </div>
    </search>
  )
}
