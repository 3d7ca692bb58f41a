import type { Submission } from '../shared/events'

export const SHOWS = ['all', 'pending', 'overdue', 'approved', 'rejected'] as const
export type Show = (typeof SHOWS)[number]

/** What the table is narrowed down to. */
export interface Filter {
  show: Show
  /** Empty: every kind. */
  kind: string
  text: string
  /** Only what this user has submitted; empty: anybody. */
  submittedBy: string
}

export const NO_FILTER: Filter = { show: 'all', kind: '', text: '', submittedBy: '' }

export const isOverdue = (submission: Submission, now: number): boolean =>
  submission.status === 'pending' && Date.parse(submission.dueAt) < now

export function shows(show: Show, submission: Submission, now: number): boolean {
  if (show === 'all') return true
  if (show === 'overdue') return isOverdue(submission, now)
  return submission.status === show
}

/** The rows of the table, the newest submission first: an order that no decision changes, so that no row moves under a finger. */
export function filtered(submissions: Submission[], filter: Filter, now: number): Submission[] {
  const text = filter.text.trim().toLowerCase()
  return submissions
    .filter(
      (one) =>
        shows(filter.show, one, now) &&
        (!filter.kind || one.kind === filter.kind) &&
        (!filter.submittedBy || one.submittedBy === filter.submittedBy) &&
        (!text || `${one.title} ${one.participant}`.toLowerCase().includes(text)),
    )
    .sort((a, b) => b.submittedAt.localeCompare(a.submittedAt))
}
