import type { LogRecord } from '@entitycast/sse-server'
import type { Row } from './postgres-session'

/** What is known of a log's end: the newest offset, and the tag of its append. */
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

/** A record as the tables hold it. JSON, so that characters which `text` cannot hold are escaped. */
export function encodeRecord({ type, data, channel, users, key }: LogRecord): string {
  return JSON.stringify([type, data, channel, users ?? 0, key ?? 0])
}

/** What a record counts for in the retention by bytes. */
export function weightOf({ type, data }: LogRecord): number {
  return type.length + data.length
}

export function decodeFound(row: Row): Found {
  const { what, epoch, head, tag, seen, records: texts } = row
  const records = decodeRecords(`[${texts}]`)
  const found = { epoch: epoch ?? '', last: Number(head), tag: tag ?? '', seen: seen ?? tag ?? '' }
  // A record that cannot be read is one that is missing.
  return records ? { ...found, what: what as Found['what'], records } : { ...found, what: 'expired', records: [] }
}

function decodeRecords(json: string): LogRecord[] | undefined {
  let values: unknown
  try {
    values = JSON.parse(json)
  } catch {
    return undefined
  }
  const records = Array.isArray(values) ? values.map(decodeRecord) : [undefined]
  return records.every((record) => record !== undefined) ? records : undefined
}

/** `undefined` for what is no record. */
function decodeRecord(value: unknown): LogRecord | undefined {
  if (!Array.isArray(value) || value.length !== 5) return undefined
  const [type, data, channel, users, key] = value
  if (typeof type !== 'string' || typeof data !== 'string' || typeof channel !== 'string') return undefined
  if (users !== 0 && !(Array.isArray(users) && users.every((user) => typeof user === 'string'))) return undefined
  if (key !== 0 && typeof key !== 'string') return undefined
  return { type, data, channel, ...(users !== 0 && { users }), ...(key !== 0 && { key }) }
}
