/** Why the server cannot prove that it sends everything after a cursor. */
export const RESYNC_REASONS = ['expired', 'epoch', 'ahead', 'bad-cursor', 'overflow', 'broker-gap'] as const
export type ResyncReason = (typeof RESYNC_REASONS)[number]

/** Why the server ends a stream. After `revoked` and `replaced` the client does not come back by itself. */
export const CLOSING_REASONS = ['expired', 'revoked', 'shutdown', 'replaced', 'rotated', 'slow'] as const
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

export interface HeartbeatData {
  timestamp: string
}

export interface ResyncData {
  reason: ResyncReason
}

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

export const CONTROL_TYPES = ['connected', 'heartbeat', 'resync', 'closing'] as const
export type ControlType = keyof ControlEvents

export function isControlType(type: string): type is ControlType {
  return (CONTROL_TYPES as readonly string[]).includes(type)
}
