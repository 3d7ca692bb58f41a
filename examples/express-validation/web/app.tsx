import { DataUpdatesProvider } from '@entitycast/sse-client/react'
import { useCallback, useEffect, useState } from 'react'
import type { Bootstrap } from '../shared/api'
import { type AppEvents, CHANNELS } from '../shared/events'
import { ApiError, api, messageOf } from './api'
import { BoardPage } from './board-page'
import { LoginPage } from './login-page'
import { onSessionChanged } from './session-tabs'

/** Every hook knows the type of `event.data` from here on. */
declare module '@entitycast/sse-client/react' {
  interface Register {
    events: AppEvents
  }
}

type View =
  | { kind: 'loading' }
  | { kind: 'failed'; message: string }
  | { kind: 'signed-out' }
  | { kind: 'board'; bootstrap: Bootstrap }

export function App() {
  const [view, setView] = useState<View>({ kind: 'loading' })

  const load = useCallback(async () => {
    try {
      setView({ kind: 'board', bootstrap: await api.bootstrap() })
    } catch (error) {
      const signedOut = error instanceof ApiError && error.status === 401
      setView(signedOut ? { kind: 'signed-out' } : { kind: 'failed', message: messageOf(error) })
    }
  }, [])
  useEffect(() => {
    void load()
    return onSessionChanged(() => void load())
  }, [load])

  if (view.kind === 'loading') return <p className="splash">Loading the board…</p>
  if (view.kind === 'signed-out') return <LoginPage onSignedIn={load} />
  if (view.kind === 'failed') {
    return (
      <div className="splash" role="alert">
        <p>{view.message}</p>
        <button type="button" className="button" onClick={load}>
          Try again
        </button>
      </div>
    )
  }

  const { bootstrap } = view
  return (
    // `since` closes the gap between loading and listening; with the flag off there is no stream at all.
    <DataUpdatesProvider
      key={bootstrap.user.id}
      url="/api/sse"
      projectId={bootstrap.tenant.id}
      channels={CHANNELS}
      since={bootstrap.cursor}
      enabled={bootstrap.flags.sseUpdates}
    >
      <BoardPage first={bootstrap} onStale={load} />
    </DataUpdatesProvider>
  )
}
