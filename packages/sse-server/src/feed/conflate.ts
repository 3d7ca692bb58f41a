import type { LogEntry, LogRecord } from '../seams/adapter'

/** What is left of several entries: a record that stands for every one of its key from `first` to `last`. */
export interface Conflated {
  readonly record: LogRecord
  readonly first: number
  readonly last: number
}

interface Run {
  record: LogRecord
  first: number
  last: number
  dropped: boolean
  /** The fields of several records, to be written down in the end. */
  merged: boolean
  fields: Fields | undefined
  /** Of its text at most; absent while nobody has asked. */
  bytes: number | undefined
}

/** What has come of one key. */
interface Line {
  /** Its runs that are not dropped. */
  standing: Run[]
  /** Whose readers all the others must have, for anything to be joined. */
  audience: LogRecord
  mixed: boolean
  /** The newest version; undefined while there is one run, whose fields nobody has needed yet. */
  newest: number | undefined
}

/** The `data:` line of an entity event, as `encodeEvent` writes it. */
interface Fields {
  readonly data?: unknown
  readonly version?: number
  readonly entity?: string
  readonly ids?: readonly string[]
  readonly [field: string]: unknown
}

/**
 * Joins the updates of one entity, so that a reader who is behind gets the newest version without the ones between: created + updated is
 * created, anything + deleted is deleted, updates are merged field by field, each with the last one's place. The state a page ends
 * in is the same as if it had seen every entry. Facts (named events without a key) and batches stay, in their order; nothing is
 * moved across a batch that names the entity. Nothing is joined to more than `maxBytes` bytes.
 */
export function conflate(entries: readonly LogEntry[], maxBytes = Number.POSITIVE_INFINITY): Conflated[] {
  const runs: Run[] = []
  const lines = new Map<string, Line>()
  for (const { offset, record } of entries) {
    const run: Run = {
      record,
      first: offset,
      last: offset,
      dropped: false,
      merged: false,
      fields: undefined,
      bytes: undefined,
    }
    const { key } = record
    if (key === undefined) {
      if (record.type === 'entity.batch') endLines(lines, fieldsOf(run))
      runs.push(run)
      continue
    }
    let line = lines.get(key)
    if (!line) {
      line = { standing: [], audience: record, mixed: false, newest: undefined }
      lines.set(key, line)
    }
    if (join(line, run, maxBytes)) runs.push(run)
  }
  for (const run of runs) {
    if (run.merged && !run.dropped) run.record = { ...run.record, data: JSON.stringify(run.fields) }
  }
  return runs.filter((run) => !run.dropped)
}

/** Puts `next` into its line, with what it absorbs of it. False where it is older than what was seen. */
function join(line: Line, next: Run, maxBytes: number): boolean {
  if (!next.record.type.startsWith('entity.')) {
    // A named event with a conflateKey: the newest stands for all.
    absorb(line, next, (run) => sameReaders(run.record, next.record))
    line.standing.push(next)
    return true
  }
  // Of an entity that has events for different readers nobody's version decides about another's: they stay as they are.
  line.mixed ||= !sameReaders(line.audience, next.record)
  if (!line.mixed && line.standing.length > 0 && !take(line, next, maxBytes)) return false
  line.standing.push(next)
  return true
}

/** The same where all are for the same readers. */
function take(line: Line, next: Run, maxBytes: number): boolean {
  const previous = line.standing.at(-1) as Run
  const { version } = fieldsOf(next)
  const newest = line.newest ?? fieldsOf(previous).version ?? -1
  if (version !== undefined && version <= newest) return false
  line.newest = Math.max(newest, version ?? -1)
  if (next.record.type === 'entity.deleted') {
    // The deletion may be older than what the reader has seen, and then says nothing about a change without a version.
    absorb(line, next, (run) => version === undefined || fieldsOf(run).version !== undefined)
    // Readers forget the version of what is deleted without one: the entity may come back and count from 1 again.
    if (version === undefined) line.newest = -1
    return true
  }
  if (canMerge(previous, next) && fits(previous, next, maxBytes)) {
    line.standing.pop()
    merge(previous, next)
  }
  return true
}

/** What `next` makes superfluous is dropped; `next` stands for it. */
function absorb(line: Line, next: Run, covered: (run: Run) => boolean): void {
  line.standing = line.standing.filter((run) => {
    if (!covered(run)) return true
    run.dropped = true
    next.first = Math.min(next.first, run.first)
    return false
  })
}

function canMerge(previous: Run, next: Run): boolean {
  if (next.record.type !== 'entity.updated' || previous.record.type === 'entity.deleted') return false
  const a = fieldsOf(previous)
  const b = fieldsOf(next)
  if ((a.version === undefined) !== (b.version === undefined)) return false
  if (!isPlain(a.data) || !isPlain(b.data)) return false
  // Where publishers race, the earlier one may be older than what the reader has already seen, and must not come back inside a newer
  // one. Between neighbouring versions there is no room for that, and where every field is written again nothing of it is left
  // (but for a creation, which takes the place of the whole row).
  if (a.version === undefined || b.version === a.version + 1) return true
  return previous.record.type === 'entity.updated' && coversFields(b.data as object, a.data as object)
}

function coversFields(newer: object, older: object): boolean {
  return Object.keys(older).every((field) => Object.hasOwn(newer, field))
}

/** Whether both are small enough for one. What both write is counted twice, until that would be too much. */
function fits(previous: Run, next: Run, maxBytes: number): boolean {
  if (maxBytes === Number.POSITIVE_INFINITY) return true
  let bytes = sizeOf(previous) + sizeOf(next)
  if (bytes > maxBytes) bytes = Buffer.byteLength(JSON.stringify(joined(previous, next)))
  if (bytes > maxBytes) return false
  next.bytes = bytes
  return true
}

function sizeOf(run: Run): number {
  return (run.bytes ??= Buffer.byteLength(run.record.data))
}

function joined(previous: Run, next: Run): Fields {
  return {
    ...fieldsOf(next),
    data: { ...(fieldsOf(previous).data as object), ...(fieldsOf(next).data as object) },
  }
}

function merge(previous: Run, next: Run): void {
  previous.dropped = true
  next.fields = joined(previous, next)
  next.record = { ...next.record, type: previous.record.type }
  next.merged = true
  next.first = previous.first
}

/** A batch changes its entities in its place: what comes after must not be merged into what came before. */
function endLines(lines: Map<string, Line>, { entity, ids = [] }: Fields): void {
  for (const id of ids) lines.delete(`${entity}:${id}`)
}

function sameReaders(a: LogRecord, b: LogRecord): boolean {
  return a.channel === b.channel && (a.users === b.users || a.users?.join('\n') === b.users?.join('\n'))
}

function fieldsOf(run: Run): Fields {
  return (run.fields ??= JSON.parse(run.record.data) as Fields)
}

function isPlain(data: unknown): boolean {
  return typeof data === 'object' && data !== null && !Array.isArray(data)
}
