import { useEntityUpdates, useResync, useSSE } from '@entitycast/sse-client/react'
import { useCallback, useEffect, useReducer, useRef } from 'react'
import type { Bootstrap } from '../shared/api'
import { type Submission, VALIDATION } from '../shared/events'
import { ApiError, api } from './api'
import { type Board, boardFrom, boardReducer } from './board-state'

const RETRY_MS = 2_000

/** The board, kept equal to the database: by the stream where there is one, and by `reload`. */
export function useBoard(first: Bootstrap, onError: (error: unknown) => void): BoardHandle {
  const live = first.flags.sseUpdates
  const [board, dispatch] = useReducer(boardReducer, first, boardFrom)
  const mounted = useMounted()

  // One after the other: what arrives during a reload is put on top of that reload's answer.
  const reloads = useRef(Promise.resolve())
  const reload = useCallback(() => {
    const load = async () => {
      dispatch({ kind: 'reloading' })
      for (let attempt = 1; mounted.current; attempt++) {
        try {
          return dispatch({ kind: 'reloaded', bootstrap: await api.bootstrap() })
        } catch (error) {
          const final = !live || (error instanceof ApiError && error.status < 500)
          if (final || attempt === 1) onError(error)
          if (final) break
          // A resync that is not followed by a load would leave old rows under the word "Live".
          await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
        }
      }
      dispatch({ kind: 'reload-failed' })
    }
    reloads.current = reloads.current.then(load)
  }, [live, mounted, onError])

  // The whole of "live": the rows, who reviews what, and what to do when the server cannot prove that nothing is missing.
  useEntityUpdates('submission:*', (event) => dispatch({ kind: 'event', event }))
  useSSE([VALIDATION], (event) => {
    if (event.type === 'lock:acquired' || event.type === 'lock:released') dispatch({ kind: 'event', event })
    if (event.type === 'board:changed') reload()
  })
  useResync(reload)

  const answer = useCallback((submission: Submission) => dispatch({ kind: 'answer', submission }), [])
  return { ...board, refreshing: board.arrived !== null, reload, answer }
}

export interface BoardHandle extends Board {
  /** A reload is under way. */
  refreshing: boolean
  reload: () => void
  /** Puts the server's answer to what this page did itself onto the board. */
  answer: (submission: Submission) => void
}

function useMounted() {
  const mounted = useRef(true)
  useEffect(() => {
    mounted.current = true
    return () => {
      mounted.current = false
    }
  }, [])
  return mounted
}
