import type { ResyncReason } from '@entitycast/sse-protocol'
import type { View } from './view'

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
  /** There may be something after its offset. */
  advance(): void
  /** Continuity is broken: it is to be told before anything else. */
  resync(reason: ResyncReason): void
}
