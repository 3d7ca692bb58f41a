/** Why the server cannot prove that it sends everything after a cursor. */
export const RESYNC_REASONS = ['expired', 'epoch', 'ahead', 'bad-cursor', 'overflow', 'broker-gap'] as const
/**
 * Why a page must load its data again: the cursor is older than what is kept (`expired`), of another log (`epoch`), beyond the end (`ahead`) or no cursor
 * (`bad-cursor`); the reader was slow, and what it missed is gone (`overflow`); the server may itself have missed events (`broker-gap`).
 */
export type ResyncReason = (typeof RESYNC_REASONS)[number]

/** Why the server ends a stream. After `revoked` and `replaced` the client does not come back by itself. */
export const CLOSING_REASONS = ['expired', 'revoked', 'shutdown', 'replaced', 'rotated', 'slow'] as const
/**
 * Why the server ends a stream. The client comes back by itself after `expired` (the grant), `shutdown` (the instance), `rotated` (the stream is old enough) and
 * `slow` (it took nothing), and not after `revoked` (the right was taken away) and `replaced` (by another connection).
 */
export type ClosingReason = (typeof CLOSING_REASONS)[number]

/** How a stream continues: `live` from now, `replayed` from the client's cursor, `resync` where that could not be proven. */
export type Resume = 'live' | 'replayed' | 'resync'

/** The first frame of every stream. */
export interface ConnectedData {
  connectionId: string
  projectId: string
  resume: Resume
  /** Milliseconds between heartbeats; 0 where they are off. The client gives up after three without a byte. */
  heartbeatMs: number
  /**
   * Milliseconds until the grant ends, where it does. No time of day: clients' clocks are wrong.
   */
  expiresInMs?: number
}

/** The `data` of `heartbeat`. */
export interface HeartbeatData {
  timestamp: string
}

/** The `data` of `resync`. */
export interface ResyncData {
  reason: ResyncReason
}

/** The `data` of `closing`. */
export interface ClosingData {
  reason: ClosingReason
}

/** What each control event carries. */
export interface ControlEvents {
  connected: ConnectedData
  heartbeat: HeartbeatData
  resync: ResyncData
  closing: ClosingData
}

/** The frames that are no events: handlers do not see them. */
export const CONTROL_TYPES = ['connected', 'heartbeat', 'resync', 'closing'] as const
/** One of {@link CONTROL_TYPES}. */
export type ControlType = keyof ControlEvents

/** Whether a frame of this type is a control frame. */
export function isControlType(type: string): type is ControlType {
  return (CONTROL_TYPES as readonly string[]).includes(type)
}
