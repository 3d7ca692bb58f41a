import type { Cursor } from '@entitycast/sse-protocol'
import type { Peers } from '../peers/peers'
import type { Adapter } from '../seams/adapter'
import type { Ports } from '../seams/ports'

/** A user who is there. */
export interface PresentUser {
  readonly userId: string
  /** When the user came: an ISO 8601 date-time. */
  readonly since: string
}

/** What presence needs of its hub. */
export interface PresenceHost {
  head(projectId: string): Promise<Cursor>
  published(count: number): void
  failed(error: unknown): void
  wake(): void
}

export class Presence {
  readonly size = 0
  constructor(
    readonly adapter: Adapter,
    readonly ports: Ports,
    readonly options: { graceMs: number; channel: string },
    readonly peers: Peers,
    readonly host: PresenceHost,
  ) {}
  tick(_now: number): void {}
  entered(_projectId: string, _userId: string): void {}
  left(_projectId: string, _userId: string): void {}
  async users(_projectId: string): Promise<PresentUser[]> {
    return []
  }
  async close(): Promise<void> {}
}
