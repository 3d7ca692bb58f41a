import type { EventHub } from '@entitycast/sse-server'
import { type RequestHandler, type Response, Router } from 'express'
import * as v from 'valibot'
import type { AppEvents } from '../shared/events.js'
import type { Accounts } from './accounts.js'
import type { Announcer } from './announcer.js'
import type { ReviewLocks } from './locks.js'
import { Refusal, readBody } from './refusal.js'
import type { Session, Sessions } from './sessions.js'

const Credentials = v.object({
  userId: v.pipe(v.string(), v.maxLength(64)),
  password: v.pipe(v.string(), v.maxLength(256)),
})

export interface SignIn {
  sessions: Sessions
  accounts: Accounts
  hub: EventHub<AppEvents>
  locks: ReviewLocks
  announcer: Announcer
}

/** Signing in and out. */
export function sessionRoutes({ sessions, accounts, hub, locks, announcer }: SignIn): Router {
  const router = Router()

  router.get('/tenants', async (_req, res) => {
    res.json(await accounts.tenants())
  })

  router.post('/login', async (req, res) => {
    const { userId, password } = readBody(Credentials, req.body)
    const user = await accounts.signIn(userId, password)
    if (!user) throw new Refusal(401, 'WRONG_CREDENTIALS', 'That user and password do not fit together.')
    res.set('Set-Cookie', await sessions.open(user.id, req.secure)).json(user)
  })

  router.post('/logout', requireSession(sessions), async (_req, res) => {
    const session = sessionOf(res)
    const { tenantId, user } = session
    const noCookie = await sessions.close(session)
    // Ends this user's streams everywhere. Where a session still stands the page comes back by itself and misses nothing;
    // a tab that was left open with this session is refused with 401.
    await hub.disconnect({ projectId: tenantId, userId: user.id })
    // Who has gone reviews nothing. A drawer that is open in another browser of theirs takes its lock again.
    const ended = await locks.endAllOf(tenantId, user.id)
    await Promise.all(ended.map((lock) => announcer.unlocked(tenantId, lock)))
    res.set('Set-Cookie', noCookie).status(204).end()
  })

  return router
}

/** Refuses whoever is not signed in. */
export function requireSession(sessions: Sessions): RequestHandler {
  return async (req, res, next) => {
    const session = await sessions.read(req.headers.cookie)
    if (!session) throw new Refusal(401, 'UNAUTHORIZED', 'Please sign in.')
    res.locals.session = session
    next()
  }
}

/** Refuses whoever is not an admin. After `requireSession`. */
export const requireAdmin: RequestHandler = (_req, res, next) => {
  if (sessionOf(res).user.role !== 'admin') throw new Refusal(403, 'FORBIDDEN', 'Only an admin may do that.')
  next()
}

export function sessionOf(res: Response): Session {
  return res.locals.session as Session
}
