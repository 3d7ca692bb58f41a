import { applyEntityEvent } from '@entitycast/sse-client'
import type { EntityEventOf, NamedEventOf } from '@entitycast/sse-protocol'
import type { Bootstrap } from '../shared/api'
import type { AppEvents, Submission } from '../shared/events'

export type BoardEvent =
  | EntityEventOf<AppEvents, 'submission'>
  | NamedEventOf<AppEvents, 'lock:acquired' | 'lock:released'>

/** What the board shows. */
export interface Board {
  submissions: Submission[]
  /** Who reviews which submission: user ids by submission id. */
  locks: Record<string, string>
  /** What arrived since a reload was asked for; null while none is under way. */
  arrived: BoardEvent[] | null
}

export type BoardAction =
  | { kind: 'event'; event: BoardEvent }
  /** The server's answer to what this page did itself. */
  | { kind: 'answer'; submission: Submission }
  | { kind: 'reloading' }
  | { kind: 'reloaded'; bootstrap: Bootstrap }
  | { kind: 'reload-failed' }

export function boardFrom({ submissions, locks }: Bootstrap): Board {
  return {
    submissions,
    locks: Object.fromEntries(locks.map(({ submissionId, userId }) => [submissionId, userId])),
    arrived: null,
  }
}

export function boardReducer(board: Board, action: BoardAction): Board {
  switch (action.kind) {
    case 'event': {
      const next = applied(board, action.event)
      return board.arrived ? { ...next, arrived: [...board.arrived, action.event] } : next
    }
    case 'answer':
      return { ...board, submissions: withNewer(board.submissions, action.submission) }
    case 'reloading':
      return { ...board, arrived: [] }
    case 'reloaded':
      // What arrived while the answer was on its way may be newer than the answer: the page must not go backwards.
      return (board.arrived ?? []).reduce(applied, boardFrom(action.bootstrap))
    case 'reload-failed':
      return { ...board, arrived: null }
  }
}

function applied(board: Board, event: BoardEvent): Board {
  if (event.type === 'lock:acquired') {
    return { ...board, locks: { ...board.locks, [event.data.submissionId]: event.data.userId } }
  }
  if (event.type === 'lock:released') {
    const { [event.data.submissionId]: _, ...locks } = board.locks
    return { ...board, locks }
  }
  if (event.type === 'entity.batch') return { ...board, submissions: applyEntityEvent(board.submissions, event) }
  // The rows were read after the cursor that the stream began at, so an event may tell what a row has already: never go backwards.
  const known = board.submissions.find(({ id }) => id === event.id)
  if (known && event.version !== undefined && event.version <= known.version) return board
  return { ...board, submissions: applyEntityEvent(board.submissions, event) }
}

function withNewer(submissions: Submission[], answer: Submission): Submission[] {
  const known = submissions.find(({ id }) => id === answer.id)
  if (!known) return [answer, ...submissions]
  return answer.version > known.version ? submissions.map((one) => (one === known ? answer : one)) : submissions
}
