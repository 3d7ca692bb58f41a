import type { Announcer } from './announcer.js'
import type { Database } from './database.js'
import type { Submissions } from './submissions.js'

/** Reminds a tenant's team of the participants who have waited too long. */
export class ReminderJob {
  #timer: NodeJS.Timeout | undefined

  constructor(
    private readonly db: Database,
    private readonly submissions: Submissions,
    private readonly announcer: Announcer,
  ) {}

  /** Runs for one tenant. Nobody is told where nobody waits. How many wait. */
  async run(tenantId: string): Promise<number> {
    const { participants } = await this.submissions.overdue(tenantId, new Date())
    if (participants.length > 0) await this.announcer.overdue(tenantId, participants)
    return participants.length
  }

  /** Runs for every tenant, again and again; of several instances one does. */
  start(tenantIds: string[], intervalMs: number): void {
    if (intervalMs === 0) return
    this.#timer = setInterval(() => {
      for (const tenantId of tenantIds) {
        this.#inTurn(tenantId, intervalMs).catch((error) =>
          console.error(`The reminder job of ${tenantId} failed:`, error),
        )
      }
    }, intervalMs)
  }

  async #inTurn(tenantId: string, intervalMs: number): Promise<void> {
    const { rowsAffected } = await this.db.execute({
      sql: `INSERT INTO jobs (name, tenant_id, ran_at) VALUES ('reminder', ?1, ?2)
            ON CONFLICT DO UPDATE SET ran_at = excluded.ran_at WHERE ran_at <= ?2 - ?3`,
      args: [tenantId, Date.now(), intervalMs / 2],
    })
    if (rowsAffected > 0) await this.run(tenantId)
  }

  stop(): void {
    clearInterval(this.#timer)
  }
}
