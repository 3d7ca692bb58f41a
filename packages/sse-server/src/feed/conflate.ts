import type { LogEntry, LogRecord } from '../seams/adapter'

/** What is left of several entries: a record that stands for every one of its key from `first` to `last`. */
export interface Conflated {
  readonly record: LogRecord
  readonly first: number
  readonly last: number
}

interface Run extends Conflated {
  dropped: boolean
  fields: Fields | undefined
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
 * moved across a batch that names the entity.
 */
export function conflate(entries: readonly LogEntry[]): Conflated[] {
  const runs: Run[] = []
  const byKey = new Map<string, Run[]>()
  for (const { offset, record } of entries) {
    const run: Run = { record, first: offset, last: offset, dropped: false, fields: undefined }
    const { key } = record
    if (key === undefined) {
      if (record.type === 'entity.batch') endRuns(byKey, fieldsOf(run))
      runs.push(run)
      continue
    }
    const earlier = byKey.get(key)
    if (!earlier) {
      byKey.set(key, [run])
      runs.push(run)
      continue
    }
    const joined = join(earlier, run)
    if (!joined) continue
    earlier.push(joined)
    runs.push(joined)
  }
  return runs.filter((run) => !run.dropped)
}

/** The run that stands for `next` and what it absorbs of `earlier`; nothing where `next` is older than what was seen. */
function join(earlier: Run[], next: Run): Run | undefined {
  if (!next.record.type.startsWith('entity.')) {
    // A named event with a conflateKey: the newest stands for all.
    const same = earlier.filter((run) => !run.dropped && sameAudience(run, next))
    for (const run of same) run.dropped = true
    return { ...next, first: Math.min(next.first, ...same.map((run) => run.first)) }
  }
  // Of an entity that has events for different readers nobody's version decides about another's: they stay as they are.
  if (earlier.some((run) => !sameAudience(run, next))) return next
  const { version } = fieldsOf(next)
  if (version !== undefined && earlier.some((run) => (fieldsOf(run).version ?? -1) >= version)) return undefined
  if (next.record.type === 'entity.deleted') {
    let { first } = next
    for (const run of earlier) {
      // The deletion may be older than what the reader has seen, and then says nothing about a change without a version.
      if (run.dropped || (version !== undefined && fieldsOf(run).version === undefined)) continue
      run.dropped = true
      first = Math.min(first, run.first)
    }
    // Readers forget the version of what is deleted without one: the entity may come back and count from 1 again.
    if (version === undefined) earlier.length = 0
    return { ...next, first }
  }
  const previous = earlier.at(-1) as Run
  return canMerge(previous, next) ? merge(previous, next) : next
}

function canMerge(previous: Run, next: Run): boolean {
  if (previous.dropped || next.record.type !== 'entity.updated' || previous.record.type === 'entity.deleted')
    return false
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

function merge(previous: Run, next: Run): Run {
  previous.dropped = true
  const fields = {
    ...fieldsOf(next),
    data: { ...(fieldsOf(previous).data as object), ...(fieldsOf(next).data as object) },
  }
  const record = { ...next.record, type: previous.record.type, data: JSON.stringify(fields) }
  return { record, first: previous.first, last: next.last, dropped: false, fields }
}

/** A batch changes its entities in its place: what comes after must not be merged into what came before. */
function endRuns(byKey: Map<string, Run[]>, { entity, ids = [] }: Fields): void {
  for (const id of ids) byKey.delete(`${entity}:${id}`)
}

function sameAudience(a: Run, b: Run): boolean {
  return a.record.channel === b.record.channel && a.record.users?.join('\n') === b.record.users?.join('\n')
}

function fieldsOf(run: Run): Fields {
  return (run.fields ??= JSON.parse(run.record.data) as Fields)
}

function isPlain(data: unknown): boolean {
  return typeof data === 'object' && data !== null && !Array.isArray(data)
}
