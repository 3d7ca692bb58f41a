import type { Cursor } from '@entitycast/sse-protocol'
import type { HubError } from '../hub/error'

/** A user who is there. */
export interface PresentUser {
  readonly userId: string
  /** When the user came: an ISO 8601 date-time, by the clock of the instance that the user came to. */
  readonly since: string
}

/** What presence needs of its hub. */
export interface PresenceHost {
  /** Where a project's log ends. */
  head(projectId: string): Promise<Cursor>
  /** Events were published. */
  published(count: number): void
  failed(error: unknown): void
  /** There is something to look after. */
  wake(): void
  unavailable(): HubError
}
