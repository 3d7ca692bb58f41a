import { useEffect, useState } from 'react'
import type { Person } from '../shared/model'
import { people } from './api'
import { Avatar, Logo } from './marks'
import type { SessionKeeper } from './session'

/** The demo has no passwords: one picks somebody. */
export function SignIn({ keeper }: { keeper: SessionKeeper }) {
  const [list, setList] = useState<Person[] | null>(null)
  const [problem, setProblem] = useState<string | null>(null)

  useEffect(() => {
    let left = false
    people().then(
      (loaded) => left || setList(loaded),
      () => left || setProblem('The server cannot be reached. Reload the page to try again.'),
    )
    return () => {
      left = true
    }
  }, [])

  const signIn = (person: Person) => {
    setProblem(null)
    keeper.signIn(person.id).catch((error: Error) => setProblem(error.message))
  }

  return (
    <main className="sign-in">
      <div className="sign-in-card">
        <Logo />
        <h1>Documents</h1>
        <p className="muted">Who are you today? Everyone sees the documents of their own projects only.</p>
        {problem && (
          <p className="notice notice-bad" role="alert">
            {problem}
          </p>
        )}
        <ul className="people" aria-label="People" aria-busy={!list && !problem}>
          {list?.map((person) => (
            <li key={person.id}>
              <button type="button" data-testid={`sign-in-${person.id}`} onClick={() => signIn(person)}>
                <Avatar name={person.name} />
                <span className="person">
                  <strong>{person.name}</strong>
                  <span className="muted">{person.role}</span>
                </span>
                <span className="person-projects">
                  {person.projects.map((project) => (
                    <span key={project.id} className="tag">
                      {project.name}
                    </span>
                  ))}
                </span>
              </button>
            </li>
          ))}
        </ul>
      </div>
    </main>
  )
}
