import type { InStatement } from '@libsql/client'
import type { Database } from './database.js'

/** A change whose ticket is so old will not be announced any more by whoever stored it. */
const FORGOTTEN_AFTER_MS = 5_000

/**
 * An outbox of one word. A change is stored first and published after, and the process may die in between; a log that outlives it
 * (Redis) would never tell. So each change leaves a ticket in its own transaction, which is torn up once the log has the events.
 */
export class Tickets {
  constructor(private readonly db: Database) {}

  async tearUp(ticket: string): Promise<void> {
    await this.db.execute({ sql: 'DELETE FROM unannounced WHERE ticket = ?', args: [ticket] })
  }

  /** Tickets that nobody will tear up. */
  async forgotten(): Promise<{ ticket: string; tenantId: string }[]> {
    const { rows } = await this.db.execute({
      sql: 'SELECT ticket, tenant_id FROM unannounced WHERE stored_at < ?',
      args: [Date.now() - FORGOTTEN_AFTER_MS],
    })
    return rows.map((row) => ({ ticket: String(row.ticket), tenantId: String(row.tenant_id) }))
  }
}

/** For the transaction of a change, right after the statement that may have changed nothing. */
export function leaveTicket(ticket: string, tenantId: string): InStatement {
  return {
    sql: 'INSERT INTO unannounced (ticket, tenant_id, stored_at) SELECT ?, ?, ? WHERE changes() > 0',
    args: [ticket, tenantId, Date.now()],
  }
}
