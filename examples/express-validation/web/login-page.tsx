import { type FormEvent, useEffect, useState } from 'react'
import type { TenantWithUsers } from '../shared/api'
import { api, messageOf } from './api'
import { Avatar } from './avatar'
import { CheckIcon } from './icons'
import { announceSession } from './session-tabs'

/** Chooses a tenant and a user. A real sign-in page would ask for a name; this one lists them, to make two windows with two people easy. */
export function LoginPage({ onSignedIn }: { onSignedIn: () => Promise<void> }) {
  const [tenants, setTenants] = useState<TenantWithUsers[]>([])
  const [tenantId, setTenantId] = useState('')
  const [userId, setUserId] = useState('')
  const [password, setPassword] = useState('demo')
  const [error, setError] = useState<string>()
  const [busy, setBusy] = useState(false)

  useEffect(() => {
    let current = true
    api.tenants().then(
      (list) => {
        if (!current) return
        setTenants(list)
        setTenantId(list[0]?.id ?? '')
        setUserId(list[0]?.users[0]?.id ?? '')
      },
      (thrown: unknown) => current && setError(messageOf(thrown)),
    )
    return () => {
      current = false
    }
  }, [])

  const tenant = tenants.find(({ id }) => id === tenantId)

  async function signIn(event: FormEvent<HTMLFormElement>) {
    event.preventDefault()
    setBusy(true)
    setError(undefined)
    try {
      await api.login(userId, password)
      announceSession()
      await onSignedIn()
    } catch (thrown) {
      setError(messageOf(thrown))
      setBusy(false)
    }
  }

  return (
    <main className="login">
      <section className="login-side">
        <span className="brand-mark">
          <CheckIcon />
        </span>
        <h1>Validation board</h1>
        <p>A team decides on submissions together. Open the board in two windows, as two people:</p>
        <ol>
          <li>Sign in here as Dana, and in a private window as Kim.</li>
          <li>Dana opens “KYC file 1042”: Kim sees who is reviewing it.</li>
          <li>Dana approves it: Kim’s row and counts change, and a toast says so.</li>
          <li>Meadow Clinics, meanwhile, sees nothing of it.</li>
        </ol>
      </section>
      <form className="login-form" onSubmit={signIn}>
        <h2>Sign in</h2>
        <fieldset className="choices choices-tenant">
          <legend>Organisation</legend>
          {tenants.map((one) => (
            <label key={one.id} className="choice">
              <input
                type="radio"
                name="tenant"
                value={one.id}
                checked={one.id === tenantId}
                onChange={() => {
                  setTenantId(one.id)
                  setUserId(one.users[0]?.id ?? '')
                }}
              />
              <span>
                <strong>{one.name}</strong>
                <span className="quiet">{one.tagline}</span>
              </span>
            </label>
          ))}
        </fieldset>
        <fieldset className="choices">
          <legend>User</legend>
          {tenant?.users.map((user) => (
            <label key={user.id} className="choice">
              <input
                type="radio"
                name="user"
                value={user.id}
                checked={user.id === userId}
                onChange={() => setUserId(user.id)}
              />
              <Avatar name={user.name} />
              <span>
                <strong>{user.name}</strong>
                <span className="quiet">{user.role === 'admin' ? 'Admin' : 'Reviewer'}</span>
              </span>
            </label>
          ))}
        </fieldset>
        <label className="field">
          Password <span className="quiet">everybody’s is “demo”</span>
          <input
            type="password"
            autoComplete="current-password"
            value={password}
            onChange={(event) => setPassword(event.target.value)}
          />
        </label>
        {error && (
          <p className="error" role="alert">
            {error}
          </p>
        )}
        <button type="submit" className="button button-primary" disabled={busy || !userId}>
          Sign in
        </button>
      </form>
    </main>
  )
}
