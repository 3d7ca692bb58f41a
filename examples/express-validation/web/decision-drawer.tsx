import { type FormEvent, type ReactNode, useEffect, useRef, useState } from 'react'
import type { HistoryEntry, User } from '../shared/api'
import type { Submission } from '../shared/events'
import { api, messageOf } from './api'
import { atTime, firstName, fromNow } from './format'
import { CheckIcon, CrossIcon, LockIcon, ReloadIcon } from './icons'
import { StatusBadge } from './status-badge'
import { useReviewLock } from './use-review-lock'

interface DecisionDrawerProps {
  submission: Submission
  /** The user who is reviewing it, if any. */
  lockedBy: string | undefined
  user: User
  userOf: (userId: string) => User
  now: number
  lockTtlMs: number
  onAnswer: (submission: Submission) => void
  onClose: () => void
}

/** One submission, and what may be done with it. Beside the table, not over it: the board goes on changing while somebody reads. */
export function DecisionDrawer({
  submission,
  lockedBy,
  user,
  userOf,
  now,
  lockTtlMs,
  onAnswer,
  onClose,
}: DecisionDrawerProps) {
  const { id, title, participant, status, facts, submittedBy, submittedAt, dueAt } = submission
  const own = submittedBy === user.id
  const lockedByOther = lockedBy !== undefined && lockedBy !== user.id
  useReviewLock(id, status === 'pending' && !own && !lockedByOther, lockTtlMs)

  const heading = useRef<HTMLHeadingElement>(null)
  // biome-ignore lint/correctness/useExhaustiveDependencies: the focus moves once for each submission that is opened
  useEffect(() => heading.current?.focus(), [id])

  return (
    <aside
      className="drawer"
      aria-labelledby="drawer-title"
      onKeyDown={(event) => {
        if (event.key === 'Escape') onClose()
      }}
    >
      <header className="drawer-head">
        <div>
          <h2 id="drawer-title" ref={heading} tabIndex={-1}>
            {title}
          </h2>
          <p className="quiet">{participant}</p>
        </div>
        <button type="button" className="icon-button" onClick={onClose}>
          <CrossIcon />
          <span className="visually-hidden">Close</span>
        </button>
      </header>
      <div className="drawer-body">
        <dl className="facts">
          <Fact label="Status">
            <StatusBadge status={status} />
          </Fact>
          {facts.map(({ label, value }) => (
            <Fact key={label} label={label}>
              {value}
            </Fact>
          ))}
          <Fact label="Submitted">
            {own ? 'You' : userOf(submittedBy).name}, {fromNow(submittedAt, now)}
          </Fact>
          <Fact label="Due">{atTime(dueAt)}</Fact>
        </dl>
        <History submission={submission} userOf={userOf} />
      </div>
      <footer className="drawer-foot">
        {status !== 'pending' ? (
          <Reopening submission={submission} user={user} onAnswer={onAnswer} />
        ) : own ? (
          <p className="note">You submitted this. Somebody else has to decide it.</p>
        ) : lockedByOther ? (
          <p className="note">
            <LockIcon />
            {firstName(userOf(lockedBy).name)} is reviewing this submission. You can decide when that is over.
          </p>
        ) : (
          <DecisionForm key={id} submission={submission} onAnswer={onAnswer} />
        )}
      </footer>
    </aside>
  )
}

function Fact({ label, children }: { label: string; children: ReactNode }) {
  return (
    <div>
      <dt>{label}</dt>
      <dd>{children}</dd>
    </div>
  )
}

function DecisionForm({
  submission,
  onAnswer,
}: {
  submission: Submission
  onAnswer: (submission: Submission) => void
}) {
  const [comment, setComment] = useState('')
  const [error, setError] = useState<string>()
  const [busy, setBusy] = useState(false)
  const field = useRef<HTMLTextAreaElement>(null)

  async function decide(event: FormEvent<HTMLFormElement>) {
    event.preventDefault()
    const submitter = (event.nativeEvent as SubmitEvent).submitter as HTMLButtonElement | null
    const decision = submitter?.value === 'rejected' ? 'rejected' : 'approved'
    if (decision === 'rejected' && !comment.trim()) {
      setError('A rejection needs a comment: the submitter has to know what to change.')
      field.current?.focus()
      return
    }
    setBusy(true)
    setError(undefined)
    try {
      onAnswer(await api.decide(submission.id, { decision, comment, version: submission.version }))
    } catch (thrown) {
      setError(messageOf(thrown))
      setBusy(false)
    }
  }

  return (
    <form className="decision" onSubmit={decide} aria-label="Decision">
      <label htmlFor="comment">
        Comment <span className="quiet">to the submitter; required for a rejection</span>
      </label>
      <textarea
        id="comment"
        ref={field}
        rows={3}
        maxLength={2000}
        value={comment}
        aria-invalid={error !== undefined}
        aria-describedby={error ? 'decision-error' : undefined}
        onChange={(event) => setComment(event.target.value)}
      />
      {error && (
        <p id="decision-error" className="error" role="alert">
          {error}
        </p>
      )}
      <div className="decision-buttons">
        <button type="submit" value="approved" className="button button-approve" disabled={busy}>
          <CheckIcon />
          Approve
        </button>
        <button type="submit" value="rejected" className="button button-reject" disabled={busy}>
          <CrossIcon />
          Reject
        </button>
      </div>
    </form>
  )
}

function Reopening({
  submission,
  user,
  onAnswer,
}: {
  submission: Submission
  user: User
  onAnswer: (submission: Submission) => void
}) {
  const [error, setError] = useState<string>()
  if (user.role !== 'admin') return <p className="note">This is decided. An admin can reopen it.</p>
  const reopen = () =>
    api.reopen(submission.id, submission.version).then(onAnswer, (thrown: unknown) => setError(messageOf(thrown)))
  return (
    <>
      {error && (
        <p className="error" role="alert">
          {error}
        </p>
      )}
      <button type="button" className="button" onClick={reopen}>
        <ReloadIcon />
        Reopen
      </button>
    </>
  )
}

const ACTIONS: Record<HistoryEntry['action'], string> = {
  submitted: 'submitted it',
  approved: 'approved it',
  rejected: 'rejected it',
  reopened: 'reopened it',
}

/** Loaded again with each version: the row's own change is what says that there is more history. */
function History({ submission, userOf }: { submission: Submission; userOf: (userId: string) => User }) {
  const { id, version } = submission
  const [entries, setEntries] = useState<HistoryEntry[]>([])
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new version has a new line of history
  useEffect(() => {
    let current = true
    api.history(id).then(
      (loaded) => current && setEntries(loaded),
      () => {},
    )
    return () => {
      current = false
    }
  }, [id, version])
  return (
    <section aria-label="History">
      <h3>History</h3>
      <ol className="history">
        {entries.map(({ action, by, at, comment }) => (
          <li key={at} data-action={action}>
            <p>
              <strong>{userOf(by).name}</strong> {ACTIONS[action]}
            </p>
            {comment && <blockquote>{comment}</blockquote>}
            <time className="quiet" dateTime={at}>
              {atTime(at)}
            </time>
          </li>
        ))}
      </ol>
    </section>
  )
}
