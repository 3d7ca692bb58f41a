import type { ReactNode } from 'react'
import type { Submission } from '../shared/events'
import { type Filter, SHOWS, type Show, shows } from './filters'
import { SearchIcon } from './icons'

const TITLES: Record<Show, string> = {
  all: 'All',
  pending: 'Pending',
  overdue: 'Overdue',
  approved: 'Approved',
  rejected: 'Rejected',
}

interface FilterBarProps {
  submissions: Submission[]
  kinds: string[]
  userId: string
  filter: Filter
  now: number
  onFilter: (filter: Filter) => void
  /** Buttons at the end of the bar. */
  children: ReactNode
}

export function FilterBar({ submissions, kinds, userId, filter, now, onFilter, children }: FilterBarProps) {
  return (
    <>
      <fieldset className="tiles">
        <legend className="visually-hidden">Show</legend>
        {SHOWS.map((show) => (
          <button
            key={show}
            type="button"
            className={`tile tile-${show}`}
            aria-pressed={filter.show === show}
            onClick={() => onFilter({ ...filter, show })}
          >
            <span className="tile-count">{submissions.filter((one) => shows(show, one, now)).length}</span>
            <span className="tile-title">{TITLES[show]}</span>
          </button>
        ))}
      </fieldset>
      <div className="filter-bar">
        <label className="search">
          <SearchIcon />
          <span className="visually-hidden">Search</span>
          <input
            type="search"
            placeholder="Search title or participant"
            value={filter.text}
            onChange={(event) => onFilter({ ...filter, text: event.target.value })}
          />
        </label>
        <label className="select">
          <span className="visually-hidden">Kind</span>
          <select value={filter.kind} onChange={(event) => onFilter({ ...filter, kind: event.target.value })}>
            <option value="">Every kind</option>
            {kinds.map((kind) => (
              <option key={kind}>{kind}</option>
            ))}
          </select>
        </label>
        <label className="check">
          <input
            type="checkbox"
            checked={filter.submittedBy !== ''}
            onChange={(event) => onFilter({ ...filter, submittedBy: event.target.checked ? userId : '' })}
          />
          Mine only
        </label>
        <div className="filter-bar-end">{children}</div>
      </div>
    </>
  )
}
