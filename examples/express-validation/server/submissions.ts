import type { DecisionRequest, HistoryEntry, NewSubmission } from '../shared/api.js'
import type { Status, Submission } from '../shared/events.js'
import type { Database } from './database.js'
import { Refusal } from './refusal.js'
import { leaveTicket } from './tickets.js'

/** Participants whose pending submission should have been decided by now. */
export interface Overdue {
  participants: string[]
}

/**
 * The submissions of the tenants, and the rules of deciding. Every method names the tenant, and no statement reads past it.
 * Each change raises the submission's version by one, in the same statement that makes it, and leaves a ticket until it is announced.
 */
export class Submissions {
  constructor(private readonly db: Database) {}

  async list(tenantId: string): Promise<Submission[]> {
    const { rows } = await this.db.execute({
      sql: 'SELECT * FROM submissions WHERE tenant_id = ? ORDER BY number DESC',
      args: [tenantId],
    })
    return rows.map(toSubmission)
  }

  async get(tenantId: string, id: string): Promise<Submission> {
    const { rows } = await this.db.execute({
      sql: 'SELECT * FROM submissions WHERE tenant_id = ? AND id = ?',
      args: [tenantId, id],
    })
    if (!rows[0]) throw new Refusal(404, 'NOT_FOUND', 'There is no such submission.')
    return toSubmission(rows[0])
  }

  async kinds(tenantId: string): Promise<string[]> {
    const { rows } = await this.db.execute({
      sql: 'SELECT DISTINCT kind FROM submissions WHERE tenant_id = ? ORDER BY kind',
      args: [tenantId],
    })
    return rows.map((row) => String(row.kind))
  }

  async history(tenantId: string, id: string): Promise<HistoryEntry[]> {
    await this.get(tenantId, id)
    const { rows } = await this.db.execute({
      sql: 'SELECT * FROM history WHERE submission_id = ? ORDER BY version',
      args: [id],
    })
    return rows.map((row) => ({
      action: row.action as HistoryEntry['action'],
      by: String(row.by_user),
      at: String(row.at),
      comment: textOrNull(row.comment),
    }))
  }

  async create(tenantId: string, userId: string, input: NewSubmission, ticket: string): Promise<Submission> {
    if (!(await this.kinds(tenantId)).includes(input.kind)) {
      throw new Refusal(400, 'UNKNOWN_KIND', 'That kind of submission is not reviewed here.')
    }
    const [inserted] = await this.db.batch(
      [
        {
          sql: `INSERT INTO submissions (id, tenant_id, number, kind, participant, facts, submitted_by, submitted_at, due_at)
                SELECT :tenant || '-' || number, :tenant, number, :kind, :participant, '[]', :user, :now, :due
                FROM (SELECT COALESCE(MAX(number), 0) + 1 AS number FROM submissions WHERE tenant_id = :tenant) RETURNING *`,
          args: {
            tenant: tenantId,
            kind: input.kind,
            participant: input.participant,
            user: userId,
            now: new Date().toISOString(),
            due: new Date(input.dueAt).toISOString(),
          },
        },
        {
          sql: `INSERT INTO history (submission_id, version, action, by_user, at)
                SELECT id, version, 'submitted', submitted_by, submitted_at FROM submissions
                WHERE tenant_id = ? ORDER BY number DESC LIMIT 1`,
          args: [tenantId],
        },
        leaveTicket(ticket, tenantId),
      ],
      'write',
    )
    return toSubmission(inserted!.rows[0]!)
  }

  /** Approves or rejects a pending submission. */
  async decide(
    tenantId: string,
    id: string,
    userId: string,
    request: DecisionRequest,
    ticket: string,
  ): Promise<Submission> {
    const seen = await this.get(tenantId, id)
    if (seen.submittedBy === userId) {
      throw new Refusal(403, 'OWN_SUBMISSION', 'Somebody else has to decide what you have submitted.')
    }
    const comment = request.comment?.trim() || null
    if (request.decision === 'rejected' && !comment) {
      throw new Refusal(
        400,
        'COMMENT_REQUIRED',
        'A rejection needs a comment: the submitter has to know what to change.',
      )
    }
    const step = { from: ['pending'] as Status[], to: request.decision, comment, ticket }
    return this.#change(tenantId, seen, request.version, userId, step)
  }

  /** Makes a decided submission pending again. */
  async reopen(tenantId: string, id: string, userId: string, version: number, ticket: string): Promise<Submission> {
    const seen = await this.get(tenantId, id)
    const step = { from: ['approved', 'rejected'] as Status[], to: 'pending' as const, comment: null, ticket }
    return this.#change(tenantId, seen, version, userId, step)
  }

  async overdue(tenantId: string, now: Date): Promise<Overdue> {
    const { rows } = await this.db.execute({
      sql: `SELECT DISTINCT participant FROM submissions
            WHERE tenant_id = ? AND status = 'pending' AND due_at < ? ORDER BY participant`,
      args: [tenantId, now.toISOString()],
    })
    return { participants: rows.map((row) => String(row.participant)) }
  }

  /** One atomic step, and only from the state that the reviewer saw: of two who decide at once, one is told so. */
  async #change(
    tenantId: string,
    seen: Submission,
    version: number,
    userId: string,
    change: { from: Status[]; to: Status; comment: string | null; ticket: string },
  ): Promise<Submission> {
    const now = new Date().toISOString()
    const reopened = change.to === 'pending'
    const [updated] = await this.db.batch(
      [
        {
          sql: `UPDATE submissions SET status = ?, decided_by = ?, decided_at = ?, comment = ?, version = version + 1
                WHERE id = ? AND version = ? AND status IN (${change.from.map(() => '?').join(', ')}) RETURNING *`,
          args: [
            change.to,
            reopened ? null : userId,
            reopened ? null : now,
            change.comment,
            seen.id,
            version,
            ...change.from,
          ],
        },
        {
          sql: `INSERT INTO history (submission_id, version, action, by_user, at, comment)
                SELECT ?, ?, ?, ?, ?, ? WHERE changes() > 0`,
          args: [seen.id, version + 1, reopened ? 'reopened' : change.to, userId, now, change.comment],
        },
        leaveTicket(change.ticket, tenantId),
      ],
      'write',
    )
    const row = updated!.rows[0]
    if (!row) throw new Refusal(409, 'CHANGED', 'Somebody else has changed this submission in the meantime.')
    return toSubmission(row)
  }
}

function toSubmission(row: Record<string, unknown>): Submission {
  return {
    id: String(row.id),
    title: `${row.kind} ${row.number}`,
    kind: String(row.kind),
    participant: String(row.participant),
    facts: JSON.parse(String(row.facts)),
    submittedBy: String(row.submitted_by),
    submittedAt: String(row.submitted_at),
    dueAt: String(row.due_at),
    status: row.status as Status,
    decidedBy: textOrNull(row.decided_by),
    decidedAt: textOrNull(row.decided_at),
    comment: textOrNull(row.comment),
    version: Number(row.version),
  }
}

const textOrNull = (value: unknown): string | null => (value === null ? null : String(value))
