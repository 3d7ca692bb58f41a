import type { Announcer } from './announcer.js'
import type { Submissions } from './submissions.js'

/** Reminds a tenant's team of the participants who have waited too long. */
export class ReminderJob {
  #timer: NodeJS.Timeout | undefined

  constructor(
    private readonly submissions: Submissions,
    private readonly announcer: Announcer,
  ) {}

  /** Runs for one tenant. Nobody is told where nobody waits. How many wait. */
  async run(tenantId: string): Promise<number> {
    const { participants } = await this.submissions.overdue(tenantId, new Date())
    if (participants.length > 0) await this.announcer.overdue(tenantId, participants)
    return participants.length
  }

  /** Runs for every tenant, again and again. */
  start(tenantIds: string[], intervalMs: number): void {
    if (intervalMs === 0) return
    this.#timer = setInterval(() => {
      for (const tenantId of tenantIds) {
        this.run(tenantId).catch((error) => console.error(`The reminder job of ${tenantId} failed:`, error))
      }
    }, intervalMs)
  }

  stop(): void {
    clearInterval(this.#timer)
  }
}
