import type { ResyncReason } from '@entitycast/sse-protocol'
import type { View } from './view'

/**
 * Connections that are looked at together, and then written to: memory that is fetched for many at a time is there sooner than for one
 * after the other.
 */
export const TOGETHER = 64

/** Where a connection begins, and whether it must be told to resync first. */
export interface Start {
  readonly offset: number
  readonly lagging: boolean
  readonly resync: ResyncReason | undefined
}

/** Whoever reads a feed from a place in its log: what the feed needs to know of a connection. */
export interface Reader {
  /** The last offset that was given to it. */
  readonly offset: number
  /** Behind the head: it gets conflated pages. */
  readonly lagging: boolean
  readonly view: View
  readonly userId: string | undefined
  /** Whether something can be written to it now, as far as can be told. */
  readonly ready: boolean
  /** There may be something after its offset. */
  advance(): void
  /** Continuity is broken: it is to be told before anything else. */
  resync(reason: ResyncReason): void
}
