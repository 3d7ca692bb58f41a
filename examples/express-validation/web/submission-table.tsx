import { useState } from 'react'
import type { User } from '../shared/api'
import type { Submission } from '../shared/events'
import { Avatar } from './avatar'
import { isOverdue } from './filters'
import { atTime, firstName, fromNow } from './format'
import { LockBadge, StatusBadge } from './status-badge'

interface SubmissionTableProps {
  submissions: Submission[]
  locks: Record<string, string>
  user: User
  userOf: (userId: string) => User
  now: number
  openId: string | null
  onOpen: (id: string) => void
}

export function SubmissionTable({ submissions, openId, ...rest }: SubmissionTableProps) {
  if (submissions.length === 0) return <p className="empty">Nothing here. Try another filter.</p>
  return (
    <div className="table-frame">
      <table className="table">
        <caption className="visually-hidden">Submissions, the newest first</caption>
        <thead>
          <tr>
            <th scope="col">Submission</th>
            <th scope="col">Submitted by</th>
            <th scope="col">Due</th>
            <th scope="col">Status</th>
            <th scope="col">Review</th>
          </tr>
        </thead>
        <tbody>
          {submissions.map((submission) => (
            <SubmissionRow key={submission.id} submission={submission} open={submission.id === openId} {...rest} />
          ))}
        </tbody>
      </table>
    </div>
  )
}

type RowProps = Omit<SubmissionTableProps, 'submissions' | 'openId'> & { submission: Submission; open: boolean }

function SubmissionRow({ submission, locks, user, userOf, now, open, onOpen }: RowProps) {
  const { id, title, participant, submittedBy, submittedAt, dueAt, status, decidedBy, decidedAt, version } = submission
  // The row lights up when it changes, not when it is first shown. Two names for one animation: a new name starts it again.
  const [firstVersion] = useState(version)
  const flash = version === firstVersion ? '' : version % 2 === 0 ? 'flash-even' : 'flash-odd'
  const submitter = userOf(submittedBy)
  const reviewer = status === 'pending' ? locks[id] : undefined
  const overdue = isOverdue(submission, now)
  return (
    <tr className={flash} data-id={id} data-open={open}>
      <th scope="row">
        <button type="button" className="row-button" onClick={() => onOpen(id)}>
          {title}
        </button>
        <p className="row-participant">{participant}</p>
      </th>
      <td data-label="Submitted by">
        <span className="person">
          <Avatar name={submitter.name} small />
          <TwoLines first={submittedBy === user.id ? 'You' : submitter.name} second={fromNow(submittedAt, now)} />
        </span>
      </td>
      <td data-label="Due">
        {status === 'pending' && (
          <time dateTime={dueAt} title={atTime(dueAt)} className={overdue ? 'overdue' : undefined}>
            {overdue ? <TwoLines first="Overdue" second={fromNow(dueAt, now)} /> : fromNow(dueAt, now)}
          </time>
        )}
      </td>
      <td data-label="Status">
        <StatusBadge status={status} />
      </td>
      <td data-label="Review">
        {reviewer && <LockBadge name={firstName(userOf(reviewer).name)} mine={reviewer === user.id} />}
        {!reviewer && decidedBy && decidedAt && (
          <TwoLines first={decidedBy === user.id ? 'You' : userOf(decidedBy).name} second={fromNow(decidedAt, now)} />
        )}
      </td>
    </tr>
  )
}

function TwoLines({ first, second }: { first: string; second: string }) {
  return (
    <span className="two-lines">
      <span>{first}</span>
      <span className="quiet">{second}</span>
    </span>
  )
}
