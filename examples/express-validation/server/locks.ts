import type { Lock } from '../shared/events.js'
import type { Database } from './database.js'

/** What became of an attempt to take a lock. `fresh`: it was free until now. */
export type LockAttempt = { mine: true; fresh: boolean } | { mine: false; heldBy: string }

/**
 * Who is reviewing what. A lock is a lease: the page renews it while the drawer is open, and one that is not renewed
 * (the laptop was closed, the network is gone) ends by itself. Each open drawer of a user holds it: two tabs do not release
 * each other's lock. In the database, so that every instance knows the same.
 */
export class ReviewLocks {
  constructor(
    private readonly db: Database,
    private readonly ttlMs: number,
    private readonly now: () => number = Date.now,
  ) {}

  async list(tenantId: string): Promise<Lock[]> {
    const { rows } = await this.db.execute({
      sql: 'SELECT DISTINCT submission_id, user_id FROM review_locks WHERE tenant_id = ? ORDER BY submission_id',
      args: [tenantId],
    })
    return rows.map(toLock)
  }

  /** Takes the lock, or renews it. */
  async acquire(tenantId: string, submissionId: string, userId: string, holder: string): Promise<LockAttempt> {
    const [before] = await this.db.batch(
      [
        {
          sql: 'SELECT user_id FROM review_locks WHERE tenant_id = ? AND submission_id = ? LIMIT 1',
          args: [tenantId, submissionId],
        },
        {
          sql: `INSERT INTO review_locks (tenant_id, submission_id, user_id, holder, until) SELECT ?1, ?2, ?3, ?4, ?5
                WHERE NOT EXISTS (SELECT 1 FROM review_locks WHERE tenant_id = ?1 AND submission_id = ?2 AND user_id <> ?3)
                ON CONFLICT DO UPDATE SET until = excluded.until`,
          args: [tenantId, submissionId, userId, holder, this.now() + this.ttlMs],
        },
      ],
      'write',
    )
    const held = before!.rows[0]
    if (!held) return { mine: true, fresh: true }
    const heldBy = String(held.user_id)
    return heldBy === userId ? { mine: true, fresh: false } : { mine: false, heldBy }
  }

  /** One drawer was closed. True: nobody holds the lock any more. */
  async release(tenantId: string, submissionId: string, userId: string, holder: string): Promise<boolean> {
    const [gone, left] = await this.db.batch(
      [
        {
          sql: 'DELETE FROM review_locks WHERE tenant_id = ? AND submission_id = ? AND user_id = ? AND holder = ?',
          args: [tenantId, submissionId, userId, holder],
        },
        {
          sql: 'SELECT 1 FROM review_locks WHERE tenant_id = ? AND submission_id = ? LIMIT 1',
          args: [tenantId, submissionId],
        },
      ],
      'write',
    )
    return gone!.rowsAffected > 0 && left!.rows.length === 0
  }

  /** The review is over, whoever holds the lock. The lock that was there. */
  async end(tenantId: string, submissionId: string): Promise<Lock | null> {
    const { rows } = await this.db.execute({
      sql: 'DELETE FROM review_locks WHERE tenant_id = ? AND submission_id = ? RETURNING submission_id, user_id',
      args: [tenantId, submissionId],
    })
    return rows[0] ? toLock(rows[0]) : null
  }

  /** A user has signed out. The locks that were theirs. */
  async endAllOf(tenantId: string, userId: string): Promise<Lock[]> {
    const { rows } = await this.db.execute({
      sql: 'DELETE FROM review_locks WHERE tenant_id = ? AND user_id = ? RETURNING submission_id, user_id',
      args: [tenantId, userId],
    })
    return [...new Map(rows.map((row) => [row.submission_id, toLock(row)])).values()]
  }

  /** Who holds it. */
  async heldBy(tenantId: string, submissionId: string): Promise<string | null> {
    const { rows } = await this.db.execute({
      sql: 'SELECT user_id FROM review_locks WHERE tenant_id = ? AND submission_id = ? LIMIT 1',
      args: [tenantId, submissionId],
    })
    return rows[0] ? String(rows[0].user_id) : null
  }

  /** Ends what was not renewed in time; what ended. Of several instances that sweep, one is told. */
  async sweep(): Promise<{ tenantId: string; lock: Lock }[]> {
    const [gone, left] = await this.db.batch(
      [
        {
          sql: 'DELETE FROM review_locks WHERE until <= ? RETURNING tenant_id, submission_id, user_id',
          args: [this.now()],
        },
        'SELECT DISTINCT tenant_id, submission_id FROM review_locks',
      ],
      'write',
    )
    const key = (row: Row) => JSON.stringify([row.tenant_id, row.submission_id])
    const stillHeld = new Set(left!.rows.map(key))
    const ended = new Map(gone!.rows.filter((row) => !stillHeld.has(key(row))).map((row) => [key(row), row]))
    return [...ended.values()].map((row) => ({ tenantId: String(row.tenant_id), lock: toLock(row) }))
  }
}

type Row = Record<string, unknown>

const toLock = (row: Row): Lock => ({ submissionId: String(row.submission_id), userId: String(row.user_id) })
