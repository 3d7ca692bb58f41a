import type { LogRecord } from '@entitycast/sse-server'

/*
 * What a worker and the primary tell each other: one message a turn in each direction, whatever is in it. Other messages on the same
 * channel are the application's. What comes in is read field by field, into maps: no name in it becomes a property of anything.
 */

/** The one field that makes a message ours. */
const TAG = 'entitycast:log'
const VERSION = 1

/** An IPC channel as Node has it: `process` in a worker, a `ChildProcess` in its parent. */
export interface IpcChannel {
  readonly connected?: boolean
  send?(message: unknown, sendHandle: undefined, options: undefined, callback: (error: Error | null) => void): unknown
  on(event: 'message', listener: (message: unknown) => void): unknown
  on(event: 'disconnect', listener: () => void): unknown
  off(event: 'message', listener: (message: unknown) => void): unknown
  off(event: 'disconnect', listener: () => void): unknown
}

/** `leave` and `bye` have no answer. */
export type Request =
  | readonly [verb: 'append', projectId: string, records: readonly WireRecord[]]
  | readonly [verb: 'read', projectId: string, epoch: string, offset: number, limit: number]
  /** Tell me what comes after this; without an epoch, from the head on. */
  | readonly [verb: 'follow', projectId: string, epoch: string, offset: number]
  | readonly [verb: 'leave', projectId: string]
  | readonly [verb: 'ping']
  | readonly [verb: 'bye']

export type Call = readonly [id: number, request: Request]

/** From a worker. */
export interface Ask {
  /** Which adapter of that process. */
  readonly link: string
  /** What to keep: age, events, bytes. In each, so that it does not matter which one came first. */
  readonly keep: readonly [number, number, number]
  readonly calls: readonly Call[]
}

/** Records after a place in the log; or why they cannot be given, and where the log ends. */
export interface Found {
  readonly gap: '' | 'epoch' | 'expired' | 'ahead'
  readonly epoch: string
  readonly offset: number
  readonly records: readonly LogRecord[]
}

/** From the primary. */
export interface Tell {
  readonly link: string
  /** Which log: another one after each start. */
  readonly log: string
  /** How many of the messages to this link, up to this one, had something live. */
  readonly live: number
  readonly answers: readonly (readonly [id: number, found: Found])[]
  readonly pages: readonly (readonly [projectId: string, found: Found])[]
}

export type WireRecord = readonly [string, string, string, readonly string[] | 0, string | 0]
type WireFound = readonly [Found['gap'], string, number, readonly WireRecord[]]

export function encodeRecord({ type, data, channel, users, key }: LogRecord): WireRecord {
  return [type, data, channel, users ?? 0, key ?? 0]
}

export function encodeAsk({ link, keep, calls }: Ask): object {
  return { [TAG]: [VERSION, link, keep, calls] }
}

export function encodeTell({ link, log, live, answers, pages }: Tell): object {
  const found = ({ gap, epoch, offset, records }: Found): WireFound => [gap, epoch, offset, records.map(encodeRecord)]
  return {
    [TAG]: [
      VERSION,
      link,
      log,
      live,
      answers.map(([id, one]) => [id, found(one)]),
      pages.map(([projectId, one]) => [projectId, found(one)]),
    ],
  }
}

/** `undefined` for what is none of ours, `other` for another version of us. */
export function decodeAsk(message: unknown): Ask | 'other' | undefined {
  const fields = fieldsOf(message)
  if (!fields || fields[0] !== VERSION) return fields && 'other'
  const [, link, keep, calls] = fields
  if (typeof link !== 'string' || !isList(keep) || !isList(calls)) return undefined
  const [ageMs, events, bytes] = keep
  if (typeof ageMs !== 'number' || typeof events !== 'number' || typeof bytes !== 'number') return undefined
  return { link, keep: [ageMs, events, bytes], calls: calls.filter(isCall) }
}

/** `undefined` for what is not for this link, `other` for another version of us. */
export function decodeTell(message: unknown, own: string): Tell | 'other' | undefined {
  const fields = fieldsOf(message)
  if (!fields || fields[0] !== VERSION) return fields && 'other'
  const [, link, log, live, answers, pages] = fields
  if (link !== own || typeof log !== 'string' || typeof live !== 'number') return undefined
  if (!isList(answers) || !isList(pages)) return undefined
  const tell = { link: own, log, live, answers: [] as [number, Found][], pages: [] as [string, Found][] }
  for (const answer of answers) {
    const found = isList(answer) ? decodeFound(answer[1]) : undefined
    if (!found || typeof (answer as unknown[])[0] !== 'number') return undefined
    tell.answers.push([(answer as [number])[0], found])
  }
  for (const page of pages) {
    const found = isList(page) ? decodeFound(page[1]) : undefined
    if (!found || typeof (page as unknown[])[0] !== 'string') return undefined
    tell.pages.push([(page as [string])[0], found])
  }
  return tell
}

export function decodeRecords(values: readonly unknown[]): LogRecord[] | undefined {
  const records: LogRecord[] = []
  for (const value of values) {
    if (!isList(value)) return undefined
    const [type, data, channel, users, key] = value
    if (typeof type !== 'string' || typeof data !== 'string' || typeof channel !== 'string') return undefined
    if (users !== 0 && !(isList(users) && users.every((user) => typeof user === 'string'))) return undefined
    if (key !== 0 && typeof key !== 'string') return undefined
    const record: LogRecord = { type, data, channel }
    records.push(
      users === 0 && key === 0
        ? record
        : { ...record, ...(users !== 0 && { users: users as string[] }), ...(key !== 0 && { key }) },
    )
  }
  return records
}

function decodeFound(value: unknown): Found | undefined {
  if (!isList(value)) return undefined
  const [gap, epoch, offset, list] = value
  if (typeof epoch !== 'string' || !Number.isSafeInteger(offset) || !isList(list)) return undefined
  if (gap !== '' && gap !== 'epoch' && gap !== 'expired' && gap !== 'ahead') return undefined
  const records = decodeRecords(list)
  return records && { gap, epoch, offset: offset as number, records }
}

function isCall(value: unknown): value is Call {
  return isList(value) && typeof value[0] === 'number' && isRequest(value[1])
}

function isRequest(value: unknown): value is Request {
  if (!isList(value)) return false
  const [verb, projectId, third, offset, limit] = value
  if (verb === 'ping' || verb === 'bye') return true
  if (typeof projectId !== 'string') return false
  if (verb === 'leave') return true
  if (verb === 'append') return isList(third)
  if (typeof third !== 'string' || typeof offset !== 'number') return false
  return verb === 'follow' || (verb === 'read' && typeof limit === 'number')
}

function fieldsOf(message: unknown): readonly unknown[] | undefined {
  if (typeof message !== 'object' || message === null || !Object.hasOwn(message, TAG)) return undefined
  const fields = (message as { [TAG]: unknown })[TAG]
  return isList(fields) ? fields : undefined
}

function isList(value: unknown): value is readonly unknown[] {
  return Array.isArray(value)
}
