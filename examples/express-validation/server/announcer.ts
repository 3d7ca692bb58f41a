import type { EventHub } from '@entitycast/sse-server'
import type { User } from '../shared/api.js'
import { type AppEvents, type Lock, NOTIFICATIONS, type Submission, VALIDATION } from '../shared/events.js'
import type { Tickets } from './tickets.js'

/**
 * Tells the pages what has changed: the one place that publishes. Called after the change is in the database
 * (or in the table of locks), and in the order of the changes.
 */
export class Announcer {
  constructor(
    private readonly hub: EventHub<AppEvents>,
    private readonly tickets: Tickets,
  ) {}

  async submitted(tenantId: string, submission: Submission, ticket: string): Promise<void> {
    const { id, version, submittedBy } = submission
    await this.#settled(
      ticket,
      this.hub
        .project(tenantId)
        .created('submission', id, submission, { version, userId: submittedBy, channel: VALIDATION }),
    )
  }

  /** The table's row for everybody, a toast for everybody, and the comment for the submitter alone. */
  async decided(tenantId: string, submission: Submission, by: User, ticket: string): Promise<void> {
    const project = this.hub.project(tenantId)
    const { id, title, status, submittedBy, comment } = submission
    const notice = { submissionId: id, title, by: by.id }
    await this.#settled(
      ticket,
      this.#changed(tenantId, submission, by),
      project.emit(status === 'approved' ? 'submission:approved' : 'submission:rejected', notice, {
        userId: by.id,
        channel: NOTIFICATIONS,
      }),
      project.emit(
        'submission:answered',
        { ...notice, status, comment },
        {
          userId: by.id,
          channel: NOTIFICATIONS,
          audience: { users: [submittedBy] },
        },
      ),
    )
  }

  async reopened(tenantId: string, submission: Submission, by: User, ticket: string): Promise<void> {
    await this.#settled(ticket, this.#changed(tenantId, submission, by))
  }

  async locked(tenantId: string, lock: Lock): Promise<void> {
    await kept(this.hub.project(tenantId).emit('lock:acquired', lock, { userId: lock.userId, channel: VALIDATION }))
  }

  async unlocked(tenantId: string, lock: Lock): Promise<void> {
    await kept(this.hub.project(tenantId).emit('lock:released', lock, { userId: lock.userId, channel: VALIDATION }))
  }

  async overdue(tenantId: string, participants: string[]): Promise<void> {
    const data = { count: participants.length, participants: participants.slice(0, 10) }
    // A reader who is behind needs the last reminder only.
    await kept(
      this.hub
        .project(tenantId)
        .emit('participants:overdue', data, { channel: NOTIFICATIONS, conflateKey: 'participants:overdue' }),
    )
  }

  /** Tells the pages of a tenant to load again, where a change was stored and its process died before it could tell. */
  async forgotten(): Promise<void> {
    const forgotten = await this.tickets.forgotten()
    for (const tenantId of new Set(forgotten.map((one) => one.tenantId))) {
      await this.hub.project(tenantId).emit('board:changed', {}, { channel: VALIDATION, conflateKey: 'board:changed' })
    }
    for (const { ticket } of forgotten) await this.tickets.tearUp(ticket)
  }

  async #settled(ticket: string, ...publishes: Promise<string>[]): Promise<void> {
    if (await kept(...publishes)) await this.tickets.tearUp(ticket)
  }

  #changed(tenantId: string, submission: Submission, by: User): Promise<string> {
    const { id, version, status, decidedBy, decidedAt, comment } = submission
    const data = { status, decidedBy, decidedAt, comment, version }
    return this.hub.project(tenantId).updated('submission', id, data, { version, userId: by.id, channel: VALIDATION })
  }
}

/** The change is stored already, so a refused publish does not fail the request. Whether all are in the log. */
async function kept(...publishes: Promise<string>[]): Promise<boolean> {
  let all = true
  for (const result of await Promise.allSettled(publishes)) {
    if (result.status === 'fulfilled') continue
    all = false
    console.error('A stored change could not be announced:', result.reason)
  }
  return all
}
