import { useEffect, useMemo, useState, useSyncExternalStore } from 'react'
import { Api } from './api'
import { SessionKeeper } from './session'
import { SignIn } from './sign-in'
import { Workspace } from './workspace'

const PROJECT_KEY = 'nest-documents.project'
const keeper = new SessionKeeper()

export function App() {
  const session = useSyncExternalStore(keeper.subscribe, keeper.current)
  const [wanted, setWanted] = useState(() => sessionStorage.getItem(PROJECT_KEY))
  const projects = session?.person.projects
  const project = projects?.find(({ id }) => id === wanted) ?? projects?.[0]

  const projectId = project?.id
  const api = useMemo(() => (projectId === undefined ? null : new Api(keeper, projectId)), [projectId])

  useEffect(() => {
    document.title = project ? `Documents · ${project.name}` : 'Documents'
  }, [project])

  if (!session || !project || !api) return <SignIn keeper={keeper} />

  const choose = (projectId: string) => {
    sessionStorage.setItem(PROJECT_KEY, projectId)
    setWanted(projectId)
  }
  return (
    // Another person or project is another page: nothing of the one before stays.
    <Workspace
      key={`${session.person.id} ${project.id}`}
      api={api}
      person={session.person}
      project={project}
      onChooseProject={choose}
      onSignOut={keeper.signOut}
    />
  )
}
