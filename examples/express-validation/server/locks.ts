import type { Lock } from '../shared/events.js'

/** What became of an attempt to take a lock. `fresh`: it was free until now. */
export type LockAttempt = { mine: true; fresh: boolean } | { mine: false; heldBy: string }

interface Held {
  userId: string
  /** Until when each open drawer of that user keeps it: two tabs do not release each other's lock. */
  holders: Map<string, number>
}

/**
 * Who is reviewing what. A lock is a lease: the page renews it while the drawer is open, and one that is not renewed
 * (the laptop was closed, the network is gone) ends by itself. Kept in memory: after a restart nobody is reviewing,
 * and the new log makes every page load the board again.
 */
export class ReviewLocks {
  readonly #tenants = new Map<string, Map<string, Held>>()

  constructor(
    private readonly ttlMs: number,
    private readonly now: () => number = Date.now,
  ) {}

  list(tenantId: string): Lock[] {
    return [...(this.#tenants.get(tenantId) ?? [])].map(([submissionId, { userId }]) => ({ submissionId, userId }))
  }

  /** Takes the lock, or renews it. */
  acquire(tenantId: string, submissionId: string, userId: string, holder: string): LockAttempt {
    let locks = this.#tenants.get(tenantId)
    if (!locks) this.#tenants.set(tenantId, (locks = new Map()))
    const held = locks.get(submissionId)
    if (held && held.userId !== userId) return { mine: false, heldBy: held.userId }
    if (held) {
      held.holders.set(holder, this.now() + this.ttlMs)
      return { mine: true, fresh: false }
    }
    locks.set(submissionId, { userId, holders: new Map([[holder, this.now() + this.ttlMs]]) })
    return { mine: true, fresh: true }
  }

  /** One drawer was closed. True: nobody holds the lock any more. */
  release(tenantId: string, submissionId: string, userId: string, holder: string): boolean {
    const held = this.#tenants.get(tenantId)?.get(submissionId)
    if (!held || held.userId !== userId || !held.holders.delete(holder) || held.holders.size > 0) return false
    this.#remove(tenantId, submissionId)
    return true
  }

  /** The review is over, whoever holds the lock. The lock that was there. */
  end(tenantId: string, submissionId: string): Lock | null {
    const held = this.#tenants.get(tenantId)?.get(submissionId)
    if (!held) return null
    this.#remove(tenantId, submissionId)
    return { submissionId, userId: held.userId }
  }

  /** A user has signed out. The locks that were theirs. */
  endAllOf(tenantId: string, userId: string): Lock[] {
    const locks = this.list(tenantId).filter((lock) => lock.userId === userId)
    for (const { submissionId } of locks) this.#remove(tenantId, submissionId)
    return locks
  }

  /** Who holds it. */
  heldBy(tenantId: string, submissionId: string): string | null {
    return this.#tenants.get(tenantId)?.get(submissionId)?.userId ?? null
  }

  /** Ends what was not renewed in time; what ended. */
  sweep(): { tenantId: string; lock: Lock }[] {
    const ended: { tenantId: string; lock: Lock }[] = []
    for (const [tenantId, locks] of this.#tenants) {
      for (const [submissionId, { userId, holders }] of locks) {
        for (const [holder, until] of holders) if (until <= this.now()) holders.delete(holder)
        if (holders.size > 0) continue
        this.#remove(tenantId, submissionId)
        ended.push({ tenantId, lock: { submissionId, userId } })
      }
    }
    return ended
  }

  #remove(tenantId: string, submissionId: string): void {
    const locks = this.#tenants.get(tenantId)
    locks?.delete(submissionId)
    if (locks?.size === 0) this.#tenants.delete(tenantId)
  }
}
