import type { Lock, Status, Submission } from './events.js'

/* What the server answers, and the page asks. */

export type Role = 'reviewer' | 'admin'

export interface User {
  id: string
  name: string
  role: Role
}

export interface Tenant {
  id: string
  name: string
  tagline: string
}

/** For the sign-in page of this demonstration; a real one would not list its users. */
export type TenantWithUsers = Tenant & { users: User[] }

/** Everything the board needs, read after `cursor` was taken. */
export interface Bootstrap {
  user: User
  tenant: Tenant
  team: User[]
  /** What a submission may be, for the form. */
  kinds: string[]
  submissions: Submission[]
  locks: Lock[]
  /** The place in the tenant's log just before the read: the page listens from there, so that nothing falls between. */
  cursor: string
  /** How long a lock lives without being renewed, in milliseconds. */
  lockTtlMs: number
  flags: { sseUpdates: boolean }
}

/** One line of a submission's history. */
export interface HistoryEntry {
  action: 'submitted' | 'approved' | 'rejected' | 'reopened'
  by: string
  at: string
  comment: string | null
}

export interface DecisionRequest {
  decision: Exclude<Status, 'pending'>
  /** Required for a rejection. */
  comment?: string
  /** The version that the reviewer saw. */
  version: number
}

export interface NewSubmission {
  kind: string
  participant: string
  /** ISO 8601. */
  dueAt: string
}

/** A page that listens, as the admin sees it. */
export interface OpenConnection {
  connectionId: string
  userId: string
  channels: string[]
  ageMs: number
  /** Behind the newest event, because its network takes nothing more. */
  lagging: boolean
}

/** What `/events/stats` answers, as far as the page shows it. */
export interface StreamStats {
  accepting: boolean
  uptimeMs: number
  connections: number
  lagging: number
  published: number
  opened: number
  bytesWritten: number
  closed: Record<string, number>
  resyncs: Record<string, number>
  refused: Record<string, number>
}

/** The body of every refusal. */
export interface ApiErrorBody {
  error: { code: string; message: string }
}
