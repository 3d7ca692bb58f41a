import {
  type ClosingReason,
  type EventInput,
  encodeEvent,
  encodeFrame,
  type ResyncReason,
} from '@entitycast/sse-protocol'

export const EPOCH = 'k3J9xQ'
export const PROJECT = 'proj_1'
const now = () => '2026-01-01T00:00:00.000Z'

/** The cursor at an offset. */
export const at = (offset: number) => `${EPOCH}.${offset}`

interface Hello {
  id?: string | undefined
  resume?: string
  heartbeatMs?: number
  expiresInMs?: number
  projectId?: string
  retry?: number
}

export function connected({
  id,
  resume = 'live',
  heartbeatMs = 15_000,
  expiresInMs,
  projectId = PROJECT,
  retry,
}: Hello = {}): string {
  const data = JSON.stringify({ connectionId: 'conn_1', projectId, resume, heartbeatMs, expiresInMs })
  return encodeFrame({
    event: 'connected',
    ...(id !== undefined && { id }),
    ...(retry !== undefined && { retry }),
    data,
  })
}

export function heartbeat(id?: string): string {
  return encodeFrame({
    event: 'heartbeat',
    ...(id !== undefined && { id }),
    data: JSON.stringify({ timestamp: now() }),
  })
}

export function resync(reason: ResyncReason, id?: string): string {
  return encodeFrame({ event: 'resync', ...(id !== undefined && { id }), data: JSON.stringify({ reason }) })
}

export function closing(reason: ClosingReason, retry?: number): string {
  return encodeFrame({ event: 'closing', ...(retry !== undefined && { retry }), data: JSON.stringify({ reason }) })
}

export function frameOf(event: EventInput, id?: string): string {
  const { type, data } = encodeEvent(event, now)
  return encodeFrame({ event: type, ...(id !== undefined && { id }), data })
}

/** An update of `document:<id>`. */
export function updated(
  id: string,
  cursor?: string,
  fields: { data?: unknown; version?: number; channel?: string } = {},
): string {
  return frameOf({ type: 'entity.updated', entity: 'document', id, projectId: PROJECT, ...fields }, cursor)
}

export function named(type: `${string}:${string}`, data: unknown, cursor?: string): string {
  return frameOf({ type, projectId: PROJECT, data }, cursor)
}
