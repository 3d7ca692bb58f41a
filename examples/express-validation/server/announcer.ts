import type { EventHub } from '@entitycast/sse-server'
import type { User } from '../shared/api.js'
import { type AppEvents, type Lock, NOTIFICATIONS, type Submission, VALIDATION } from '../shared/events.js'

/**
 * Tells the pages what has changed: the one place that publishes. Called after the change is in the database
 * (or in the table of locks), and in the order of the changes.
 */
export class Announcer {
  constructor(private readonly hub: EventHub<AppEvents>) {}

  async submitted(tenantId: string, submission: Submission): Promise<void> {
    const { id, version, submittedBy } = submission
    await kept(
      this.hub
        .project(tenantId)
        .created('submission', id, submission, { version, userId: submittedBy, channel: VALIDATION }),
    )
  }

  /** The table's row for everybody, a toast for everybody, and the comment for the submitter alone. */
  async decided(tenantId: string, submission: Submission, by: User): Promise<void> {
    const project = this.hub.project(tenantId)
    const { id, title, status, submittedBy, comment } = submission
    const notice = { submissionId: id, title, by: by.id }
    await kept(
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

  async reopened(tenantId: string, submission: Submission, by: User): Promise<void> {
    await kept(this.#changed(tenantId, submission, by))
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

  #changed(tenantId: string, submission: Submission, by: User): Promise<string> {
    const { id, version, status, decidedBy, decidedAt, comment } = submission
    const data = { status, decidedBy, decidedAt, comment, version }
    return this.hub.project(tenantId).updated('submission', id, data, { version, userId: by.id, channel: VALIDATION })
  }
}

/**
 * The change is stored already, so a refused publish does not fail the request. With the log in this process that happens
 * while it shuts down only, and the next process has a new log: every page resyncs.
 */
async function kept(...publishes: Promise<string>[]): Promise<void> {
  for (const result of await Promise.allSettled(publishes)) {
    if (result.status === 'rejected') console.error('A stored change could not be announced:', result.reason)
  }
}
