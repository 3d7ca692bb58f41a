import { ProtocolError, quote } from './error'

/** A place in a project's log: everything up to and including `offset` of the log that `epoch` names. */
export interface Cursor {
  /** The log's random name; new whenever offsets may have been lost or used twice. */
  readonly epoch: string
  /** The last event that was seen; 0 before the first. */
  readonly offset: number
}

const EPOCH = /^[A-Za-z0-9_-]{1,100}$/
const CURSOR = /^([A-Za-z0-9_-]{1,100})\.(0|[1-9][0-9]{0,15})$/

/**
 * The text of a cursor, as the SSE `id:` carries it: 1 to 128 of `A-Z a-z 0-9 . _ -`, legal in an HTTP header.
 *
 * @throws ProtocolError `INVALID_CURSOR`
 * @example
 * formatCursor('k3J9xQ', 42) // 'k3J9xQ.42'
 */
export function formatCursor(epoch: string, offset: number): string {
  if (typeof epoch !== 'string' || !EPOCH.test(epoch)) {
    throw new ProtocolError(
      'INVALID_CURSOR',
      `epoch is ${quote(epoch)}; it must be 1 to 100 characters A-Z a-z 0-9 _ -`,
    )
  }
  if (!Number.isSafeInteger(offset) || offset < 0) {
    throw new ProtocolError(
      'INVALID_CURSOR',
      `offset is ${quote(offset)}; it must be a whole number from 0 to 2^53 - 1`,
    )
  }
  return `${epoch}.${offset}`
}

/** The cursor that a text means; `null` where it is none. A cursor comes from a client, so nothing about it is trusted. */
export function parseCursor(text: string): Cursor | null {
  if (typeof text !== 'string' || text.length > 128) return null
  const match = CURSOR.exec(text)
  if (!match) return null
  const offset = Number(match[2])
  return Number.isSafeInteger(offset) ? { epoch: match[1]!, offset } : null
}
