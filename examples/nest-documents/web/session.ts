import type { Session } from '../shared/model'

const KEY = 'nest-documents.session'

interface Kept extends Session {
  /** When the access token was received, by this computer's clock. */
  receivedAt: number
}

/**
 * Who is signed in, in this tab: kept in sessionStorage, so that a reload keeps it and another tab may be another person.
 * The access token lives for minutes and is renewed when somebody asks for it shortly before its end.
 */
export class SessionKeeper {
  #kept: Kept | null = read()
  #renewal: Promise<string> | null = null
  readonly #listeners = new Set<() => void>()

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  readonly current = (): Session | null => this.#kept

  async signIn(personId: string): Promise<void> {
    this.#keep(await post('/api/auth/sign-in', { personId }))
  }

  readonly signOut = (): void => this.#keep(null)

  /** A token that is good for a while. `renew`: the server refused the last one. */
  async accessToken(renew = false): Promise<string> {
    const kept = this.#kept
    if (!kept) throw new SignedOut()
    if (!renew && Date.now() - kept.receivedAt < lifetimeMs(kept.accessToken) * 0.8) return kept.accessToken
    // Several requests may find the token old at once: one renewal serves them all.
    this.#renewal ??= this.#renew(kept).finally(() => {
      this.#renewal = null
    })
    return this.#renewal
  }

  async #renew({ refreshToken }: Session): Promise<string> {
    try {
      const session = await post('/api/auth/refresh', { refreshToken })
      this.#keep(session)
      return session.accessToken
    } catch (error) {
      if (error instanceof SignedOut) this.signOut()
      throw error
    }
  }

  #keep(session: Session | null): void {
    this.#kept = session && { ...session, receivedAt: Date.now() }
    if (this.#kept) sessionStorage.setItem(KEY, JSON.stringify(this.#kept))
    else sessionStorage.removeItem(KEY)
    for (const listener of this.#listeners) listener()
  }
}

/** The server does not know this session any more. */
export class SignedOut extends Error {
  constructor() {
    super('Please sign in again.')
  }
}

async function post(path: string, body: object): Promise<Session> {
  const response = await fetch(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  if (response.status === 401) throw new SignedOut()
  if (!response.ok) throw new Error(`The server answered ${response.status}.`)
  return (await response.json()) as Session
}

/** From the token's own two dates, so that a wrong clock on this computer does not matter. */
function lifetimeMs(token: string): number {
  const payload = token.split('.')[1] ?? ''
  const { exp, iat } = JSON.parse(atob(payload.replaceAll('-', '+').replaceAll('_', '/'))) as {
    exp: number
    iat: number
  }
  return (exp - iat) * 1000
}

function read(): Kept | null {
  try {
    return JSON.parse(sessionStorage.getItem(KEY) ?? 'null') as Kept | null
  } catch {
    return null
  }
}
