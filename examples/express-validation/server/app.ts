import { EventHub } from '@entitycast/sse-server'
import { eventStats, eventStream } from '@entitycast/sse-server/express'
import { RedisAdapter } from '@entitycast/sse-server/redis'
import express, { type Express } from 'express'
import { createClient } from 'redis'
import { type AppEvents, CHANNELS, events } from '../shared/events.js'
import { Accounts } from './accounts.js'
import { Announcer } from './announcer.js'
import { boardRoutes } from './board-routes.js'
import type { Config } from './config.js'
import { openDatabase } from './database.js'
import { ReviewLocks } from './locks.js'
import { answerErrors, Refusal } from './refusal.js'
import { ReminderJob } from './reminders.js'
import { seed } from './seed.js'
import { requireAdmin, requireSession, sessionRoutes } from './session-routes.js'
import { Sessions } from './sessions.js'
import { Submissions } from './submissions.js'
import { Tickets } from './tickets.js'

export interface App {
  express: Express
  hub: EventHub<AppEvents>
  /** Ends the timers and the streams. Whatever else is being answered still finishes. */
  endStreams(): Promise<void>
  /** Ends the database. */
  close(): void
}

export async function createApp(config: Config): Promise<App> {
  const db = await openDatabase(config.dataDir)
  await seed(db)
  const { redisUrl } = config
  // All that it takes to run on several instances.
  const hub = new EventHub({ events, ...(redisUrl && { adapter: new RedisAdapter(createClient({ url: redisUrl })) }) })
  const accounts = new Accounts(db)
  const sessions = new Sessions(db, { dataDir: config.dataDir, ttlMs: config.sessionTtlMs })
  const submissions = new Submissions(db)
  const announcer = new Announcer(hub, new Tickets(db))
  const reminders = new ReminderJob(db, submissions, announcer)
  const locks = new ReviewLocks(db, config.lockTtlMs)

  const app = express()
  app.disable('x-powered-by')
  app.use((_req, res, next) => {
    res.set(
      'Content-Security-Policy',
      "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    )
    res.set('X-Content-Type-Options', 'nosniff')
    next()
  })
  app.use(express.json({ limit: '32kb' }))

  // The stream of a tenant's changes. The session says whose.
  app.get(
    '/api/sse',
    eventStream(hub, {
      authorize: async (req) => {
        const session = await sessions.read(req.headers.cookie)
        return (
          session && {
            projectId: session.tenantId,
            userId: session.user.id,
            channels: CHANNELS,
            expiresAt: session.expiresAt,
          }
        )
      },
    }),
  )
  app.get('/events/stats', requireSession(sessions), requireAdmin, eventStats(hub))

  app.use('/api', sessionRoutes({ sessions, accounts, hub, locks, announcer }))
  app.use(
    '/api',
    requireSession(sessions),
    boardRoutes({
      hub,
      accounts,
      submissions,
      locks,
      announcer,
      reminders,
      lockTtlMs: config.lockTtlMs,
      sseUpdates: config.sseUpdates,
    }),
  )
  app.use(['/api', '/events'], () => {
    throw new Refusal(404, 'NOT_FOUND', 'There is no such address.')
  })
  app.use(express.static(config.webDir))
  app.use(answerErrors)

  reminders.start(
    (await accounts.tenants()).map(({ id }) => id),
    config.reminderIntervalMs,
  )
  const sweeping = repeat('sweeping the locks', Math.max(50, config.lockTtlMs / 6), async () => {
    for (const { tenantId, lock } of await locks.sweep()) await announcer.unlocked(tenantId, lock)
  })
  const announcing = repeat('announcing what was forgotten', 1_000, () => announcer.forgotten())

  return {
    express: app,
    hub,
    async endStreams() {
      reminders.stop()
      clearInterval(sweeping)
      clearInterval(announcing)
      await hub.close({ drainMs: config.drainMs })
    },
    close: () => db.close(),
  }
}

function repeat(name: string, everyMs: number, work: () => Promise<void>): NodeJS.Timeout {
  return setInterval(() => {
    work().catch((error) => console.error(`${name} failed:`, error))
  }, everyMs)
}
