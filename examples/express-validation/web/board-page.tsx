import { useDataUpdates, useSSE } from '@entitycast/sse-client/react'
import { useCallback, useEffect, useState } from 'react'
import type { Bootstrap, User } from '../shared/api'
import { NOTIFICATIONS, type Submission } from '../shared/events'
import { ApiError, api, messageOf } from './api'
import { DecisionDrawer } from './decision-drawer'
import { FilterBar } from './filter-bar'
import { filtered, NO_FILTER } from './filters'
import { counted, useNow } from './format'
import { BellIcon, PlusIcon, ReloadIcon } from './icons'
import { NewSubmission } from './new-submission'
import { noticeOf } from './notices'
import { announceSession } from './session-tabs'
import { StreamsPage } from './streams-page'
import { SubmissionTable } from './submission-table'
import { Toasts, useToasts } from './toasts'
import { type Page, TopBar } from './top-bar'
import { useBoard } from './use-board'

interface BoardPageProps {
  first: Bootstrap
  /** The session is over, or somebody else's: begin again. */
  onStale: () => void
}

export function BoardPage({ first, onStale }: BoardPageProps) {
  const { user, tenant, team, kinds, lockTtlMs } = first
  const live = first.flags.sseUpdates
  const [page, setPage] = useState<Page>('board')
  const [filter, setFilter] = useState(NO_FILTER)
  const [openId, setOpenId] = useState<string | null>(null)
  const [submitting, setSubmitting] = useState(false)
  const { toasts, show, dismiss } = useToasts()
  const now = useNow()
  // The sign-in page may have been scrolled.
  useEffect(() => {
    scrollTo(0, 0)
  }, [])

  const userOf = useCallback(
    (userId: string): User =>
      team.find(({ id }) => id === userId) ?? { id: userId, name: 'Somebody', role: 'reviewer' },
    [team],
  )

  const failed = useCallback(
    (error: unknown) => {
      if (error instanceof ApiError && error.status === 401) onStale()
      else show({ tone: 'bad', text: messageOf(error) })
    },
    [onStale, show],
  )

  const board = useBoard(first, failed)
  useSSE([NOTIFICATIONS], (event) => {
    const notice = noticeOf(event, user, userOf)
    if (notice) show(notice)
  })
  const { subscriber } = useDataUpdates()
  useEffect(
    () =>
      subscriber.onError((error) => {
        if (!error.retrying) onStale()
        else if (error.code === 'HANDLER_FAILED') console.error(error)
      }),
    [subscriber, onStale],
  )

  const answered = (submission: Submission, word: string) => {
    board.answer(submission)
    if (!live) show({ tone: 'good', text: `“${submission.title}” ${word}` })
  }

  const remind = () =>
    api.remind().then(({ overdue }) => {
      if (overdue === 0 || !live)
        show({ tone: 'warn', text: overdue === 0 ? 'Nobody is overdue' : `${counted(overdue, 'participant')} overdue` })
    }, failed)

  const signOut = () => api.logout().then(announceSession, failed).then(onStale)

  const close = () => {
    document.querySelector<HTMLElement>(`tr[data-id="${openId}"] .row-button`)?.focus()
    setOpenId(null)
  }

  const open = board.submissions.find(({ id }) => id === openId)

  return (
    <div className="frame">
      <TopBar
        tenant={tenant}
        user={user}
        live={live}
        refreshing={board.refreshing}
        page={page}
        onPage={setPage}
        onSignOut={signOut}
      />
      {page === 'streams' ? (
        <StreamsPage userOf={userOf} />
      ) : (
        <div className="board" data-drawer={open !== undefined}>
          <main className="page">
            <h1 className="visually-hidden">Submissions</h1>
            <FilterBar
              submissions={board.submissions}
              kinds={kinds}
              userId={user.id}
              filter={filter}
              now={now}
              onFilter={setFilter}
            >
              {!live && (
                <button type="button" className="button" onClick={board.reload}>
                  <ReloadIcon />
                  Reload
                </button>
              )}
              {user.role === 'admin' && (
                <button type="button" className="button" onClick={remind}>
                  <BellIcon />
                  Run reminder job
                </button>
              )}
              <button type="button" className="button button-primary" onClick={() => setSubmitting(true)}>
                <PlusIcon />
                New submission
              </button>
            </FilterBar>
            <SubmissionTable
              submissions={filtered(board.submissions, filter, now)}
              locks={board.locks}
              user={user}
              userOf={userOf}
              now={now}
              openId={openId}
              onOpen={setOpenId}
            />
          </main>
          {open && (
            <DecisionDrawer
              submission={open}
              lockedBy={board.locks[open.id]}
              user={user}
              userOf={userOf}
              now={now}
              lockTtlMs={lockTtlMs}
              onAnswer={(submission) =>
                answered(submission, submission.status === 'pending' ? 'reopened' : submission.status)
              }
              onClose={close}
            />
          )}
        </div>
      )}
      {submitting && (
        <NewSubmission
          kinds={kinds}
          onSubmitted={(submission) => answered(submission, 'submitted')}
          onClose={() => setSubmitting(false)}
        />
      )}
      <Toasts toasts={toasts} dismiss={dismiss} />
    </div>
  )
}
