import type { LogRecord } from './adapter'

/*
 * Records as text, for brokers that hold text, and what such a broker has found in a log.
 */

/** What has been seen of a log: the newest offset, and the tag of its append. */
export interface Seen {
  readonly epoch: string
  readonly offset: number
  readonly tag: string
}

/** What was found after a place in the log. */
export interface Found {
  readonly what: 'ok' | 'epoch' | 'ahead' | 'expired'
  readonly epoch: string
  /** The head, and the tag of its append. */
  readonly last: number
  readonly tag: string
  /** The tag of the last record given. */
  readonly seen: string
  readonly records: readonly LogRecord[]
}

/** JSON, so that characters which a broker's text cannot hold are escaped. */
export function encodeRecord({ type, data, channel, users, key }: LogRecord): string {
  return JSON.stringify([type, data, channel, users ?? 0, key ?? 0])
}

/** What a record counts for in the retention by bytes, and while it waits. Whom it is for may be most of it. */
export function weightOf({ type, data, key, users }: LogRecord): number {
  let weight = type.length + data.length + (key?.length ?? 0)
  if (users) for (const user of users) weight += user.length
  return weight
}

/** Records that are joined with commas, in brackets; `undefined` where one of them is none. */
export function decodeRecords(json: string): LogRecord[] | undefined {
  let values: unknown
  try {
    values = JSON.parse(json)
  } catch {
    return undefined
  }
  if (!Array.isArray(values)) return undefined
  const records: LogRecord[] = []
  for (const value of values) {
    const record = decodeRecord(value)
    if (!record) return undefined
    records.push(record)
  }
  return records
}

/** What a broker has found, with its records as text. A record that cannot be read is one that is missing. */
export function foundIn(found: Omit<Found, 'records'>, json: string): Found {
  const records = decodeRecords(json)
  return records ? { ...found, records } : { ...found, what: 'expired', records: [] }
}

function decodeRecord(value: unknown): LogRecord | undefined {
  if (!Array.isArray(value) || value.length !== 5) return undefined
  const [type, data, channel, users, key] = value
  if (typeof type !== 'string' || typeof data !== 'string' || typeof channel !== 'string') return undefined
  if (users !== 0 && !(Array.isArray(users) && users.every((user) => typeof user === 'string'))) return undefined
  if (key !== 0 && typeof key !== 'string') return undefined
  return { type, data, channel, ...(users !== 0 && { users }), ...(key !== 0 && { key }) }
}
