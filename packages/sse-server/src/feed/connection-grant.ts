import type { Sink } from '../seams/sink'

/** What a connection may see, and for how long. */
export interface ConnectionGrant {
  readonly connectionId: string
  readonly userId: string | undefined
  readonly channels: readonly string[] | undefined
  readonly from: Pick<Sink, 'ip'>
  /** By the monotonic clock. */
  readonly openedAt: number
  /** By the monotonic clock; infinite where the grant has no end. */
  readonly expiresAt: number
  /** By the monotonic clock: when the stream is ended to be opened anew. */
  readonly rotateAt: number
  /** Asked before each heartbeat, where the application wants that. */
  readonly reauthorize: (() => boolean | Promise<boolean>) | undefined
}
