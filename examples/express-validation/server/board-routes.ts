import { randomUUID } from 'node:crypto'
import type { EventHub } from '@entitycast/sse-server'
import { Router } from 'express'
import * as v from 'valibot'
import type { Bootstrap, OpenConnection } from '../shared/api.js'
import { type AppEvents, CHANNELS } from '../shared/events.js'
import type { Accounts } from './accounts.js'
import type { Announcer } from './announcer.js'
import type { ReviewLocks } from './locks.js'
import { Refusal, readBody } from './refusal.js'
import type { ReminderJob } from './reminders.js'
import { requireAdmin, sessionOf } from './session-routes.js'
import type { Submissions } from './submissions.js'

export interface Board {
  hub: EventHub<AppEvents>
  accounts: Accounts
  submissions: Submissions
  locks: ReviewLocks
  announcer: Announcer
  reminders: ReminderJob
  lockTtlMs: number
  sseUpdates: boolean
}

const Version = v.pipe(v.number(), v.integer(), v.minValue(1))
const Comment = v.pipe(v.string(), v.maxLength(2_000))
const Decision = v.object({
  decision: v.picklist(['approved', 'rejected']),
  comment: v.optional(Comment),
  version: Version,
})
const Reopening = v.object({ version: Version })
const Holder = v.object({ holder: v.pipe(v.string(), v.minLength(1), v.maxLength(64)) })
const Submitted = v.object({
  kind: v.string(),
  participant: v.pipe(v.string(), v.trim(), v.minLength(1, 'say who it is about'), v.maxLength(120)),
  dueAt: v.pipe(v.string(), v.isoTimestamp('must be a date and time')),
})

/** What the page reads and does. After `requireSession`: the tenant is always the session's, never the request's. */
export function boardRoutes(board: Board): Router {
  const { hub, accounts, submissions, locks, announcer, reminders } = board
  const router = Router()

  router.get('/bootstrap', async (_req, res) => {
    const { tenantId, user } = sessionOf(res)
    // First the place in the log, then the read: what happens in between is in the answer, or comes after the cursor, or both.
    // Twice does no harm, because of the versions.
    const cursor = await hub.cursor(tenantId)
    const [tenant, team, kinds, list, held] = await Promise.all([
      accounts.tenant(tenantId),
      accounts.team(tenantId),
      submissions.kinds(tenantId),
      submissions.list(tenantId),
      locks.list(tenantId),
    ])
    const answer: Bootstrap = {
      user,
      tenant,
      team,
      kinds,
      submissions: list,
      locks: held,
      cursor,
      lockTtlMs: board.lockTtlMs,
      flags: { sseUpdates: board.sseUpdates },
    }
    res.set('Cache-Control', 'no-store').json(answer)
  })

  router.post('/submissions', async (req, res) => {
    const { tenantId, user } = sessionOf(res)
    const ticket = randomUUID()
    const submission = await submissions.create(tenantId, user.id, readBody(Submitted, req.body), ticket)
    await announcer.submitted(tenantId, submission, ticket)
    res.status(201).json(submission)
  })

  router.get('/submissions/:id/history', async (req, res) => {
    res.json(await submissions.history(sessionOf(res).tenantId, req.params.id))
  })

  router.post('/submissions/:id/decision', async (req, res) => {
    const { tenantId, user } = sessionOf(res)
    const { id } = req.params
    const request = readBody(Decision, req.body)
    const reviewer = await locks.heldBy(tenantId, id)
    if (reviewer && reviewer !== user.id)
      throw new Refusal(423, 'LOCKED', 'Somebody else is reviewing this submission.')
    const ticket = randomUUID()
    const submission = await submissions.decide(tenantId, id, user.id, request, ticket)
    const lock = await locks.end(tenantId, id)
    await Promise.all([
      announcer.decided(tenantId, submission, user, ticket),
      lock && announcer.unlocked(tenantId, lock),
    ])
    res.json(submission)
  })

  router.post('/submissions/:id/reopen', requireAdmin, async (req, res) => {
    const { tenantId, user } = sessionOf(res)
    const { version } = readBody(Reopening, req.body)
    const ticket = randomUUID()
    const submission = await submissions.reopen(tenantId, String(req.params.id), user.id, version, ticket)
    await announcer.reopened(tenantId, submission, user, ticket)
    res.json(submission)
  })

  /** Takes the lock, and renews it: the page asks again and again while the drawer is open. */
  router.put('/submissions/:id/lock', async (req, res) => {
    const { tenantId, user } = sessionOf(res)
    const { id } = req.params
    const { holder } = readBody(Holder, req.body)
    const submission = await submissions.get(tenantId, id)
    if (submission.status !== 'pending') throw new Refusal(409, 'CHANGED', 'This submission is decided already.')
    const attempt = await locks.acquire(tenantId, id, user.id, holder)
    if (!attempt.mine) throw new Refusal(423, 'LOCKED', 'Somebody else is reviewing this submission.')
    if (attempt.fresh) await announcer.locked(tenantId, { submissionId: id, userId: user.id })
    res.status(204).end()
  })

  router.delete('/submissions/:id/lock', async (req, res) => {
    const { tenantId, user } = sessionOf(res)
    const { id } = req.params
    const { holder } = readBody(Holder, req.body)
    if (await locks.release(tenantId, id, user.id, holder))
      await announcer.unlocked(tenantId, { submissionId: id, userId: user.id })
    res.status(204).end()
  })

  router.post('/jobs/reminder', requireAdmin, async (_req, res) => {
    res.json({ overdue: await reminders.run(sessionOf(res).tenantId) })
  })

  /** Who has the board open, in this tenant. `/events/stats` counts for the whole process and names nobody. */
  router.get('/connections', requireAdmin, (_req, res) => {
    const { tenantId } = sessionOf(res)
    const connections: OpenConnection[] = hub
      .connections({ projectId: tenantId })
      .map(({ connectionId, userId = '', channels, ageMs, lagging }) => ({
        connectionId,
        userId,
        channels: channels === 'all' ? CHANNELS : [...channels],
        ageMs,
        lagging,
      }))
    res.set('Cache-Control', 'no-store').json(connections)
  })

  /** Ends a stream, also one of another instance; its page comes back by itself and misses nothing. */
  router.delete('/connections/:id', requireAdmin, async (req, res) => {
    const { tenantId } = sessionOf(res)
    await hub.disconnect({ projectId: tenantId, connectionId: String(req.params.id) })
    res.status(204).end()
  })

  return router
}
