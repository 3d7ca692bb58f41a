import type { HeadersContext } from '@entitycast/sse-client'
import { DataUpdatesProvider } from '@entitycast/sse-client/react'
import { useCallback, useEffect, useMemo, useState } from 'react'
import type { Person, Project, ProjectData } from '../shared/model'
import type { Api } from './api'
import { Board } from './board'
import { ConnectionBadge } from './connection-badge'
import { Avatar, Logo } from './marks'

interface Props {
  api: Api
  person: Person
  project: Project
  onChooseProject: (projectId: string) => void
  onSignOut: () => void
}

/** One project: loads its data, then follows its events from exactly where the load began. */
export function Workspace({ api, person, project, onChooseProject, onSignOut }: Props) {
  const { data, problem, retry } = useFirstLoad(api)
  const headers = useCallback(
    // With a reason, the server has refused the last token or closed the stream because it ran out.
    async ({ reason }: HeadersContext) => ({
      authorization: `Bearer ${await api.keeper.accessToken(reason !== undefined)}`,
    }),
    [api],
  )

  const header = (connection: React.ReactNode) => (
    <header className="bar">
      <div className="bar-brand">
        <Logo />
        <strong>Documents</strong>
      </div>
      {person.projects.length > 1 ? (
        <label className="bar-project">
          <span className="visually-hidden">Project</span>
          <select value={project.id} onChange={(event) => onChooseProject(event.target.value)}>
            {person.projects.map(({ id, name }) => (
              <option key={id} value={id}>
                {name}
              </option>
            ))}
          </select>
        </label>
      ) : (
        <span className="bar-project">{project.name}</span>
      )}
      <span className="bar-space" />
      {connection}
      <span className="bar-person">
        <Avatar name={person.name} />
        <span className="bar-name">{person.name}</span>
      </span>
      <button type="button" className="link" onClick={onSignOut}>
        Sign out
      </button>
    </header>
  )

  if (!data) {
    return (
      <>
        {header(null)}
        <main className="page">
          {problem ? (
            <div className="empty" role="alert">
              <p>{problem}</p>
              <button type="button" className="button" onClick={retry}>
                Try again
              </button>
            </div>
          ) : (
            <p className="empty muted" role="status">
              Loading…
            </p>
          )}
        </main>
      </>
    )
  }
  return (
    <DataUpdatesProvider url="/api/events/stream" projectId={project.id} headers={headers} since={data.cursor}>
      {header(<ConnectionBadge />)}
      <Board api={api} initial={data} />
    </DataUpdatesProvider>
  )
}

function useFirstLoad(api: Api) {
  const [state, setState] = useState<{ data: ProjectData | null; problem: string | null }>({
    data: null,
    problem: null,
  })
  const [attempt, setAttempt] = useState(0)

  // biome-ignore lint/correctness/useExhaustiveDependencies: a new attempt is the reason to load again
  useEffect(() => {
    const abort = new AbortController()
    setState({ data: null, problem: null })
    api.load(abort.signal).then(
      (data) => setState({ data, problem: null }),
      (error: Error) => abort.signal.aborted || setState({ data: null, problem: error.message }),
    )
    return () => abort.abort()
  }, [api, attempt])

  return useMemo(() => ({ ...state, retry: () => setAttempt((count) => count + 1) }), [state])
}
