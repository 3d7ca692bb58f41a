import type { ReactNode } from 'react'
import type { Status } from '../shared/events'
import { CheckIcon, ClockIcon, CrossIcon, LockIcon } from './icons'

const ICONS: Record<Status, ReactNode> = { pending: <ClockIcon />, approved: <CheckIcon />, rejected: <CrossIcon /> }
const WORDS: Record<Status, string> = { pending: 'Pending', approved: 'Approved', rejected: 'Rejected' }

export function StatusBadge({ status }: { status: Status }) {
  return (
    <span className={`badge badge-${status}`}>
      {ICONS[status]}
      {WORDS[status]}
    </span>
  )
}

/** "Dana is reviewing…" */
export function LockBadge({ name, mine }: { name: string; mine: boolean }) {
  return (
    <span className={mine ? 'badge badge-lock badge-mine' : 'badge badge-lock'}>
      <LockIcon />
      {mine ? 'You are reviewing…' : `${name} is reviewing…`}
    </span>
  )
}
